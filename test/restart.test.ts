/** Restart policies: how long each restart is waited for. */
import { expect, test } from "vitest";
import { Restarts } from "../src/restart.js";

/** The delays of the first restarts. */
function delaysOf(backoffMs: number, count: number): number[] {
  const delays: number[] = [];
  const clock = {
    now: () => 0,
    setTimeout: (_: () => void, ms: number) => {
      delays.push(ms);
      return { cancel: () => {} };
    },
  };
  const restarts = new Restarts({ max: count, backoffMs });
  for (let left = count; left > 0; left--) expect(restarts.schedule(clock, () => {})).toBe(true);
  expect([restarts.done, restarts.schedule(clock, () => {})]).toEqual([count, false]);
  return delays;
}

test("the delay doubles up to 30 seconds, however many restarts there are; without a delay there is never one", () => {
  expect(delaysOf(100, 11)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  expect(delaysOf(1, 20).slice(13)).toEqual([8192, 16384, 30000, 30000, 30000, 30000, 30000]);
  expect(new Set(delaysOf(2, 3000).slice(14))).toEqual(new Set([30000]));
  expect(new Set(delaysOf(0, 3000))).toEqual(new Set([0]));
});
