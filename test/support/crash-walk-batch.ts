/**
 * Batches of a walk: requests in staging, and what a call that is stopped leaves of them. Each is a transaction of its own, and its
 * status is written behind its commit, its result behind that. So wherever the thread stops, those of a prefix are answered and
 * have happened; the next one has happened or not, or has and has a status without a result; of the others nothing is begun.
 */
import {
  REQUEST_ARGUMENTS,
  REQUEST_BYTES,
  REQUEST_COOKIE,
  REQUEST_FLAGS,
  REQUEST_LOGICAL,
  REQUEST_LPID,
  REQUEST_RESULT,
  REQUEST_STATUS,
  REQUEST_TOKEN,
  REQUEST_WORDS,
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

/** How a request lies in memory: of calls on grants each other one by words. */
function writeRequest(
  rig: Rig,
  at: number,
  { name, args: [lpid = 0, ...others] }: Call,
  index: number,
): void {
  const token = TOKENS[name] as number;
  const byWords = token >= TOKEN_GRANT && index % 2 === 0;
  rig.setWord(at + REQUEST_TOKEN, byWords ? token | REQUEST_WORDS : token);
  rig.setWord(at + REQUEST_STATUS, NO_STATUS);
  rig.floats[(at + REQUEST_RESULT) / 8] = NO_RESULT;
  if (!byWords) {
    rig.floats[(at + REQUEST_LPID) / 8] = lpid;
    for (const [place, value] of others.entries()) rig.floats[(at + REQUEST_ARGUMENTS) / 8 + place] = value;
    return;
  }
  rig.setWord(at + REQUEST_LPID, lpid);
  if (others.length > 1) rig.setWord(at + REQUEST_FLAGS, others[0] as number);
  if (token !== TOKEN_GRANT) rig.floats[(at + REQUEST_COOKIE) / 8] = others.at(-1) as number;
  else
    for (const [place, value] of others.slice(2).entries())
      rig.setWord(at + REQUEST_LOGICAL + place * 4, value);
}

/** And its answer, as far as there is one. */
function readAnswer(rig: Rig, at: number): Answer {
  const status = rig.word(at + REQUEST_STATUS) | 0;
  return { status, result: rig.floats[(at + REQUEST_RESULT) / 8] as number };
}

export function writeRequests(rig: Rig, at: number, requests: readonly Call[]): void {
  for (const [index, request] of requests.entries())
    writeRequest(rig, at + index * REQUEST_BYTES, request, index);
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
