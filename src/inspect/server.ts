/**
 * Serves what a table shows, to whoever on this machine has the token: pages, the snapshot, drawings, metrics. Read only.
 *
 * Who could ask: other users of the machine, and web pages in a browser of this user. The first have no token. The second
 * can send requests to 127.0.0.1, also under a name of their own that they let point there (DNS rebinding): they have no token
 * either, the Host header must name this address, and a request that a browser says comes from another site is refused. What
 * is served may fetch nothing from elsewhere, be framed by nobody, and leaves no address behind (Content-Security-Policy,
 * Referrer-Policy), so that the token in the page's address stays there.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { platform } from "node:os";
import type { AuditReport } from "../audit.js";
import { LparError, textOf } from "../errors.js";
import { PROMETHEUS_TYPE, prometheusText } from "../prometheus.js";
import type { TableSnapshot } from "../snapshot.js";
import { type Graph, partitionGraph, treeGraph } from "./graph.js";
import { STYLE, toSvg } from "./graph-svg.js";
import { readPart } from "./page.js";

/** What is served. */
export interface Shown {
  /** In the title of the page. */
  readonly name: string;
  snapshot(): TableSnapshot | Promise<TableSnapshot>;
  audit(): AuditReport | Promise<AuditReport>;
  /** Milliseconds of the table's clock, undefined where that does not run. */
  now(): number | undefined;
}

export interface ServeOptions {
  /** TCP port of 127.0.0.1, 0 to 65535. Default 0: one that is free. */
  readonly port?: number | undefined;
  /** Path of a Unix socket, which only this user may open, instead of a port. */
  readonly path?: string | undefined;
}

/** A server that runs. */
export interface Serving {
  /** With the token: `http://127.0.0.1:<port>/<token>/`, or `unix:<path>#<token>`. */
  readonly url: string;
  readonly token: string;
  close(): Promise<void>;
}

const TOKEN_BYTES = 24;
/** Of a longer path systems have no socket, and some Nodes take the beginning. */
const PATH_BYTES_MAX = platform() === "linux" ? 107 : 103;
/** Anybody on this machine may connect: he must not take the file descriptors that the process itself needs. */
const CONNECTIONS_MAX = 64;

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

interface Answer {
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A drawing has its style in itself, and by this hash the browser takes that one alone. */
const SVG_HEADERS = {
  "content-security-policy": `default-src 'none'; style-src 'sha256-${digest(STYLE).toString("base64")}'; frame-ancestors 'none'`,
};

const JSON_TYPE = "application/json; charset=utf-8";
const SVG_TYPE = "image/svg+xml; charset=utf-8";
/** Drawings, by their paths. */
const GRAPHS: ReadonlyMap<string, (snapshot: TableSnapshot) => Graph> = new Map([
  ["graph.svg", partitionGraph],
  ["tree.svg", treeGraph],
]);

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Compares in a time that says nothing of where two texts differ, nor of their lengths. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token));
}

/** What a request may see: a status if nothing. */
function refusalOf(request: IncomingMessage, hosts: readonly string[]): [number, string] | undefined {
  const { method, headers } = request;
  if (!hosts.includes((headers.host ?? "").toLowerCase()))
    return [403, "this is not the address that it was asked by"];
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return [403, "asked by another site"];
  if (method !== "GET") return [405, "only GET"];
  return undefined;
}

/** Splits the token from the path: it stands first in it, or in the header that Prometheus and this package send. */
function tokenAndPath(request: IncomingMessage): [token: string, path: string] {
  const [url, base] = [request.url ?? "/", "http://127.0.0.1"];
  // What is no address has no token either.
  const pathname = URL.canParse(url, base) ? new URL(url, base).pathname : "/";
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return [bearer, pathname.slice(1)];
  const [, token = "", path = ""] = /^\/([^/]*)\/?(.*)$/s.exec(pathname) ?? [];
  return [token, path];
}

