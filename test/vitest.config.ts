/** How all tests are run together. */
import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those that take longest, longest first: begun last, they would go on alone. */
const LONGEST = [
  "crash",
  "mutants",
  "schedule",
  "bench-cli",
  "model",
  "crash-walks",
  "chaos-cli",
  "threads-deaths",
];

function placeOf({ moduleId }: TestSpecification): number {
  const place = LONGEST.indexOf(basename(moduleId, ".test.ts"));
  return place < 0 ? LONGEST.length : place;
}

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}

export default {
  test: {
    dir: "test",
    maxWorkers: "100%",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    sequence: { sequencer: LongestFirst },
  },
};
