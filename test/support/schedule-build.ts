import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import binaryen from "binaryen";
import { compileCore } from "./compile-core.js";
import { FEATURES } from "./features.js";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/**
 * A bug to seed: in `file`, the statements `from` become `to`. All bugs are compiled into one module, and the import `bug`
 * says which of them is there: 1 for the first, 0 for none. Where `to` names BUG, it takes the place of `from` always, and
 * BUG is true if the bug is to be there.
 */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What the scenarios call; the rest of the core is left out, since compiling it takes longer than exploring a scenario. */
export const CALLS = [
  "acceptLogical",
  "adapterBetween",
  "answerRequest",
  "assignResource",
  "audit",
  "beginDevice",
  "beginDma",
  "beginUse",
  "checkAccess",
  "collectRequest",
  "compactMemory",
  "connectPartitions",
  "createPartition",
  "endDevice",
  "endUse",
  "endViews",
  "failPartition",
  "fillMemory",
  "grantCopyOnWrite",
  "gatherMemory",
  "grantLogical",
  "grantMode",
  "mergePages",
  "moveFew",
  "openTable",
  "openThread",
  "openUse",
  "pinMemory",
  "postRequest",
  "raiseInterrupt",
  "putTce",
  "reapThread",
  "recoverClient",
  "recoverDeferred",
  "recoverServer",
  "rescindLogical",
  "restartPartition",
  "returnLogical",
  "serveWindow",
  "storeWord",
  "takeEvent",
  "takeRequest",
  "unpinMemory",
  "sendIpi",
  "takeLine",
  "translateBatch",
] as const;

/**
 * Who waits looks once or twice instead of many times before it sleeps or gives up: between two looks that find the same
 * word nothing has happened, so that more of them only repeat the same schedules.
 */
export const FEWER_LOOKS: readonly Mutation[] = [
  { file: "assembly/lock.ts", from: "const SPINS: u32 = 64;", to: "const SPINS: u32 = 1;" },
  { file: "assembly/lock.ts", from: "const LOOKS: u32 = 64;", to: "const LOOKS: u32 = 1;" },
  { file: "assembly/thread.ts", from: "const QUIET_LOOKS: u32 = 10_000;", to: "const QUIET_LOOKS: u32 = 1;" },
  // It sleeps till a time is over, which nothing here does.
  {
    file: "assembly/lock.ts",
    from: "return pause(at, name != 0 ? name : load<u32>(THREAD, THREAD_NAME) | LOCK_WAITERS, attempt) != 0;",
    to: "return false;",
  },
  // What pages differ in stands at their beginning, and each load from a frame is a place to go on elsewhere.
  {
    file: "assembly/merge.ts",
    from: "offset < usize(PAGE_BYTES) && difference == 0",
    to: "offset < 64 && difference == 0",
  },
  // So that the first word of an entry comes again after two puts.
  {
    file: "src/layout.ts",
    from: "export const TCE_SEQUENCE_MASK = 0x3f;",
    to: "export const TCE_SEQUENCE_MASK = 1;",
  },
];

/** The text of a source with all bugs in it, switched by the import. */
function seed(name: string, source: string, mutations: readonly Mutation[]): string {
  let text = source;
  let isSwitched = false;
  const change = ({ file, from, to }: Mutation, number: number): void => {
    if (file !== name) return;
    if (text.split(from).length !== 2) throw new Error(`"${from}" does not stand once in ${file}`);
    const test = `(bug == ${number})`;
    const isWhole = number === 0 || /\bBUG\b/.test(to);
    const changed = isWhole ? to.replace(/\bBUG\b/g, test) : `if ${test} {\n${to}\n} else {\n${from}\n}`;
    text = text.replace(from, () => changed);
    isSwitched ||= number !== 0;
  };
  for (const mutation of FEWER_LOOKS) change(mutation, 0);
  mutations.forEach((mutation, index) => {
    change(mutation, index + 1);
  });
  if (isSwitched) text = `import { bug } from "./env";\n${text}`;
  if (name === "assembly/env.ts") text += "export declare const bug: u32;\n";
  if (name === "assembly/index.ts") text = selectExports(text);
  return text;
}

function selectExports(text: string): string {
  return text.replace(/export \{([^}]*)\} from ("[^"]*");/g, (_all, names: string, from: string) => {
    const wanted = names.split(",").filter((name) => (CALLS as readonly string[]).includes(name.trim()));
    return wanted.length === 0 ? "" : `export {${wanted.join(",")}} from ${from};`;
  });
}

/** Kinds of access, as the monitor takes them. */
export const READ = 1;
export const WRITE = 2;
export const ATOMIC = 4;
export const NOTIFY = 8;

const ACCESS =
  /^(i32|i64|f64|v128)\.(atomic\.)?(load|store|rmw)(8|16|32)?(?:\.(add|sub|and|or|xor|xchg|cmpxchg))?(?:_(?:[su]|zero|(lane)))?((?: (?:offset|align)=\d+)*)(?: \d+)?$/;
const MAYBE_ACCESS = /\.(load|store|rmw|wait)|^memory\./;
const BYTES = { i32: 4, i64: 8, f64: 8, v128: 16 } as const;

/** Asks the monitor, and stops if it says so; nothing of this is done again when the thread comes back. */
function ask(address: string, bytes: string, kind: number): string {
  return `(local.set $r (call $point (local.get ${address}) ${bytes} (i32.const ${kind})))
    (if (local.get $r) (then (call $stop (local.get $r))))`;
}

