/**
 * Builds dist: what tsc would make of src and bench, with imported numbers written out where they are used. An imported
 * constant is looked up in its module at every use, seven instructions, which in short calls is more than their own work.
 */
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));

const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: fail };
const config = ts.getParsedCommandLineOfConfigFile(`${root}tsconfig.json`, {}, host);
const program = ts.createProgram(config.fileNames, config.options);
const checker = program.getTypeChecker();
const wrong = ts.getPreEmitDiagnostics(program);
if (wrong.length > 0) fail(...wrong);
const { diagnostics } = program.emit(undefined, undefined, undefined, false, { before: [writeOut] });
if (diagnostics.length > 0) fail(...diagnostics);

function fail(...found) {
  const format = {
    getCurrentDirectory: () => root,
    getCanonicalFileName: (name) => name,
    getNewLine: () => "\n",
  };
  process.stderr.write(ts.formatDiagnostics(found, format));
  process.exit(1);
}

/** The number that an imported name stands for, if it is a constant of the package that is written as one. */
function numberOf(identifier) {
  const symbol = checker.getSymbolAtLocation(identifier);
  if (symbol === undefined || (symbol.flags & ts.SymbolFlags.Alias) === 0) return undefined;
  const constant = checker.getAliasedSymbol(symbol).valueDeclaration;
  if (constant === undefined || !ts.isVariableDeclaration(constant) || !isOwn(constant)) return undefined;
  const type = checker.getTypeAtLocation(constant);
  return type.isNumberLiteral() ? type.value : undefined;
}

function isOwn(node) {
  return (
    !program.isSourceFileFromExternalLibrary(node.getSourceFile()) && !node.getSourceFile().isDeclarationFile
  );
}

function writeOut(context) {
  const { factory } = context;
  const literal = (value) => {
    const digits = factory.createNumericLiteral(Math.abs(value));
    return value < 0
      ? factory.createParenthesizedExpression(
          factory.createPrefixUnaryExpression(ts.SyntaxKind.MinusToken, digits),
        )
      : digits;
  };
  /** An import keeps what is no number, and is left out if nothing remains; types are taken out only of what is not changed here. */
  const imported = (node) => {
    const names = node.importClause?.namedBindings;
    if (names === undefined || !ts.isNamedImports(names)) return node;
    const isNumber = (element) => numberOf(element.name) !== undefined;
    if (!names.elements.some(isNumber)) return node;
    const kept = names.elements.filter((element) => !isNumber(element) && !element.isTypeOnly);
    if (kept.length === 0 && node.importClause.name === undefined) return undefined;
    const clause = factory.updateImportClause(
      node.importClause,
      node.importClause.phaseModifier,
      node.importClause.name,
      factory.updateNamedImports(names, kept),
    );
    return factory.updateImportDeclaration(
      node,
      node.modifiers,
      clause,
      node.moduleSpecifier,
      node.attributes,
    );
  };
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) return imported(node);
    if (ts.isExportDeclaration(node) || ts.isTypeNode(node)) return node;
    if (ts.isShorthandPropertyAssignment(node)) {
      const symbol = checker.getShorthandAssignmentValueSymbol(node);
      const value = symbol?.declarations?.some(ts.isImportSpecifier)
        ? numberOf(symbol.declarations[0].name)
        : undefined;
      return value === undefined ? node : factory.createPropertyAssignment(node.name, literal(value));
    }
    if (ts.isIdentifier(node)) {
      const value = numberOf(node);
      return value === undefined ? node : literal(value);
    }
    return ts.visitEachChild(node, visit, context);
  };
  return (file) => ts.visitEachChild(file, visit, context);
}
