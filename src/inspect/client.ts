/** Asks the inspector of another process: its snapshot, and its audit. */
import { request } from "node:http";
import type { AuditReport } from "../audit.js";
import { LparError } from "../errors.js";
import type { TableSnapshot } from "../snapshot.js";
import { parseSnapshot, SnapshotError } from "./parse.js";
import { printable } from "./words.js";

const ANSWER_MAX_BYTES = 2 ** 28;
const PATIENCE_MS = 10_000;

/** Where an inspector listens. */
export interface InspectorPlace {
  /** For messages: without the token. */
  readonly shown: string;
  readonly token: string;
  /** A port of 127.0.0.1, or the path of a Unix socket. */
  readonly listen: { readonly port: number } | { readonly socketPath: string };
}

const TOKEN = /^[A-Za-z0-9_-]{16,128}$/;

/**
 * Reads the address that openInspector() answers: `http://127.0.0.1:<port>/<token>/` or `unix:<path>#<token>`.
 * @returns undefined if it is none.
 */
export function parsePlace(address: string): InspectorPlace | undefined {
  const unix = /^unix:(.+)#([^#]+)$/.exec(address);
  if (unix !== null) {
    const [, socketPath = "", token = ""] = unix;
    return TOKEN.test(token) ? { shown: `unix:${socketPath}`, token, listen: { socketPath } } : undefined;
  }
  const url = /^http:\/\/(?:127\.0\.0\.1|localhost):(\d{1,5})\/([^/]+)\/?$/.exec(address);
  if (url === null) return undefined;
  const [port, token = ""] = [Number(url[1]), url[2]];
  if (port < 1 || port > 65535 || !TOKEN.test(token)) return undefined;
  return { shown: `http://127.0.0.1:${port}`, token, listen: { port } };
}

/** @throws LparError LPAR_UNREACHABLE, LPAR_REFUSED; the reason of the signal. */
function get(place: InspectorPlace, what: string, signal?: AbortSignal): Promise<string> {
  const unreachable = (reason: string): LparError =>
    new LparError("LPAR_UNREACHABLE", `${place.shown}: no inspector answers there (${reason})`);
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        ...place.listen,
        path: `/${what}`,
        headers: { authorization: `Bearer ${place.token}` },
        timeout: PATIENCE_MS,
        ...(signal === undefined ? {} : { signal }),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_MAX_BYTES) asked.destroy(new Error(`more than ${ANSWER_MAX_BYTES} bytes`));
          else chunks.push(chunk);
        });
        answer.on("error", (error) => reject(unreachable(error.message)));
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          if (answer.statusCode === 200) resolve(text);
          else if (answer.statusCode === 403)
            reject(new LparError("LPAR_REFUSED", `${place.shown}: the token is not that inspector's`));
          else
            reject(
              new LparError(
                "LPAR_REFUSED",
                `${place.shown}: ${answer.statusCode} ${printable(text.trim().slice(0, 200))}`,
              ),
            );
        });
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", (error: NodeJS.ErrnoException) => {
      reject(signal?.aborted === true ? signal.reason : unreachable(error.code ?? error.message));
    });
    asked.end();
  });
}

/** The snapshot of the process behind an inspector. @throws LparError, SnapshotError; the reason of the signal. */
export async function fetchSnapshot(place: InspectorPlace, signal?: AbortSignal): Promise<TableSnapshot> {
  return parseSnapshot(place.shown, await get(place, "snapshot.json", signal));
}

/** Has the process audit its table. @throws LparError, SnapshotError; the reason of the signal. */
export async function fetchAudit(place: InspectorPlace, signal?: AbortSignal): Promise<AuditReport> {
  const text = await get(place, "audit.json", signal);
  let report: Partial<AuditReport> | null = null;
  try {
    report = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (!Array.isArray(report?.problems) || typeof report.checked !== "number")
    throw new SnapshotError(place.shown, "its answer is no audit");
  return { problems: report.problems.map(String), checked: report.checked };
}
