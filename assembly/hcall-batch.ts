/**
 * The batch form of the four hypercalls: an array of requests in staging, a status and a result per element, one
 * crossing. The requests are carried out in order; one that fails does not stop the others.
 *
 *     0     4      8    16                        56
 *     token status lpid five arguments (f64)      result ... 64
 *
 * Before it works on a request it touches the record that a later one names: Wasm has no prefetch, but a load whose
 * value nobody waits for is one.
 */
import {
  H_FUNCTION,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_RESULT,
  REQUEST_ARGUMENTS,
  REQUEST_BYTES,
  REQUEST_LPID,
  REQUEST_RESULT,
  REQUEST_STATUS,
  REQUEST_TOKEN,
  TOKEN_ACCEPT,
  TOKEN_GRANT,
  TOKEN_RESCIND,
  TOKEN_RETURN,
} from "../src/layout";
import { decodeInteger } from "./decode";
import { acceptLogical, grantLogical, rescindLogical, returnLogical } from "./hcall-logical";
import { inStaging } from "./memory";

function argument(request: usize, index: usize): f64 {
  return load<f64>(request + REQUEST_ARGUMENTS + (index << 3));
}

/** Carries out one request. The token is read once: what is checked is what is used. */
function carryOut(request: usize): i32 {
  const lpid = load<f64>(request, REQUEST_LPID);
  switch (load<u32>(request, REQUEST_TOKEN)) {
    case TOKEN_GRANT:
      return grantLogical(
        lpid,
        argument(request, 0),
        argument(request, 1),
        argument(request, 2),
        argument(request, 3),
        argument(request, 4),
      );
    case TOKEN_ACCEPT:
      return acceptLogical(lpid, argument(request, 0));
    case TOKEN_RETURN:
      return returnLogical(lpid, argument(request, 0));
    case TOKEN_RESCIND:
      return rescindLogical(lpid, argument(request, 0), argument(request, 1));
    default:
      return H_FUNCTION;
  }
}

/** Carries out `count` requests at `offset`. */
export function hcallBatch(offset: f64, count: f64): i32 {
  const at = decodeInteger(offset);
  const requests = decodeInteger(count);
  if (!inStaging(at, <u64>requests * REQUEST_BYTES)) return H_PARAMETER;
  for (let i: u32 = 0; i < requests; i++) {
    const request = <usize>at + <usize>i * REQUEST_BYTES;
    store<f64>(HEADER_RESULT, 0);
    store<i32>(request, carryOut(request), REQUEST_STATUS);
    store<f64>(request, load<f64>(HEADER_RESULT), REQUEST_RESULT);
  }
  return H_SUCCESS;
}