/** What stands at a path; undefined: nothing. */
async function answerTo(path: string, shown: Shown): Promise<Answer | undefined> {
  if (path === "snapshot.json") {
    const now = shown.now();
    const headers = {
      // Half of a surrogate pair cannot be encoded.
      "lpar-name": encodeURIComponent(shown.name.replace(/\p{Cs}/gu, "?")),
      ...(now === undefined ? {} : { "lpar-now": String(now) }),
    };
    return { type: JSON_TYPE, body: JSON.stringify(await shown.snapshot()), headers };
  }
  if (path === "audit.json") return { type: JSON_TYPE, body: JSON.stringify(await shown.audit()) };
  if (path === "metrics") return { type: PROMETHEUS_TYPE, body: prometheusText(await shown.snapshot()) };
  const graphOf = GRAPHS.get(path);
  if (graphOf !== undefined)
    return { type: SVG_TYPE, body: toSvg(graphOf(await shown.snapshot())), headers: SVG_HEADERS };
  return await readPart(path);
}

function send(response: ServerResponse, status: number, { type, body, headers }: Answer): void {
  response.writeHead(status, { ...HEADERS, ...headers, "content-type": type });
  response.end(body);
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  {
    shown,
    token,
    hosts,
  }: { readonly shown: Shown; readonly token: string; readonly hosts: readonly string[] },
): Promise<void> {
  const plainly = (status: number, body: string): void =>
    send(response, status, { type: "text/plain; charset=utf-8", body: `${body}\n` });
  const refusal = refusalOf(request, hosts);
  if (refusal !== undefined) return plainly(...refusal);
  let answer: Answer | undefined;
  try {
    const [given, path] = tokenAndPath(request);
    if (!isSame(given, token)) return plainly(403, "wrong token");
    // Relative addresses need the slash.
    if (path === "" && !(request.url ?? "").split("?")[0]?.endsWith("/")) return plainly(404, "add a slash");
    answer = await answerTo(path, shown);
  } catch (error) {
    // A closed table, a file that is gone: said to whoever has the token, who may see everything.
    return plainly(500, textOf(error));
  }
  if (answer === undefined) return plainly(404, "nothing is here");
  send(response, 200, answer);
}

function listen(server: Server, { port = 0, path }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const where = path === undefined ? `127.0.0.1:${port}` : path;
      reject(
        new LparError("LPAR_CANNOT_LISTEN", `${where}: cannot listen there (${error.code ?? error.message})`),
      );
    };
    server.once("error", failed);
    const done = (): void => {
      server.off("error", failed);
      resolve();
    };
    if (path === undefined) server.listen({ host: "127.0.0.1", port }, done);
    else server.listen({ path }, done);
  });
}

/**
 * Starts to serve, on 127.0.0.1 only or on a socket that only this user may open.
 * @throws RangeError for a port or a path that is none, or both of them; LparError LPAR_CANNOT_LISTEN.
 */
export async function serve(shown: Shown, options: ServeOptions = {}): Promise<Serving> {
  const { port, path } = options;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535))
    throw new RangeError(`port is ${textOf(port)}; it must be an integer from 0 to 65535`);
  if (port !== undefined && path !== undefined) throw new RangeError("a port and a path exclude each other");
  // An abstract socket has no mode: everybody may open it.
  if (path !== undefined && (typeof path !== "string" || path === "" || path.includes("\0")))
    throw new RangeError(`path is ${textOf(path)}; it must name a file`);
  if (path !== undefined && Buffer.byteLength(path) > PATH_BYTES_MAX)
    throw new RangeError(`path is ${path}; it must have at most ${PATH_BYTES_MAX} bytes`);
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const hosts: string[] = [];
  const server = createServer({ maxHeaderSize: 16384, requestTimeout: 10_000 }, (request, response) => {
    void handle(request, response, { shown, token, hosts });
  });
  server.maxConnections = CONNECTIONS_MAX;
  // Nor does a page that is open somewhere keep the process alive.
  server.on("connection", (socket) => socket.unref());
  await listen(server, options);
  server.unref();
  let url: string;
  if (path !== undefined) {
    await chmod(path, 0o600);
    hosts.push("127.0.0.1", "localhost");
    url = `unix:${path}#${token}`;
  } else {
    const { port: own } = server.address() as AddressInfo;
    hosts.push(`127.0.0.1:${own}`, `localhost:${own}`);
    url = `http://127.0.0.1:${own}/${token}/`;
  }
  let closed: Promise<void> | undefined;
  return {
    url,
    token,
    close: () => {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve(path === undefined ? undefined : rm(path, { force: true })));
        server.closeAllConnections();
      });
      return closed;
    },
  };
}