/** The function that takes the place of one kind of access. */
function accessFunction(name: string, instruction: string): string {
  const match = ACCESS.exec(instruction);
  if (match === null) throw new Error(`schedule-build.ts does not know ${instruction}`);
  const type = match[1] as keyof typeof BYTES;
  const isAtomic = match[2] !== undefined;
  const operation = match[3] as string;
  const bytes = match[4] === undefined ? BYTES[type] : Number(match[4]) / 8;
  const offset = /offset=(\d+)/.exec(match[7] ?? "")?.[1] ?? "0";
  // What is loaded into a lane comes into a vector that is given.
  const operands = operation === "load" ? (match[6] === undefined ? 0 : 1) : match[5] === "cmpxchg" ? 2 : 1;
  const isRead = operation !== "store";
  const kind = (isAtomic ? ATOMIC : 0) | (isRead ? READ : 0) | (operation !== "load" ? WRITE : 0);
  const values = Array.from({ length: operands }, (_, index) => `(param $v${index} ${type})`).join(" ");
  const tell =
    operands === 2
      ? // One that fails stores nothing, so that it releases nothing either.
        `(call $record (local.get $a) (i32.const ${bytes}) (select (i32.const ${kind}) (i32.const ${ATOMIC | READ})
          (${type}.eq (${type}.load (local.get $a)) (local.get $v0))))`
      : `(call $record (local.get $a) (i32.const ${bytes}) (i32.const ${kind}))`;
  const gets = Array.from({ length: operands }, (_, index) => ` (local.get $v${index})`).join("");
  return `(func ${name} (param $p i32) ${values} ${isRead ? `(result ${type})` : ""} (local $a i32) (local $r i32)
    (local.set $a (i32.add (local.get $p) (i32.const ${offset})))
    ${ask("$a", `(i32.const ${bytes})`, kind)}
    ${tell}
    (${instruction} (local.get $p)${gets}))`;
}

const BULK = `
 (func $acc_copy (param $d i32) (param $s i32) (param $n i32) (local $r i32)
    ${ask("$s", "(local.get $n)", READ)}
    (call $record (local.get $s) (local.get $n) (i32.const ${READ}))
    ${ask("$d", "(local.get $n)", WRITE)}
    (call $record (local.get $d) (local.get $n) (i32.const ${WRITE}))
    (memory.copy (local.get $d) (local.get $s) (local.get $n)))
 (func $acc_fill (param $d i32) (param $v i32) (param $n i32) (local $r i32)
    ${ask("$d", "(local.get $n)", WRITE)}
    (call $record (local.get $d) (local.get $n) (i32.const ${WRITE}))
    (memory.fill (local.get $d) (local.get $v) (local.get $n)))`;

function notifyFunction(name: string, offset: string): string {
  return `(func ${name} (param $p i32) (param $n i32) (result i32) (local $a i32) (local $r i32)
    (local.set $a (i32.add (local.get $p) (i32.const ${offset})))
    ${ask("$a", "(i32.const 4)", NOTIFY)}
    (call $notify (local.get $a) (local.get $n)))`;
}

const HOOKS = `
 (import "monitor" "point" (func $point (param i32 i32 i32) (result i32)))
 (import "monitor" "record" (func $record (param i32 i32 i32)))
 (import "env" "stop" (func $stop (param i32)))
 (import "env" "notify" (func $notify (param i32 i32) (result i32)))`;

function instrument(wat: string): string {
  const functions = new Map<string, string>();
  const lines: string[] = [];
  for (const line of wat.split("\n")) {
    const instruction = line.trim();
    if (line.startsWith("(module")) lines.push(line, HOOKS);
    else if (line === ")") lines.push(BULK, ...functions.values(), line);
    else if (instruction === "memory.copy") lines.push("call $acc_copy");
    else if (instruction === "memory.fill") lines.push("call $acc_fill");
    else if (!line.startsWith(" (") && MAYBE_ACCESS.test(instruction)) {
      const name = `$acc_${instruction.replace(/[ =]/g, "_")}`;
      const notify = /^memory\.atomic\.notify(?: offset=(\d+))?$/.exec(instruction);
      if (!functions.has(name)) {
        const text =
          notify === null ? accessFunction(name, instruction) : notifyFunction(name, notify[1] ?? "0");
        functions.set(name, text);
      }
      lines.push(`call ${name}`);
    } else lines.push(line);
  }
  return lines.join("\n");
}

/** The core, instrumented, with these bugs to choose from. */
export async function buildCore(mutations: readonly Mutation[], level = "-O1"): Promise<WebAssembly.Module> {
  const { wat } = await compileCore(ROOT, (name, text) => seed(name, text, mutations), level);
  const module = binaryen.parseText(instrument(wat));
  try {
    module.setFeatures(FEATURES);
    binaryen.setOptimizeLevel(1);
    binaryen.setShrinkLevel(0);
    binaryen.setPassArgument("asyncify-imports", "env.stop,env.pause");
    binaryen.setPassArgument("asyncify-ignore-indirect", "true");
    module.runPasses(["asyncify"]);
    module.runPasses(["simplify-locals", "coalesce-locals", "reorder-locals", "vacuum"]);
    return new WebAssembly.Module(Uint8Array.from(module.emitBinary()));
  } finally {
    module.dispose();
  }
}

/** Compiles a module that is written in AssemblyScript in a string: the monitor. */
export async function buildText(text: string): Promise<WebAssembly.Module> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      ...["monitor.ts", "--outFile", "monitor.wasm", "--runtime", "stub", "--use", "abort="],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
      ...["--enable", "threads", "-O3", "--noExportMemory"],
    ],
    {
      readFile: (name) => (name === "monitor.ts" ? text : null),
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") binary = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`${stderr.toString()}${error?.message ?? ""}`);
  return new WebAssembly.Module(binary);
}
