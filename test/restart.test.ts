/** Restart policies: how long each restart is waited for. */
import { expect, test } from "vitest";
import { type RestartPolicy, Restarts } from "../src/restart.js";

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

/** The delays of restarts by a policy, of a partition that fails again so many milliseconds after each of its starts. */
function delaysAfter(policy: RestartPolicy, lives: readonly number[]): number[] {
  const delays: number[] = [];
  let now = 1e6;
  const clock = {
    now: () => now,
    setTimeout: (_: () => void, ms: number) => {
      delays.push(ms);
      now += ms;
      return { cancel: () => {} };
    },
  };
  const restarts = new Restarts(policy);
  for (const life of [0, ...lives]) {
    now += life;
    restarts.schedule(clock, () => {});
  }
  return delays;
}

test("a partition that went on for 30 seconds starts again as soon as at first: one failure a day costs no more each day", () => {
  expect(delaysAfter({ max: 9 }, [0, 0, 29_999, 30_000, 10, 86_400_000])).toEqual([
    100, 200, 400, 800, 100, 200, 100,
  ]);
  expect(delaysAfter({ max: 3, backoffMs: 5 }, [30_000, 30_000, 30_000])).toEqual([5, 5, 5]);
});

test("what is always to be there is waited for a second at most, and as at first once it has gone for one", () => {
  expect(delaysAfter("always", [0, 0, 999, 0, 0, 1000, 0])).toEqual([
    100, 200, 400, 800, 1000, 1000, 100, 200,
  ]);
});

test("a delay that is asked for and longer than 30 seconds is not shortened", () => {
  expect(delaysOf(60_000, 3)).toEqual([60_000, 60_000, 60_000]);
  expect(delaysOf(2 ** 31 - 1, 2)).toEqual([2 ** 31 - 1, 2 ** 31 - 1]);
});

test("the delay doubles up to 30 seconds, however many restarts there are; without a delay there is never one", () => {
  expect(delaysOf(100, 11)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  expect(delaysOf(1, 20).slice(13)).toEqual([8192, 16384, 30000, 30000, 30000, 30000, 30000]);
  expect(new Set(delaysOf(2, 3000).slice(14))).toEqual(new Set([30000]));
  expect(new Set(delaysOf(0, 3000))).toEqual(new Set([0]));
});
