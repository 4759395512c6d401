/** Interrupt sources and doorbells through the objects: assigned, raised, rung, armed, masked and ended (KI3, KI5). */
import type { Partition } from "../../src/index.js";
import { H_CLOSED, H_PARTIAL, H_SUCCESS } from "../../src/layout.js";
import { below, ensure, isUnderRevocation, type ModelPartition, rootOf } from "./model-records.js";
import { type Objects, outcomeOf } from "./objects.js";

type LineType = "interrupt" | "ipi";

export class ObjectLines {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  draw(): void {
    const { draw, choose } = this.#objects;
    if (choose.countOf("interrupt") === 0) this.provide();
    const choice = draw.below(16);
    if (choice < 4) this.#raise();
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
    this.#objects.attempt(() => twins.table.assign(this.#objects.object(lpid), resource));
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
    heard.answers = [];
    const { status } = outcomeOf(() =>
      draw.once(2) ? twins.table.raise(partition, number) : partition.raise(number),
    );
    const answer = heard.answers.find((one) => one !== H_PARTIAL);
    ensure(status === answer, () => `a raise that the core answered with ${answer} came to ${status}`);
    if (status === H_SUCCESS) this.#checkReach(partition.lpid, number);
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
    const [{ interrupts }, number] = this.#place("interrupt");
    // Armed and unmasked more often than not.
    const isOn = choice < 14 ? !draw.once(4) : draw.once(3);
    this.#objects.attempt(() => {
      if (choice < 14) return isOn ? interrupts.arm(number) : interrupts.disarm(number);
      return isOn ? interrupts.mask(number) : interrupts.unmask(number);
    });
  }
}

function isInService(
  partition: ModelPartition,
  entry: Parameters<ModelPartition["lines"]["get"]>[0],
): boolean {
  return partition.lines.get(entry)?.isInService === true;
}
