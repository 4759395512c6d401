/**
 * The replay as it would be written down naively: one reference after the other, Maps whose order is the order of use, no
 * batches, no table. It takes from the engine only the plan of what is shared, and from the options what they mean.
 */
import type { SharingPlan } from "../../src/replay/plan.js";
import type { Trace } from "../../src/trace/format.js";

export interface ModelOptions {
  readonly resident?: number | undefined;
  readonly crash?: boolean | undefined;
  readonly graceMs?: number | undefined;
  readonly quantum: number;
  /** References that all clients together may do in the grace period. */
  readonly graceReferences: number;
}

export interface ModelCounts {
  ok: number;
  notMapped: number;
  permission: number;
  rescinded: number;
  evictions: number;
  copies: number;
  grants: number;
  regrants: number;
  returns: number;
  rescindedReturns: number;
  rescinds: number;
  forced: number;
  tornDown: number;
  lost: number;
  stalls: number;
  graceReferences: number;
  done: number;
}

interface ModelMapping {
  readonly writable: boolean;
  /** The relay's page that it was granted on from. */
  readonly via: number | undefined;
  lost: boolean;
}

interface ModelClient {
  readonly trace: Trace;
  readonly index: number;
  /** By page, the least recently used first. */
  readonly resident: Map<number, ModelMapping>;
  readonly copied: Set<number>;
  position: number;
}

export function modelReplay(traces: readonly Trace[], plan: SharingPlan, options: ModelOptions): ModelCounts {
  return new ReplayModel(traces, plan, options).run();
}

class ReplayModel {
  readonly #plan: SharingPlan;
  readonly #options: ModelOptions;
  readonly #clients: ModelClient[];
  /** By common page that the relay holds, the least recently faulted first: who has it from there. */
  readonly #relay = new Map<number, Set<ModelMapping>>();
  readonly #counts: ModelCounts = {
    ok: 0,
    notMapped: 0,
    permission: 0,
    rescinded: 0,
    evictions: 0,
    copies: 0,
    grants: 0,
    regrants: 0,
    returns: 0,
    rescindedReturns: 0,
    rescinds: 0,
    forced: 0,
    tornDown: 0,
    lost: 0,
    stalls: 0,
    graceReferences: 0,
    done: 0,
  };
  #isDown = false;

  constructor(traces: readonly Trace[], plan: SharingPlan, options: ModelOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#clients = traces.map((trace, index) => ({
      trace,
      index,
      resident: new Map(),
      copied: new Set(),
      position: 0,
    }));
  }

  run(): ModelCounts {
    const counts = this.#counts;
    const total = this.#clients.reduce((sum, { trace }) => sum + trace.length, 0);
    let isCrashDue = this.#options.crash === true;
    const isMiddle = (): boolean => isCrashDue && counts.done === Math.floor(total / 2);
    while (counts.done < total) {
      for (const client of this.#clients) {
        if (isMiddle()) {
          isCrashDue = false;
          this.#crash();
        }
        for (
          let i = 0;
          i < this.#options.quantum && client.position < client.trace.length && !isMiddle();
          i++
        )
          this.#reference(client);
      }
    }
    for (const client of this.#clients)
      for (const page of [...client.resident.keys()]) this.#giveBack(client, page);
    return counts;
  }

  /** One reference to its end; false if it has to wait for the server. */
  #reference(client: ModelClient): boolean {
    const { trace, resident } = client;
    const page = trace.pageIndex[client.position] as number;
    const kind = trace.kind[client.position] as number;
    while (true) {
      const mapping = resident.get(page);
      const isRefused = mapping === undefined || mapping.lost || (kind >= 2 && !mapping.writable);
      if (!isRefused) {
        resident.delete(page);
        resident.set(page, mapping);
        this.#counts.ok += kind === 3 ? 2 : 1;
        this.#counts.done++;
        client.position++;
        return true;
      }
      if (this.#isDown) {
        this.#counts.stalls++;
        return false;
      }
      if (mapping === undefined) {
        this.#counts.notMapped++;
        if (resident.size === (this.#options.resident ?? Number.POSITIVE_INFINITY)) {
          this.#counts.evictions++;
          this.#giveBack(client, resident.keys().next().value as number);
        }
      } else {
        if (mapping.lost) this.#counts.rescinded++;
        else {
          this.#counts.permission++;
          this.#counts.copies++;
          client.copied.add(page);
        }
        this.#giveBack(client, page);
      }
      this.#give(client, page);
    }
  }

  #give(client: ModelClient, page: number): void {
    const plan = this.#plan.traces[client.index];
    if (plan === undefined) throw new Error("no plan");
    const common = plan.common[page] as number;
    const isCommon = common >= 0 && !client.copied.has(page);
    const via = isCommon && plan.relayed[page] === 1 ? common : undefined;
    const mapping: ModelMapping = { writable: !isCommon || plan.readOnly[page] === 0, via, lost: false };
    if (via !== undefined) {
      let users = this.#relay.get(via);
      if (users === undefined) {
        const limit =
          this.#options.resident === undefined ? Infinity : Math.max(1, this.#options.resident >> 2);
        if (this.#relay.size === limit) this.#takeFromRelay(this.#relay.keys().next().value as number);
        users = new Set();
        this.#counts.grants++;
      }
      this.#relay.delete(via);
      this.#relay.set(via, users);
      users.add(mapping);
      this.#counts.regrants++;
    }
    this.#counts.grants++;
    client.resident.set(page, mapping);
  }

  #giveBack(client: ModelClient, page: number): void {
    const mapping = client.resident.get(page) as ModelMapping;
    client.resident.delete(page);
    if (mapping.lost) {
      this.#counts.rescindedReturns++;
      return;
    }
    this.#counts.returns++;
    this.#counts.rescinds++;
    if (mapping.via === undefined) return;
    const users = this.#relay.get(mapping.via) as Set<ModelMapping>;
    users.delete(mapping);
    if (users.size > 0) return;
    this.#relay.delete(mapping.via);
    this.#counts.returns++;
    this.#counts.rescinds++;
  }

  #takeFromRelay(common: number): void {
    const users = this.#relay.get(common) as Set<ModelMapping>;
    for (const mapping of users) mapping.lost = true;
    this.#relay.delete(common);
    this.#counts.forced++;
    this.#counts.tornDown += users.size + 1;
    this.#counts.rescindedReturns++;
  }

  #crash(): void {
    const before = this.#counts.done;
    this.#isDown = true;
    const share = Math.floor(this.#options.graceReferences / this.#clients.length);
    if (this.#options.graceMs !== 0) {
      for (const client of this.#clients) {
        for (let i = 0; i < share && client.position < client.trace.length; i++)
          if (!this.#reference(client)) break;
      }
    }
    this.#counts.graceReferences = this.#counts.done - before;
    this.#isDown = false;
    for (const { resident } of this.#clients) {
      for (const mapping of resident.values()) {
        if (!mapping.lost) this.#counts.lost++;
        mapping.lost = true;
      }
    }
    this.#counts.lost += this.#relay.size;
    this.#counts.rescindedReturns += this.#relay.size;
    this.#relay.clear();
  }
}
