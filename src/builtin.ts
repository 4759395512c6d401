/** Modules of Node without an import, so that the library also loads where there is no Node. */

/** A module of Node's own, undefined where there is none. @param id for example "node:worker_threads". */
export function builtinModule(id: string): unknown {
  const host = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
  return host.process?.getBuiltinModule?.(id);
}
