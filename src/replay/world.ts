/** The table of a replay: a server that owns every page, a relay, and a client for each trace, all joined. */
import type { Clock } from "../clock.js";
import { type Hcalls, hcalls } from "../hcall.js";
import { type Partition, ResourceTable } from "../index.js";
import { ENDS_LIMIT, FRAMES_LIMIT, PAGE_BYTES, PARTITIONS_LIMIT } from "../layout.js";
import type { Trace } from "../trace/format.js";
import { Client } from "./client.js";
import type { Ledger } from "./ledger.js";
import type { CheckedOptions } from "./options.js";
import { Pager } from "./pager.js";
import { planSharing, type SharingPlan } from "./plan.js";

/** A trace and the name of its client. */
export interface NamedTrace {
  readonly name: string;
  readonly trace: Trace;
}

/** A client has an adapter to the server and one to the relay, and another one to the server after a crash. */
const ADAPTERS_PER_CLIENT = 3;
const TRACES_MAX = Math.min(PARTITIONS_LIMIT - 2, Math.floor((ENDS_LIMIT - 1) / 2 / ADAPTERS_PER_CLIENT) - 2);

export class World {
  readonly plan: SharingPlan;
  readonly table: ResourceTable;
  readonly server: Partition;
  readonly relay: Partition;
  readonly clients: readonly Client[];
  readonly pager: Pager;
  /** Pages of each partition's logical space. */
  readonly logicalPages: number;
  readonly #quotas: readonly number[];

  /** @throws RangeError if there are too many traces, or if their pages do not fit one table. */
  constructor(traces: readonly NamedTrace[], options: CheckedOptions, ledger: Ledger, clock: Clock) {
    if (traces.length === 0 || traces.length > TRACES_MAX)
      throw new RangeError(`traces are ${traces.length}; there must be 1 to ${TRACES_MAX} of them`);
    this.#quotas = traces.map(({ trace }) => trace.pages.length);
    this.plan = planSharing(this.#quotas, options.share, options.seed);
    const { serverPages, commonPages } = this.plan;
    if (serverPages >= FRAMES_LIMIT)
      throw new RangeError(
        `the traces use ${serverPages} pages, common ones included; a table has at most ${FRAMES_LIMIT - 1}`,
      );
    // Nothing is ever mapped in the last page.
    this.logicalPages = serverPages + 1;
    const batches = traces.map(({ trace }) => Math.min(options.batch, trace.length));
    const batchPages = batches.reduce((sum, batch) => sum + 2 * Math.ceil((batch * 20 + 4) / PAGE_BYTES), 0);
    this.table = ResourceTable.create({
      memory: serverPages * PAGE_BYTES,
      logicalSpace: this.logicalPages * PAGE_BYTES,
      spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
      partitions: traces.length + 2,
      // The server's memory, every page of every client, and the relay's; what is lost is returned before it is replaced.
      grants: 1 + serverPages + commonPages,
      adapters: ADAPTERS_PER_CLIENT * traces.length + 2,
      views: 1,
      staging: batchPages * PAGE_BYTES,
      gracePeriodMs: options.graceMs,
      clock,
    });
    const h: Hcalls = hcalls(this.table);
    this.server = this.table.createPartition({ name: "server", memory: serverPages * PAGE_BYTES });
    this.relay = this.table.createPartition({ name: "relay" });
    const hole = serverPages * PAGE_BYTES;
    this.clients = traces.map(({ name, trace }, index) => {
      const partition = this.table.createPartition({ name });
      const plan = this.plan.traces[index];
      if (plan === undefined) throw new Error("the plan lacks a trace");
      return new Client(partition, trace, h, ledger, {
        plan,
        resident: options.resident,
        batch: batches[index] ?? 1,
        hole,
      });
    });
    for (const client of this.clients) {
      const grants = client.trace.pages.length;
      client.relayUnit = this.table.connect(this.relay, client.partition, { grants }).unitAddress;
    }
    this.pager = new Pager(h, ledger, this.plan, this, options.resident);
    this.connectServer();
  }

  /** Joins the server with its partners, at the start and after each restart. */
  connectServer(): void {
    for (const client of this.clients) {
      const grants = client.trace.pages.length;
      client.serverUnit = this.table.connect(this.server, client.partition, { grants }).unitAddress;
    }
    const relayed = this.table.connect(this.server, this.relay, {
      grants: Math.max(1, this.plan.commonPages),
    });
    this.pager.open(relayed.unitAddress);
  }
}
