/**
 * Entry `lpar/inspector`: lets others on this machine look at the tables of this process, while it lives. Nothing listens unless
 * openInspector() is called.
 */
import { checkNames, LparError, refuseKind } from "../errors.js";
import { kernelOf } from "../kernel.js";
import type { ResourceTable } from "../resource-table.js";
import { type ServeOptions, type Serving, serve } from "./server.js";

export { PROMETHEUS_TYPE, prometheusText } from "../prometheus.js";

/** Where to listen. */
export interface InspectorOptions extends ServeOptions {
  /** In the title of the page. Default "table". */
  readonly name?: string | undefined;
}

/** An inspector that listens. It does not keep the process alive. */
export class Inspector implements AsyncDisposable {
  /**
   * For a browser and for `lpar --connect`, with the token: `http://127.0.0.1:<port>/<token>/`, or `unix:<path>#<token>`. Whoever
   * has it can see everything that inspect() shows. Below it are `metrics`, `snapshot.json`, `audit.json`, `graph.svg`, `tree.svg`.
   */
  readonly url: string;
  /** Also taken as `Authorization: Bearer <token>`, without the token in the path. */
  readonly token: string;
  readonly #serving: Serving;

  /** @internal Made by openInspector(). */
  constructor(serving: Serving) {
    this.url = serving.url;
    this.token = serving.token;
    this.#serving = serving;
  }

  /** Ends it, with all that is being answered. */
  close(): Promise<void> {
    return this.#serving.close();
  }

  /** As close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Serves a page and JSON about a table: on 127.0.0.1 only, or on a Unix socket that only this user may open, to whoever has the
 * token. It answers questions, and changes nothing.
 * @throws RangeError for options that are none; LparError LPAR_CANNOT_LISTEN when the port or path is taken, LPAR_CLOSED; TypeError for
 * what is no table.
 */
export async function openInspector(
  table: ResourceTable,
  options: InspectorOptions = {},
): Promise<Inspector> {
  if (typeof table?.inspect !== "function") refuseKind("table", table, "ResourceTable");
  const kernel = kernelOf(table);
  kernel.checkOpen();
  checkNames(options, "port, path, name");
  const { name = "table", ...place } = options;
  const open = <T>(look: () => T): T => {
    if (kernel.isClosed) throw new LparError("LPAR_CLOSED", "the resource table is closed");
    return look();
  };
  const serving = await serve(
    {
      name,
      snapshot: () => open(() => table.inspect()),
      audit: () => open(() => table.audit()),
      now: () => kernel.clock.now(),
    },
    place,
  );
  return new Inspector(serving);
}
