/** A thread of the suite contention: does cycles of grants, or accepts and returns one grant, or reads. */
import { workerData } from "node:worker_threads";
import { hcalls } from "../src/hcall.js";
import type { Partition, VirtualAdapter } from "../src/index.js";
import { H_PARAMETER, H_SUCCESS, PAGE_BYTES } from "../src/layout.js";
import { currentPartition } from "../src/worker.js";
import { checked, makeData, plain, type Size as ReadSize } from "./access.js";
import { type Cycles, cyclesOfCalls, cyclesOfObjects } from "./cycles.js";
import { takeOrders } from "./orders.js";
import { Random } from "./random.js";
import { type Shift, work } from "./shift.js";
import type { Contender, Sample } from "./suite.js";

/** What the thread is for. */
export type Plan =
  | {
      readonly work: "cycles";
      readonly isRaw: boolean;
      /** Partitions that the grants go from and to; one of them is this thread. */
      readonly server: number;
      readonly client: number;
      /** First address of the server's that it grants. */
      readonly base: number;
      readonly live: number;
      readonly seed: number;
    }
  | { readonly work: "one grant"; readonly client: number; readonly cookie: number }
  | { readonly work: "read"; readonly bytes: number; readonly seed: number };

/** What a thread that accepts and returns one grant was answered. */
export interface Taken {
  readonly accepted: number;
  readonly returned: number;
}

export interface ReadOrder {
  readonly who: "checked" | "buffer" | "copy";
  readonly timeMs: number;
}

/** Cycles between two looks at the clock. */
const BLOCK = 10;
const TAKES = 1000;

/** The adapter between the two, and their objects in this thread, of which one is its own. */
function sides(server: number, client: number): [Partition, Partition, VirtualAdapter] {
  const own = currentPartition();
  const partner = own.lpid === server ? client : server;
  const adapter = own.adapters.find((one) => one.partner.lpid === partner);
  if (adapter === undefined) throw new Error(`no adapter joins partitions ${server} and ${client}`);
  return own.lpid === server ? [own, adapter.partner, adapter] : [adapter.partner, own, adapter.peer];
}

function openCycles(plan: Plan & { work: "cycles" }): void {
  const { live, seed, base } = plan;
  const [server, client, adapter] = sides(plan.server, plan.client);
  const size = { live, seed, base, pages: 1 };
  const calls = hcalls(currentPartition());
  const cycler: Cycles = plan.isRaw
    ? cyclesOfCalls(
        calls,
        { server: server.lpid, clients: [client.lpid], units: [adapter.unitAddress] },
        size,
      )
    : cyclesOfObjects({ server, clients: [client], units: [adapter] }, size);
  const order = new Random(seed).shuffled(live);
  let position = 0;
  const check = (): string => {
    let stale = 0;
    let right = 0;
    for (let i = 0; i < live; i++) {
      const k = order[i] as number;
      const old = cycler.cookie(k);
      const address = cycler.cycles(order, i, 1);
      if (calls.acceptLogical(client.lpid, old) === H_PARAMETER) stale++;
      // The client must reach the very frame that the server has granted.
      if (client.translate(address, { write: true }) === server.translate(base + k * PAGE_BYTES)) right++;
    }
    return `cycles ${live}, stale ${stale}, mapped right ${right}`;
  };
  takeOrders({
    work: (shift: Shift) =>
      work(shift, BLOCK, () => {
        cycler.cycles(order, position, BLOCK);
        position = (position + BLOCK) % live;
      }),
    check,
  });
}

function openOneGrant({ client, cookie }: Plan & { work: "one grant" }): void {
  const calls = hcalls(currentPartition());
  let accepted = 0;
  let returned = 0;
  /** Whether it was this thread that did it; only that the other one was first may stand against it. */
  const took = (status: number): number => {
    if (status !== H_SUCCESS && status !== H_PARAMETER) throw new Error(`the grant was answered ${status}`);
    return status === H_SUCCESS ? 1 : 0;
  };
  const block = (): void => {
    for (let i = 0; i < BLOCK; i++) {
      accepted += took(calls.acceptLogical(client, cookie));
      returned += took(calls.returnLogical(client, cookie));
    }
  };
  takeOrders({
    work: (shift: Shift) => work(shift, 2 * BLOCK, block),
    check: (): Taken => {
      for (let i = 0; i < TAKES / BLOCK; i++) block();
      return { accepted, returned };
    },
    counts: (): Taken => ({ accepted, returned }),
  });
}

function openRead({ bytes, seed }: Plan & { work: "read" }): void {
  const data = makeData(bytes, seed);
  const size: ReadSize = { mode: "read", bytes, isScattered: false };
  const contenders: Readonly<Record<ReadOrder["who"], Contender>> = {
    checked: checked(currentPartition(), data, size),
    buffer: checked(currentPartition(), data, { ...size, isTableBuffer: true }),
    copy: plain(data, size),
  };
  takeOrders({
    measure: ({ who, timeMs }: ReadOrder): Promise<Sample> => contenders[who].measure(timeMs),
    check: ({ who }: ReadOrder): Promise<string> => contenders[who].check(),
  });
}

const plan = workerData as Plan;
if (plan.work === "cycles") openCycles(plan);
else if (plan.work === "one grant") openOneGrant(plan);
else openRead(plan);
