/** A worker thread that compiles a changed core and hunts in it (test/mutants.test.ts). */
import { parentPort } from "node:worker_threads";
import { compileCore } from "./compile-core.js";
import { type HuntOptions, hunt, huntObjects } from "./hunt.js";

/** A bug to seed: in `file`, `from` becomes `to`. One of the library, in src, is in the code that this worker runs. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Order {
  readonly root: string;
  readonly mutation: Mutation | undefined;
  readonly options: HuntOptions;
}

/** `broken` says why the mutant is none; else `found` is what the nets found first. Before it comes `goesOn`, again and again. */
export interface Report {
  readonly goesOn?: true;
  readonly broken?: string;
  readonly found?: string | undefined;
}

async function compile({ root, mutation }: Order): Promise<WebAssembly.Module> {
  const change = (name: string, text: string): string =>
    mutation?.file === name ? text.replace(mutation.from, () => mutation.to) : text;
  // Not optimised: for one short hunt compiling takes longer than what it saves.
  return new WebAssembly.Module((await compileCore(root, change, "-O0")).wasm);
}

function goOn(): void {
  parentPort?.postMessage({ goesOn: true } satisfies Report);
}

parentPort?.on("message", (order: Order) => {
  if (order.mutation?.file.startsWith("src/") === true) {
    // A record that is not read as the model has it is found by the calls themselves.
    const { walks, sequences, commands } = order.options;
    void huntObjects(walks, commands / 2, goOn).then((found) => {
      const report =
        found ?? hunt(undefined, { ...order.options, sequences: sequences / 4, commands, tables: 0 }, goOn);
      parentPort?.postMessage({ found: report } satisfies Report);
    });
    return;
  }
  compile(order).then(
    (module) => {
      const found = hunt(module, order.options, goOn);
      parentPort?.postMessage({ found } satisfies Report);
    },
    (error: unknown) => parentPort?.postMessage({ broken: String(error) } satisfies Report),
  );
});
