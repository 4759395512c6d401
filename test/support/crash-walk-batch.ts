/**
 * Batches of a walk: requests in staging, and what a call that is stopped leaves of them. Each is a transaction of its own, and its
 * status is written behind its commit, its result behind that. So wherever the thread stops, those of a prefix are answered and
 * have happened; the next one has happened or not, or has and has a status without a result; of the others nothing is begun.
 */
import {
  REQUEST_BYTES,
  REQUEST_RESULT,
  REQUEST_STATUS,
  TOKEN_ACCEPT,
  TOKEN_GET_TCE,
  TOKEN_GRANT,
  TOKEN_PUT_TCE,
  TOKEN_RESCIND,
  TOKEN_RETURN,
  TOKEN_STUFF_TCE,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";
import type { Call } from "./crash-walk-calls.js";
import { writeRequest } from "./requests.js";

const TOKENS: Readonly<Record<string, number>> = {
  acceptLogical: TOKEN_ACCEPT,
  getTce: TOKEN_GET_TCE,
  grantLogical: TOKEN_GRANT,
  putTce: TOKEN_PUT_TCE,
  rescindLogical: TOKEN_RESCIND,
  returnLogical: TOKEN_RETURN,
  stuffTce: TOKEN_STUFF_TCE,
};

/** What no request is answered with. */
const NO_STATUS = 0x5eed;
const NO_RESULT = -1;

export interface Answer {
  readonly status: number;
  readonly result: number;
}

export function hasRequest({ name }: Call): boolean {
  return name in TOKENS;
}

/** Each other one that is about grants by words. */
function putRequest(rig: Rig, at: number, { name, args: [lpid = 0, ...others] }: Call, index: number): void {
  rig.setWord(at + REQUEST_STATUS, NO_STATUS);
  rig.floats[(at + REQUEST_RESULT) / 8] = NO_RESULT;
  writeRequest(rig, at, TOKENS[name] as number, lpid, others, index % 2 === 0);
}

/** Its answer, as far as there is one. */
function readAnswer(rig: Rig, at: number): Answer {
  const status = rig.word(at + REQUEST_STATUS) | 0;
  return { status, result: rig.floats[(at + REQUEST_RESULT) / 8] as number };
}

export function writeRequests(rig: Rig, at: number, requests: readonly Call[]): void {
  for (const [index, request] of requests.entries())
    putRequest(rig, at + index * REQUEST_BYTES, request, index);
}

/** The answers to the first requests, up to the one in which the call was stopped. @throws if any behind that one was touched. */
export function readAnswers(rig: Rig, at: number, requests: readonly Call[]): Answer[] {
  const all = requests.map((_, index) => readAnswer(rig, at + index * REQUEST_BYTES));
  const isWhole = ({ status, result }: Answer): boolean => status !== NO_STATUS && result !== NO_RESULT;
  const count = all.findIndex((answer) => !isWhole(answer));
  if (count < 0) return all;
  const half = all[count] as Answer;
  const later = all.slice(count + 1);
  if (
    half.result !== NO_RESULT ||
    later.some(({ status, result }) => status !== NO_STATUS || result !== NO_RESULT)
  )
    throw new Error(`requests behind number ${count} of a batch were answered: ${JSON.stringify(all)}`);
  return all.slice(0, count);
}
