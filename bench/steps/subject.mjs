/** The process whose instructions are counted: one way of a scenario, warmed up, then two sections of N and 2 N operations. */
import { pid } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { planRuns } from "../../dist/bench/plan.js";

const [suite, number, way, operations] = process.argv.slice(2);
const plan = planRuns({ suites: [suite], quick: false, timeMs: 100, repetitions: 1, seed: 1 });
const stage = await plan[Number(number)].scenario.open({ seed: 1, native: undefined, signal: undefined });
const { contender } = stage.ways[Number(way)];
const { operation } = contender;
if (operation === undefined) throw new Error("the operations of this way do not stand alone");

function run(count) {
  for (let i = 0; i < count; i++) operation();
}

// The engine's map of functions is named by it.
console.log(pid);
await contender.check();
for (let i = 0; i < 3; i++) await contender.measure(500);
// The engine compiles in the background; what comes after it must be compiled, too.
for (let i = 0; i < 2; i++) {
  for (let j = 0; j < 1000; j++) run(100);
  for (let j = 0; j < 20; j++) {
    process.kill(pid, 0);
    run(Number(operations));
  }
  await sleep(300);
}
for (const times of [1, 2]) {
  process.kill(pid, "SIGUSR2");
  run(times * Number(operations));
  process.kill(pid, "SIGUSR2");
}
process.exit(0);
