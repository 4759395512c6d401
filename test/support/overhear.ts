/**
 * Every hypercall that the object API makes on a real table is made on the naive model as well, also those of recoveries and
 * rescinds that go on by themselves between two commands; and none is made before its time.
 */
import { H_PARTIAL, H_SUCCESS, RESCIND_FORCED } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import {
  adapterBetweenOnBoth,
  addWordOnBoth,
  allocateOnBoth,
  beginUseOnBoth,
  checkAccessOnBoth,
  copyOnBoth,
  deallocateOnBoth,
  exchangeWordOnBoth,
  fillOnBoth,
  loadOnBoth,
  loadWordOnBoth,
  storeOnBoth,
  storeWordOnBoth,
  translateOnBoth,
} from "./compare-access.js";
import { digestOnBoth, mergeOnBoth } from "./compare-copies.js";
import {
  armOnBoth,
  endOnBoth,
  maskOnBoth,
  raiseOnBoth,
  ringOnBoth,
  takeLineOnBoth,
} from "./compare-lines.js";
import { compactOnBoth, findFramesOnBoth, gatherOnBoth } from "./compare-moves.js";
import {
  beginDmaOnBoth,
  findWindowOnBoth,
  getTceOnBoth,
  loadDmaOnBoth,
  putTceListOnBoth,
  putTceOnBoth,
  storeDmaOnBoth,
  stuffTceOnBoth,
} from "./compare-tces.js";
import { lentBy } from "./model-defer.js";
import { ensure, isUnderRevocation, type ModelEvent } from "./model-records.js";

/** A forced rescind that is not over: the client has until `due`. */
export interface PendingRescind {
  readonly cookie: number;
  readonly ms: number;
  readonly due: number;
  /** Somebody else has begun to take it by force, and this one has joined in. */
  isJoined: boolean;
}

/** A failure whose recovery is not over. */
export interface Failure {
  readonly at: number;
  /** Whether others had anything of the partition. */
  readonly isOwed: boolean;
  /** Nobody waits any more: reclaim(), or the end for good. */
  isForced: boolean;
}

export class Overheard {
  readonly twins: Twins;
  readonly graceMs: number;
  readonly rescinds = new Set<PendingRescind>();
  readonly failures = new Map<number, Failure>();
  /** The partitions that wait for their borrowers when they fail. */
  readonly deferring = new Set<number>();
  /** What went wrong first: it may have come where nobody could catch it. */
  first: unknown;
  /** The answers of the last few calls, until somebody empties it. */
  answers: number[] = [];
  /** Their second results. */
  results: number[] = [];
  /** The place in its owner's space that a device's last transfer named. */
  window = 0;
  /** The partitions whose events some stream takes. */
  readonly listening = new Set<number>();
  /** Who hears of each event, interrupt and doorbell that a partition takes. */
  taken: (lpid: number, event: ModelEvent) => void = () => {};

  constructor(twins: Twins, graceMs: number) {
    this.twins = twins;
    this.graceMs = graceMs;
    const { core } = twins;
    const mirrored = this.#mirrored() as Record<string | symbol, unknown>;
    const heard = new Proxy({} as typeof core, {
      get: (_, name) => mirrored[name] ?? (core as unknown as Record<string | symbol, unknown>)[name],
    });
    (twins.kernel as { core: typeof core }).core = heard;
  }

  /** @throws what went wrong first. */
  rethrow(): void {
    if (this.first !== undefined) throw this.first;
  }

  /** Whether the server's part of a recovery may begin. */
  mayTake(lpid: number): boolean {
    const failure = this.failures.get(lpid);
    const partition = this.twins.model.partitions.get(lpid);
    if (failure === undefined || partition === undefined) return false;
    if (failure.isForced || partition.state === "recovering") return true;
    if (this.deferring.has(lpid))
      return lentBy(this.twins.model, partition).every(({ source }) => source.kind === "grant");
    return !failure.isOwed || this.twins.clock.now() >= failure.at + this.graceMs;
  }

