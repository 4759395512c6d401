/** Suite modes: the cycle of a grant by lends, raw, against the same cycle by shares. */
import type { Hcalls } from "../src/hcall.js";
import { MODE_LEND, MODE_ZERO } from "../src/layout.js";
import { cyclesOfCalls } from "./cycles.js";
import { contender, openGrants, routeOf, usageOf } from "./grant.js";
import type { RawCalls } from "./map-table.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";

/** Raw calls whose every grant is a lend. */
function lending(h: Hcalls, mode: number): RawCalls {
  return {
    get r4() {
      return h.r4;
    },
    grantLogical: (lpid, flags, hi, lo, length, unit) => h.grantMode(lpid, flags, hi, lo, length, unit, mode),
    acceptLogical: (lpid, cookie) => h.acceptLogical(lpid, cookie),
    returnLogical: (lpid, cookie) => h.returnLogical(lpid, cookie),
    rescindLogical: (lpid, flags, cookie) => h.rescindLogical(lpid, flags, cookie),
    translate: (lpid, type, address, length, need) => h.translate(lpid, type, address, length, need),
  };
}

/** The same cycle by lends, against shares in the same run. */
function lendScenario(live: number, pages: number): Scenario {
  const name = `${live} live, ${pages === 1 ? "1 page" : `${pages} pages`}`;
  const open = async ({ seed }: Context): Promise<Stage> => {
    const size = { live, pages, seed };
    const worlds = [openGrants(size), openGrants(size), openGrants(size)] as const;
    const [plain, zeroed, share] = worlds.map((world, index): Contender => {
      const calls = index === 2 ? world.h : lending(world.h, index === 1 ? MODE_LEND | MODE_ZERO : MODE_LEND);
      const route = routeOf(world);
      return contender({ calls, route, ...cyclesOfCalls(calls, route, size) }, usageOf(world), size);
    }) as [Contender, Contender, Contender];
    return {
      ways: [
        { what: `lend, ${name}`, contender: plain, versus: "share" },
        { what: `lend with zero on return, ${name}`, contender: zeroed, versus: "share" },
      ],
      baselines: { share },
      audit: () => worlds.flatMap(({ table }) => table.audit().problems),
      close: async () => {
        for (const { table } of worlds) await table.close();
      },
    };
  };
  return { name: `lend, ${name}`, open };
}

export function modesScenarios(): readonly Scenario[] {
  return [lendScenario(1000, 1), lendScenario(1000, 16)];
}
