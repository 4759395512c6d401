import { pid } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { openGrants, routeOf, drawOrder } from "/work/main/dist/bench/grant.js";
import { cyclesOfCalls } from "/work/main/dist/bench/cycles.js";
import { hcalls } from "/work/main/dist/src/hcall.js";
const [live, pages, operations] = process.argv.slice(2).map(Number);
const size = { live, pages, seed: 1 };
const world = openGrants(size);
const { cycles } = cyclesOfCalls(world.h, routeOf(world), size);
const order = drawOrder(size).grants;
console.log(pid);
let sum = 0;
for (let i = 0; i < 3000; i++) { sum += cycles(order, (i * 32) % (live - 100), 32); if (i % 200 === 0) await sleep(20); }
await sleep(300);
for (let i = 0; i < 1000; i++) sum += cycles(order, (i * 32) % (live-100), 32);
for (let i = 0; i < 20; i++) { process.kill(pid, 0); sum += cycles(order, 0, operations); }
await sleep(300);
for (const times of [1, 2]) {
  process.kill(pid, "SIGUSR2");
  sum += cycles(order, 0, times * operations);
  process.kill(pid, "SIGUSR2");
}
if (process.env.LPAR_DUMP) {
  const fs = await import("node:fs");
  const map = fs.readFileSync("/tmp/perf-" + pid + ".map", "utf8").trim().split("\n");
  const mem = fs.openSync("/proc/self/mem", "r");
  const out = [];
  for (const line of map) {
    const [, a, l, name] = /^([0-9a-f]+) ([0-9a-f]+) (.*)$/.exec(line);
    if (!/wasm|cycles|JS:/i.test(name)) continue;
    const b = Buffer.alloc(parseInt(l, 16));
    try { fs.readSync(mem, b, 0, b.length, parseInt(a, 16)); } catch { continue; }
    out.push(a + " " + name + "\t" + b.toString("hex"));
  }
  fs.writeFileSync("/tmp/w/asm/loop-code.txt", out.join("\n"));
}
process.exit(0);
