/** Which code and which tests each rule of the contract has, read from the comments and the titles that name it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The rules in short; what they say in full is told in DESIGN.md, section 3, and in the tests. */
export const RULES: Readonly<Record<string, string>> = {
  G1: "what answers with an error changes nothing; H_BUSY and H_PARTIAL are gone on with",
  G2: "every integer of a caller is hostile: an answer, never a trap",
  G3: "cookies are unique, never used twice, and tell nothing to others",
  G4: "what belongs to an older incarnation has no power",
  G5: "work that grows with the grants is done in slices; nothing recurses",
  G6: "revocation marks, drains, frees; success only after the drain",
  G7: "time is monotonic and can be replaced",
  GR1: "unknown type, reserved bit, inhibits that the type has not: H_PARAMETER",
  GR2: "units, lengths and logical-hi",
  GR3: "inside one resource, or one accepted grant, of the caller",
  GR4: "a page that was rescinded from the caller: H_RESCINDED",
  GR5: "rights along a chain only shrink: H_PERMISSION",
  GR6: "the unit address names an adapter to another, living partition",
  GR7: "the quota of the adapter: H_NO_MEM, and others' quotas stay",
  GR8: "the same range may be granted often, each grant with its own life",
  GR9: "owner and sharers keep access while it is shared",
  GR10: "a caller that failed, or a resource that is being rescinded: H_RESCINDED",
  AC1: "maps at the lowest free address; what was rescinded is not free",
  AC2: "not valid for the caller, or accepted already: H_PARAMETER",
  AC3: "rescinded: H_RESCINDED; rescinded before it was accepted: unknown",
  AC4: "no address free: H_NO_MEM, and the cookie stays acceptable",
  AC5: "the grantor has failed: H_RESCINDED",
  AC6: "the mapping has the restrictions of the grant",
  RE1: "frees the address; the cookie can be accepted again",
  RE2: "pins stand: H_RESOURCE",
  RE3: "grants stand below: H_RESOURCE",
  RE4: "not accepted, or not the caller's: H_PARAMETER",
  RE5: "of what was rescinded it succeeds and frees the address",
  RE6: "more than a budget: H_BUSY, and the addresses answer as unmapped",
  RS1: "only the grantor may, once",
  RS2: "normal, and accepted or granted on: H_RESOURCE",
  RS3: "normal: the structure is free, the cookie dead, the quota back",
  RS4: "forced: the whole subtree, and no sibling",
  RS5: "forced, in slices: H_PARTIAL, and the tree cannot grow meanwhile",
  RS6: "views do not stop it: the page moves away from them",
  RS7: "two at once: each node once, and neither is done before all is",
  RS8: "the owner's access is never interrupted",
  TR1: "translation, one by one and in batches",
  TR2: "costs the same at every depth",
  TR3: "checked access; a range that fails anywhere moves no byte",
  TR4: "zero copy where contiguous; it pins",
  TR5: "zero when first given, or reused",
  KI1: "memory",
  KI2: "device windows (MMIO)",
  KI3: "interrupt sources",
  KI4: "DMA window panes",
  KI5: "interprocessor-interrupt ports",
  CQ1: "adapters, unit addresses, quotas",
  CQ2: "rings of 16-byte entries in the receiver's memory",
  CQ3: "sending: closed, full, forged",
  CQ4: "registering before the partner has",
  CQ5: "a transport event is never lost",
  CQ6: "the half with the valid byte is stored last",
  CQ7: "polling and waiting",
  FA1: "a client fails: returned on its behalf, rescinded below it",
  FA2: "a server fails: notice, grace, forced recovery",
  FA3: "both, in any order, and again within the grace",
  FA4: "its own pages are freed, and zero before reuse",
  FA5: "at any instant, in the middle of a hypercall too",
  FA6: "recovery is linear, in slices, and can be done twice",
  FA7: "rescind or defer",
  FA8: "restart with a new incarnation",
};

interface Text {
  readonly path: string;
  readonly text: string;
}

function read(root: string, folder: string, pattern: RegExp): Text[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => pattern.test(name) && !name.includes("generated"))
    .sort()
    .map((name) => ({ path: name, text: readFileSync(join(root, folder, name), "utf8") }));
}

function naming(rule: string, texts: readonly Text[]): string[] {
  const word = new RegExp(`\\b${rule}\\b`);
  return texts.filter(({ text }) => word.test(text)).map(({ path }) => path);
}

export interface RuleRow {
  readonly rule: string;
  readonly short: string;
  readonly core: readonly string[];
  readonly library: readonly string[];
  readonly tests: readonly string[];
}

/** One row for each rule. Of tests those count whose titles name the rule. */
export function ruleRows(root: string): RuleRow[] {
  const core = read(root, "assembly", /\.ts$/);
  const library = read(root, "src", /^[\w-]+\.ts$/);
  const titles = read(root, "test", /^[\w-]+\.test\.ts$/).map(({ path, text }) => ({
    path: path.replace(".test.ts", ""),
    text: [...text.matchAll(/\b(?:test|describe)(?:\.each\([\s\S]*?\))?\(\s*(["'`])([\s\S]*?)\1/g)]
      .map(([, , title]) => title)
      .join("\n"),
  }));
  return Object.entries(RULES).map(([rule, short]) => ({
    rule,
    short,
    core: naming(rule, core),
    library: naming(rule, library),
    tests: naming(rule, titles),
  }));
}

/** The page src/docs/rules.md. */
export function rulePage(root: string): string {
  const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");
  const rows = ruleRows(root).map(
    ({ rule, short, core, library, tests }) =>
      `| ${rule} | ${short} | ${list(core)} | ${list(library)} | ${list(tests)} |`,
  );
  return `# Rules, code and tests

Made from the comments and the test titles that name a rule (\`npx vitest run test/docs.test.ts -u\` makes it anew). The core is
\`assembly/\`, the library \`src/\`, a test \`x\` is \`test/x.test.ts\`. How the rules are read is told in DESIGN.md, section 3; how they stand to
the patent in [claims.md](claims.md). Beside the tests that name them, all rules stand under three nets: the naive model, the crash
explorer and the schedule explorer.

| rule | in short | core | library | tests |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
