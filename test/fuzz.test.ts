/**
 * Every exported function of the core with hostile numbers among right ones: no trap, known answers, a refusal changes
 * nothing (G1, G2), and the audit stays clean.
 *
 * LPAR_FUZZ_CALLS=1000000000 for a nightly run, LPAR_FUZZ_SEED to repeat one.
 */
import { expect, test } from "vitest";
import { Fuzz } from "./support/fuzz.js";

const CALLS = Number(process.env.LPAR_FUZZ_CALLS ?? 1_000_000);
const SEED = Number(process.env.LPAR_FUZZ_SEED ?? Date.now() % 2 ** 31);
const DEV = process.env.LPAR_DEV_WASM
  ? new WebAssembly.Module((await import("node:fs")).readFileSync(process.env.LPAR_DEV_WASM))
  : undefined;
/** Calls on one table; then a fresh one is begun. */
const CALLS_PER_TABLE = 20_000;
/** Calls between two audits. */
const CHECK_EVERY = 200;
/** Of so many calls one is watched byte by byte. */
const WATCH_EVERY = 8;

test(`G2: ${CALLS} calls of every exported function neither trap nor break an invariant`, {
  timeout: 0,
}, () => {
  const seen = new Map<string, number>();
  const start = performance.now();
  let calls = 0;
  for (let round = 0; calls < CALLS; round++) {
    const seed = SEED ^ Math.imul(round, 0x9e3779b1);
    const fuzz = new Fuzz(seed, seen, DEV);
    try {
      for (let index = 0; fuzz.calls < CALLS_PER_TABLE; index++) {
        fuzz.step(index % WATCH_EVERY === 0);
        if (index % CHECK_EVERY === 0) fuzz.check();
      }
      fuzz.check();
    } catch (error) {
      throw new Error(`seed ${SEED}, table ${round}, call ${fuzz.calls}`, { cause: error });
    }
    calls += fuzz.calls;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`fuzz: ${calls} calls in ${seconds} s, seed ${SEED}`);
  if (process.env.LPAR_FUZZ_COVERAGE !== undefined) {
    for (const [key, count] of [...seen].sort()) console.log(`${key}: ${count}`);
  }
  expect(calls).toBeGreaterThanOrEqual(CALLS);
});