  #mirrored(): Partial<Record<keyof Twins["core"], (...args: never[]) => number>> {
    const { twins } = this;
    const noting =
      <A extends unknown[]>(call: (...args: A) => number) =>
      (...args: A): number => {
        try {
          const status = call(...args);
          this.answers.push(status);
          this.results.push(this.twins.kernel.memory.result);
          return status;
        } catch (error) {
          this.first ??= error;
          throw error;
        }
      };
    /** A call that is made on both tables, and is the business of nobody else. */
    const both = <A extends unknown[]>(call: (twins: Twins, ...args: A) => number) =>
      noting((...args: A) => call(twins, ...args));
    const accept = noting((lpid: number, cookie: number) => twins.accept(lpid, cookie));
    const giveBack = noting((lpid: number, cookie: number) => twins.return(lpid, cookie));
    const rescind = noting((lpid: number, flags: number, cookie: number) => {
      if (flags === RESCIND_FORCED) this.#ensureDue(cookie);
      return twins.rescind(lpid, flags, cookie);
    });
    return {
      ...this.#mirroredAccesses(both),
      grantLogical: noting((...request: Parameters<Twins["grant"]>) => twins.grant(...request)),
      grantLogical32: noting((lpid: number, flags: number, ...[lo, length, unit]: [number, number, number]) =>
        twins.grant(lpid, flags, 0, lo, length, unit),
      ),
      grantMode: noting((...args: [...Parameters<Twins["grant"]>, number]) => {
        const [mode] = args.splice(6) as [number];
        return twins.grantMode(args as unknown as Parameters<Twins["grant"]>, mode);
      }),
      grantCopyOnWrite: noting((...request: Parameters<Twins["grant"]>) => twins.grantCopyOnWrite(request)),
      acceptLogical: accept,
      acceptLogical32: accept,
      returnLogical: giveBack,
      returnLogical32: giveBack,
      rescindLogical: rescind,
      rescindLogical32: rescind,
      requestReturn: noting((lpid: number, cookie: number, ms: number) => {
        const isAsked = [...this.rescinds].some((one) => one.cookie === cookie && one.ms === ms);
        ensure(isAsked, () => `partition ${lpid} asked for ${cookie} within ${ms} ms, nobody told it to`);
        return twins.requestReturn(lpid, cookie, ms);
      }),
      failPartition: noting((lpid: number, orderly: number) => this.#fail(lpid, orderly)),
      recoverClient: noting((lpid: number, budget: number) => twins.recoverClient(lpid, budget)),
      recoverDeferred: noting((lpid: number, budget: number) => {
        ensure(this.deferring.has(lpid), () => `partition ${lpid} waits for borrowers`);
        return twins.recoverDeferred(lpid, budget);
      }),
      recoverServer: noting((lpid: number, budget: number) => {
        ensure(this.mayTake(lpid), () => `what others have of partition ${lpid} is taken before the time`);
        return twins.recoverServer(lpid, budget);
      }),
      gatherMemory: noting((lpid: number, address: number, length: number, budget: number) =>
        gatherOnBoth(twins, lpid, address, length, budget),
      ),
      compactMemory: noting((lpid: number, from: number, budget: number) =>
        compactOnBoth(twins, lpid, from, budget),
      ),
      findFrames: noting((count: number) => findFramesOnBoth(twins, count)),
      pinMemory: noting((lpid: number, address: number, length: number) => twins.pin(lpid, address, length)),
      unpinMemory: noting((lpid: number, pin: number) => twins.unpin(lpid, pin)),
      unpinOrphan: noting((pin: number) => twins.unpin("orphan", pin)),
      createPartition: noting((pages: number, lmb: number) => twins.create(pages, lmb)),
      connectPartitions: noting((a: number, b: number, quota: number) => twins.connect(a, b, quota)),
      restartPartition: noting((lpid: number, structures: number) => twins.restart(lpid, structures)),
      removePartition: noting((lpid: number) => twins.remove(lpid)),
    };
  }

