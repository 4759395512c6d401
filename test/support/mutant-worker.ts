/** A worker thread that compiles a changed core and hunts in it (test/mutants.test.ts). */
import { parentPort } from "node:worker_threads";
import { compileCore } from "./compile-core.js";
import { type HuntOptions, hunt } from "./hunt.js";

/** A bug to seed: in `file`, `from` becomes `to`. */
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

/** `broken` says why the mutant is none; else `found` is what the nets found first. Before it comes `isCompiled`. */
export interface Report {
  readonly isCompiled?: true;
  readonly broken?: string;
  readonly found?: string | undefined;
}

async function compile({ root, mutation }: Order): Promise<WebAssembly.Module> {
  const change = (name: string, text: string): string =>
    mutation?.file === name ? text.replace(mutation.from, () => mutation.to) : text;
  return new WebAssembly.Module((await compileCore(root, change)).wasm);
}

parentPort?.on("message", (order: Order) => {
  compile(order).then(
    (module) => {
      parentPort?.postMessage({ isCompiled: true } satisfies Report);
      parentPort?.postMessage({ found: hunt(module, order.options) } satisfies Report);
    },
    (error: unknown) => parentPort?.postMessage({ broken: String(error) } satisfies Report),
  );
});
