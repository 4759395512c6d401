import { test } from "vitest";
import { builtCore, isWhatShips } from "./support/crash-core.js";
import { Net, type Tally } from "./support/crash-net.js";
import { SCENARIOS } from "./support/crash-scenarios.js";
import { Draw } from "./support/draw.js";

test("dev", { timeout: 0 }, () => {
  const core = builtCore();
  console.log("ships", isWhatShips(), core.sites.length);
  const covered = new Uint8Array(core.sites.length);
  const tally: Tally = { points: 0, pairs: 0, complete: 0 };
  const only = process.env.ONLY;
  const pairs = Number(process.env.PAIRS ?? 0);
  let bad = 0;
  const t0 = performance.now();
  for (const scenario of SCENARIOS) {
    if (only !== undefined && !scenario.name.includes(only)) continue;
    const t = performance.now();
    const p = tally.points;
    try {
      const net = new Net(core, scenario, tally, covered);
      const most = Math.min(scenario.most ?? 1e9, Number(process.env.POINTS ?? 300));
      net.crashPoints(most, new Draw(1));
      if (pairs > 0) net.crashPairs(Math.min(pairs, scenario.most ?? 1e9), new Draw(2));
      if (process.env.SHOW)
        console.log("ok", scenario.name, net.stores, tally.points - p, Math.round(performance.now() - t));
    } catch (error) {
      bad++;
      console.log("BAD", scenario.name, String(error), process.env.STACK ? (error as Error).stack : "");
    }
  }
  console.log(
    tally,
    "bad",
    bad,
    "sites",
    covered.reduce((a, b) => a + b, 0),
    "of",
    core.sites.length,
    performance.now() - t0,
  );
  if (process.env.UNCOVERED) {
    const per = new Map<string, number>();
    for (const [i, s] of core.sites.entries()) if (!covered[i]) per.set(s.name, (per.get(s.name) ?? 0) + 1);
    if (process.env.UNCOVERED === "2")
      for (const [i, st] of core.sites.entries())
        if (!covered[i] && !/audit|access|open|translate|control/.test(st.name))
          console.log(st.name, "::", st.text);
    console.log([...per].map(([a, b]) => `${a} ${b}`).join("\n"));
  }
});
