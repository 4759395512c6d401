/**
 * What takes its time, and goes on between two commands: forced rescinds, with a deadline or without, as objects and as raw
 * slices; who waits for a recovery; and who does not wait any more (RS4 to RS8, FA2, FA7).
 */
import { HcallError, LparError, type Partition } from "../../src/index.js";
import { H_PARTIAL, RESCIND_FORCED } from "../../src/layout.js";
import { lentBy } from "./model-defer.js";
import { ensure, type Grant } from "./model-records.js";
import { cookieOf, type Objects } from "./objects.js";
import type { PendingRescind } from "./overhear.js";

const DEADLINE_MS = 1000;

/** Somebody waits for the end of a recovery. */
interface RecoveryWait {
  readonly partition: Partition;
  readonly incarnation: number;
  isOver: boolean;
}

export class ObjectWaits {
  readonly #objects: Objects;
  /** What may still be aborted. */
  readonly #controllers = new Set<AbortController>();
  readonly #recoveries = new Set<RecoveryWait>();
  /** What is being destroyed: nobody starts that again. */
  readonly #doomed = new WeakSet<Partition>();
  /** What has not settled, of all that ever began. */
  #unsettled = 0;
  #isClosed = false;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** What begins is noted until it settles; it may fail only as the architecture says, or with the table. */
  #begin<T>(promise: Promise<T>, done: (value: T) => void, failed: (error: unknown) => boolean): void {
    const { heard } = this.#objects;
    this.#unsettled++;
    promise
      .then(done, (error: unknown) => {
        const isClosed = this.#isClosed && error instanceof LparError && error.code === "LPAR_CLOSED";
        const isExpected = failed(error);
        if (!isExpected && !isClosed) throw error;
      })
      .catch((error: unknown) => {
        heard.first ??= error;
      })
      .finally(() => {
        this.#unsettled--;
      });
  }

  // -------------------------------------------------------------- forced rescinds

  rescind(): void {
    const { draw } = this.#objects;
    const grant = draw.once(6) ? this.#objects.pick("granted") : this.#objects.pick("shared");
    if (grant !== undefined) this.#rescind(grant, draw.once(3) ? 0 : 1 + draw.below(DEADLINE_MS));
  }

  #rescind(grant: Grant, ms: number): void {
    const { draw, twins, heard } = this.#objects;
    const { cookie, grantor } = grant;
    const pending: PendingRescind = { cookie, ms, due: twins.clock.now() + ms, isJoined: false };
    heard.rescinds.add(pending);
    const onStuck = draw.once(8) ? "terminate" : "wait";
    const controller = draw.once(4) ? new AbortController() : undefined;
    const reason = new Error(`nobody waits for ${cookie} any more`);
    const isLate = controller !== undefined && ms > 0 && draw.once(10);
    if (isLate) controller.abort(reason);
    else if (controller !== undefined) this.#controllers.add(controller);
    const options = {
      onStuck,
      ...(ms === 0 ? {} : { deadline: ms }),
      ...(controller === undefined ? {} : { signal: controller.signal }),
    } as const;
    this.#objects.begin();
    const rescind = this.#objects.object(grantor.lpid).rescindForced(cookieOf(grant), options);
    ensure(!isLate || heard.answers.length === 0, () => `${cookie} is rescinded for nobody`);
    this.#begin(
      rescind,
      ({ nodes, slices }) => this.#rescinded(pending, nodes, slices),
      (error) => {
        heard.rescinds.delete(pending);
        const isAborted = controller?.signal.aborted === true && error === controller.signal.reason;
        if (isAborted) twins.saw("nobody waits for a rescind any more");
        return isAborted || error instanceof HcallError;
      },
    );
  }

  #rescinded(pending: PendingRescind, nodes: number, slices: number): void {
    const { twins, heard } = this.#objects;
    const { cookie, ms, due, isJoined } = pending;
    heard.rescinds.delete(pending);
    const after = twins.model.grants.get(cookie);
    ensure(
      after === undefined || after.state === "rescinded",
      () => `the rescind of ${cookie} is over, and the grant is ${after?.state}`,
    );
    if (ms === 0 || isJoined) return;
    const isInTime = twins.clock.now() < due;
    if (isInTime) ensure(nodes === 1 && slices === 0, () => `${cookie} was rescinded by force in time`);
    twins.saw(isInTime ? "a client gives back in time" : "a client is forced after its deadline");
  }

  /** Raw slices of a forced rescind, as many as it takes or fewer: what they began, an object carries through. */
  rescindRaw(): void {
    const { draw, heard } = this.#objects;
    // Who waits for the client of the same grant would hear of it at its deadline only.
    const isAwaited = (one: number): boolean => [...heard.rescinds].some(({ cookie }) => cookie === one);
    const grant = this.#objects.pick("shared", (one) => !isAwaited(one.cookie));
    if (grant === undefined) return;
    const { cookie, grantor } = grant;
    const now = this.#objects.twins.clock.now();
    const pending: PendingRescind = { cookie, ms: 0, due: now, isJoined: false };
    heard.rescinds.add(pending);
    const slice = (): number => this.#objects.raw.rescindLogical(grantor.lpid, RESCIND_FORCED, cookie);
    let status = this.#objects.rawCall(slice);
    for (let left = draw.below(4); left > 0 && status === H_PARTIAL; left--)
      status = this.#objects.rawCall(slice);
    heard.rescinds.delete(pending);
    if (status === H_PARTIAL) this.#rescind(grant, 0);
  }

  /** Somebody does not wait any more. */
  abort(): void {
    const controller = this.#objects.draw.pick([...this.#controllers]);
    if (controller === undefined) return;
    this.#controllers.delete(controller);
    controller.abort(new Error("nobody waits any more"));
  }

  // -------------------------------------------------------------- recoveries

  fail(): void {
    this.#objects.twins.table.fail(this.#objects.running());
  }

  reclaim(): void {
    const { choose, draw, twins } = this.#objects;
    const failed = choose.partition(draw, "failed");
    if (failed?.state !== "failed") return;
    if (failed.deferred && lentBy(twins.model, failed).length > 0) twins.saw("what is borrowed is reclaimed");
    this.#force(failed.lpid);
    twins.table.reclaim(this.#objects.object(failed.lpid));
  }

  #force(lpid: number): void {
    const failure = this.#objects.heard.failures.get(lpid);
    if (failure !== undefined) failure.isForced = true;
  }

  /** Somebody waits for a recovery; it has come when nothing of that failure is left. */
  await(): void {
    const { choose, draw, twins } = this.#objects;
    const failed = choose.partition(draw, "failed");
    if (failed?.state !== "failed" || this.#recoveries.size > 8) return;
    const partition = this.#objects.object(failed.lpid);
    const wait: RecoveryWait = { partition, incarnation: partition.incarnation, isOver: false };
    this.#recoveries.add(wait);
    const isFailing = (): boolean => this.#isFailing(wait);
    this.#begin(
      twins.table.recovered(partition),
      () => {
        wait.isOver = true;
        ensure(!isFailing(), () => `the recovery of ${partition.lpid} is told before it is over`);
      },
      () => {
        wait.isOver = true;
        return false;
      },
    );
  }

  #isFailing({ partition, incarnation }: RecoveryWait): boolean {
    if (this.#objects.twins.table.partition(partition.lpid) !== partition) return false;
    const isSame = partition.incarnation === incarnation;
    return isSame && (partition.state === "failed" || partition.state === "recovering");
  }

  isDoomed(partition: Partition): boolean {
    return this.#doomed.has(partition);
  }

  /** The end of a partition for good. @returns whether it has come. */
  destroy(partition: Partition): { isOver: boolean } {
    const end = { isOver: false };
    this.#force(partition.lpid);
    this.#doomed.add(partition);
    const over = (): void => {
      end.isOver = true;
    };
    this.#begin(this.#objects.twins.table.destroyPartition(partition), over, () => {
      over();
      return false;
    });
    return end;
  }

  // -------------------------------------------------------------- what must come of it

  /** Whoever waits for what is over has heard of it. */
  quiet(): void {
    for (const wait of this.#recoveries) {
      ensure(
        wait.isOver || this.#isFailing(wait),
        () => `who waits for the recovery of ${wait.partition.lpid} does not hear of it`,
      );
      if (wait.isOver) this.#recoveries.delete(wait);
    }
  }

  /** The table is about to be closed. */
  close(): void {
    this.#isClosed = true;
  }

  /** Nothing waits for a table that is closed. */
  closed(): void {
    const { heard, twins } = this.#objects;
    ensure(this.#unsettled === 0, () => `${this.#unsettled} calls wait for a table that is closed`);
    ensure(
      heard.rescinds.size === 0,
      () => `${heard.rescinds.size} rescinds wait for a table that is closed`,
    );
    const { waiting } = twins.clock;
    ensure(waiting === 0, () => `${waiting} alarms are set for a table that is closed`);
  }
}
