/** Interrupt sources and doorbells through the objects: assigned, raised, rung, armed, masked and ended (KI3, KI5). */
import type { Partition } from "../../src/index.js";
import { H_CLOSED, H_PARTIAL, H_SUCCESS } from "../../src/layout.js";
import { below, ensure, isUnderRevocation, type Line, type ModelPartition, rootOf } from "./model-records.js";
import { type Objects, outcomeOf } from "./objects.js";
import type { ObjectGrants } from "./objects-grants.js";

type LineType = "interrupt" | "ipi";

export class ObjectLines {
  readonly #objects: Objects;
  readonly #grants: ObjectGrants;

  constructor(objects: Objects, grants: ObjectGrants) {
    this.#objects = objects;
    this.#grants = grants;
  }

  draw(): void {
    const { draw, choose } = this.#objects;
    if (choose.countOf("interrupt") === 0) this.provide();
    const choice = draw.below(18);
    if (choice >= 16) this.#grants.share(draw.once(4) ? "ipi" : "interrupt");
    else if (choice < 4) this.#raise();
    else if (choice < 7) this.#ring();
    else if (choice < 9) this.#end();
    else this.#change(choice);
  }

  /** New ones where owners have failed. They come again with each incarnation of who gets them. */
  provide(): void {
    const { twins, draw, choose } = this.#objects;
    const type = draw.once(4) ? "ipi" : "interrupt";
    if (choose.countOf(type) >= 3) return;
    const address = draw.below(twins.model.options.spaces[type]);
    const resource = { type, address, length: 1, physical: draw.below(60) } as const;
    const { lpid } = this.#objects.running();
    this.#objects.assign(this.#objects.object(lpid), resource);
  }

  /** Mostly somebody who has a source or a port, and its number. */
  #place(type: LineType): readonly [partition: Partition, number: number] {
    const { twins, draw } = this.#objects;
    const places = [...twins.model.partitions.values()].flatMap(({ lpid, spaces }) =>
      [...spaces[type].entries].map(([number, { node }]) => ({ lpid, number, node })),
    );
    const shared = places.filter(({ node }) => node.kind === "grant" || node.children.size > 0);
    const one = draw.pick(draw.once(2) && shared.length > 0 ? shared : places);
    const partition = one === undefined || draw.once(25) ? this.#objects.running().lpid : one.lpid;
    return [this.#objects.object(partition), draw.once(20) ? draw.below(8) : (one?.number ?? 0)];
  }

  #raise(): void {
    const { twins, draw, heard } = this.#objects;
    const [partition, number] = this.#place("interrupt");
    if (draw.once(4)) {
      this.#raiseRaw(partition.lpid, number);
      return;
    }
    this.#objects.begin();
    const { lpid } = partition;
    const holder = twins.model.partitions.get(lpid);
    const wasRaised = lineAt(holder, number)?.raisedBy !== undefined;
    const isDevice = draw.once(2);
    const { status } = outcomeOf(() =>
      isDevice ? twins.table.raise(partition, number) : partition.raise(number),
    );
    const answer = heard.answers.find((one) => one !== H_PARTIAL);
    ensure(status === answer, () => `a raise that the core answered with ${answer} came to ${status}`);
    if (status !== H_SUCCESS) return;
    this.#checkReach(lpid, number);
    const raisedBy = lineAt(holder, number)?.raisedBy;
    const isRight = raisedBy === (isDevice ? 0 : lpid) || wasRaised || heard.listening.has(lpid);
    ensure(isRight, () => `interrupt ${number} of ${lpid} was raised by ${raisedBy}`);
  }

  /** Slice by slice: each goes on where the last one says. */
  #raiseRaw(lpid: number, number: number): void {
    const { raw } = this.#objects;
    let status = H_PARTIAL as number;
    for (let position = 0; status === H_PARTIAL; position = raw.r4)
      status = this.#objects.rawCall(() => raw.raiseInterrupt(lpid, number, position));
    if (status === H_SUCCESS) this.#checkReach(lpid, number);
  }

  /** Whoever has the source has been told, or has the raise waiting: nobody is left out, in however many slices (G5). */
  #checkReach(lpid: number, number: number): void {
    const { twins, heard } = this.#objects;
    const entry = twins.model.partitions.get(lpid)?.spaces.interrupt.entries.get(number);
    if (entry === undefined) return;
    const root = rootOf(entry.node);
    let reached = 0;
    for (const node of [root, ...below(root)]) {
      const { holder } = node;
      const mapped = [...holder.spaces.interrupt.entries.values()].find((one) => one.node === node);
      if (holder.state !== "running" || mapped?.state !== "mapped" || isUnderRevocation(node)) continue;
      const line = holder.lines.get(mapped);
      // Who listens has taken it already.
      const isTold = line?.raisedBy !== undefined || heard.listening.has(holder.lpid);
      ensure(isTold, () => `partition ${holder.lpid} was left out by a raise of ${number} of ${lpid}`);
      reached++;
    }
    if (reached > 1) twins.saw("a raise reaches several");
  }

  #ring(): void {
    const [partition, number] = this.#place("ipi");
    const { status } = this.#objects.attempt(() => partition.ring(number));
    const [answer] = this.#objects.heard.answers;
    ensure(status === answer, () => `a ring that the core answered with ${answer} came to ${status}`);
    if (status === H_CLOSED) this.#objects.twins.saw("a doorbell is nobody's");
  }

  /** Mostly of an interrupt that is in service. */
  #end(): void {
    const { twins, draw } = this.#objects;
    const taken = [...twins.model.partitions.values()].flatMap((one) =>
      [...one.spaces.interrupt.entries]
        .filter(([, entry]) => isInService(one, entry))
        .map(([at]) => [one, at] as const),
    );
    const [one, at] = (draw.once(4) ? undefined : draw.pick(taken)) ?? this.#place("interrupt");
    const { status } = this.#objects.attempt(() => this.#objects.object(one.lpid).interrupts.end(at));
    if (status === H_SUCCESS) twins.saw("an interrupt is ended");
  }

  #change(choice: number): void {
    const { draw } = this.#objects;
    const [{ lpid, interrupts }, number] = this.#place("interrupt");
    // Armed and unmasked more often than not.
    const isOn = choice < 14 ? !draw.once(4) : draw.once(3);
    const { status } = this.#objects.attempt(() => {
      if (choice < 14) return isOn ? interrupts.arm(number) : interrupts.disarm(number);
      return isOn ? interrupts.mask(number) : interrupts.unmask(number);
    });
    if (status !== H_SUCCESS) return;
    const line = lineAt(this.#objects.twins.model.partitions.get(lpid), number);
    const isSo = choice < 14 ? line?.isArmed : line?.isMasked;
    ensure(isSo === isOn, () => `interrupt ${number} of ${lpid} is not as it was to be`);
  }
}

function lineAt(partition: ModelPartition | undefined, number: number): Line | undefined {
  const entry = partition?.spaces.interrupt.entries.get(number);
  return entry === undefined ? undefined : partition?.lines.get(entry);
}

function isInService(
  partition: ModelPartition,
  entry: Parameters<ModelPartition["lines"]["get"]>[0],
): boolean {
  return partition.lines.get(entry)?.isInService === true;
}