  /** What a partition does with what it has: nothing of it waits for anything. */
  #mirroredAccesses(
    both: <A extends unknown[]>(call: (twins: Twins, ...args: A) => number) => (...args: A) => number,
  ): Partial<Record<keyof Twins["core"], (...args: never[]) => number>> {
    return {
      checkAccess: both(checkAccessOnBoth),
      beginUse: both(beginUseOnBoth),
      loadMemory: both(loadOnBoth),
      storeMemory: both(storeOnBoth),
      fillMemory: both(fillOnBoth),
      copyMemory: both(copyOnBoth),
      loadWord: both(loadWordOnBoth),
      storeWord: both(storeWordOnBoth),
      addWord: both(addWordOnBoth),
      compareExchangeWord: both(exchangeWordOnBoth),
      translate: both(translateOnBoth),
      allocate: both(allocateOnBoth),
      deallocate: both(deallocateOnBoth),
      adapterBetween: both(adapterBetweenOnBoth),
      assignResource: both((twins, ...args: Parameters<Twins["assign"]>) => twins.assign(...args)),
      digestPages: both(digestOnBoth),
      mergePages: both(mergeOnBoth),
      raiseInterrupt: both(raiseOnBoth),
      sendIpi: both(ringOnBoth),
      armInterrupt: both(armOnBoth),
      maskInterrupt: both(maskOnBoth),
      endInterrupt: both(endOnBoth),
      takeLine: both((twins, lpid: number) => this.#take(lpid, takeLineOnBoth(twins, lpid))),
      takeEvent: both((twins, lpid: number) => this.#take(lpid, twins.takeEvent(lpid))),
      putTce: both(putTceOnBoth),
      stuffTce: both(stuffTceOnBoth),
      putTceList: both(putTceListOnBoth),
      getTce: both(getTceOnBoth),
      findWindow: both(findWindowOnBoth),
      beginDma: both(
        (twins, ...args: Parameters<typeof beginDmaOnBoth> extends [Twins, ...infer A] ? A : never) => {
          this.window = args[3];
          return beginDmaOnBoth(twins, ...args);
        },
      ),
      loadDma: both(loadDmaOnBoth),
      storeDma: both(storeDmaOnBoth),
    };
  }

  #take(lpid: number, status: number): number {
    if (status === H_SUCCESS) this.taken(lpid, this.twins.eventTaken);
    return status;
  }

  #ensureDue(cookie: number): void {
    const now = this.twins.clock.now();
    const grant = this.twins.model.grants.get(cookie);
    // Where somebody takes it by force already, or nothing can be taken, there is nothing to wait for.
    const isStanding =
      grant !== undefined && grant.state !== "rescinded" && grant.grantor.state === "running";
    if (!isStanding || isUnderRevocation(grant)) {
      for (const one of this.rescinds) if (one.cookie === cookie) one.isJoined = true;
      return;
    }
    const isDue = [...this.rescinds].some((one) => one.cookie === cookie && one.due <= now);
    ensure(isDue, () => `${cookie} is rescinded by force at ${now}, before its deadline`);
  }

  #fail(lpid: number, orderly: number): number {
    const { resources = [], state } = this.twins.model.partitions.get(lpid) ?? {};
    const before = state === "running" ? undefined : this.failures.get(lpid);
    const isOwed = resources.some(({ children }) => children.size > 0);
    const status = this.twins.fail(lpid, orderly);
    const at = this.twins.clock.now();
    // The grace period is from the last notice on.
    if (before !== undefined) this.failures.set(lpid, { ...before, at });
    else if (status === H_SUCCESS || status === H_PARTIAL)
      this.failures.set(lpid, { at, isOwed, isForced: orderly === 1 });
    return status;
  }
}
