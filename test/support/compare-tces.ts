/** TCEs on both tables, as their holders put them and as devices go through them (KI4). */
import { Partition } from "../../src/index.js";
import { H_SUCCESS, PAGE_BYTES } from "../../src/layout.js";
import { statusOf, type Twins } from "./compare.js";
import { type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { write } from "./model-access.js";
import { ensure } from "./model-records.js";
import {
  checkBus,
  findWindow,
  getTce,
  putTceIndirect,
  putTceList,
  readBus,
  stuffTce,
  writeBus,
} from "./model-tces.js";

/** Bytes of one transfer, and entries of one list. */
const LENGTH = 3 * PAGE_BYTES;
const LISTED = 4;

export class TceDraws {
  readonly #twins: Twins;
  /** Byte offset of staging for transfers and lists. */
  readonly #staged: number;

  constructor(twins: Twins, staged: number) {
    this.#twins = twins;
    this.#staged = staged;
  }

  draw(choose: Choices, draw: Draw): void {
    const choice = draw.below(12);
    if (choice < 3) this.#stuff(choose, draw);
    else if (choice < 5) this.#putSome(choose, draw);
    else if (choice < 7) this.#get(choose, draw);
    else this.#use(choose, draw);
  }

  /** Mostly a page of a pane of somebody's, half of the time one that is accepted. */
  #pane(choose: Choices, draw: Draw): readonly [lpid: number, liobn: number, ioba: number] {
    const places = [...this.#twins.model.partitions.values()].flatMap(({ lpid, spaces }) =>
      [...spaces.dma.entries].map(([page, { node }]) => ({ lpid, page, node })),
    );
    const accepted = places.filter(({ node }) => node.kind === "grant");
    const taken = places.filter(({ node }) => [...this.#twins.model.tces].some(({ pane }) => pane === node));
    const those = draw.pick([places, accepted, taken]) ?? [];
    const one = draw.pick(those.length === 0 ? places : those);
    const page = draw.once(20) ? draw.below(10) : (one?.page ?? 0);
    return [
      choose.lpid(draw, one?.lpid),
      draw.once(40) ? (draw.pick([0, 1, ...HOSTILE]) ?? 0) : (one?.node.liobn ?? 3),
      draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES,
    ];
  }

  /** A logical address and rights, sometimes none. */
  #value(draw: Draw, lpid: number): number {
    if (draw.once(25)) return draw.pick([7, PAGE_BYTES + 4, ...HOSTILE]) ?? 7;
    const places = [...(this.#twins.model.partitions.get(lpid)?.spaces.memory.entries ?? [])];
    const accepted = places.filter(([, { node }]) => node.kind === "grant");
    const page = draw.pick(draw.once(2) && accepted.length > 0 ? accepted : places)?.[0] ?? 0;
    return (draw.once(16) ? draw.below(26) : page) * PAGE_BYTES + (draw.once(4) ? draw.below(3) : 3);
  }

  #stuff(choose: Choices, draw: Draw): void {
    const { core, model } = this.#twins;
    const [lpid, liobn, ioba] = this.#pane(choose, draw);
    const tce = draw.once(5) ? 0 : this.#value(draw, lpid);
    if (draw.once(2)) {
      const status = core.putTce(lpid, liobn, ioba, tce);
      this.#twins.same(
        "put-tce",
        [lpid, liobn, ioba, tce],
        status,
        stuffTce(model, lpid, liobn, ioba, tce, 1),
      );
      return;
    }
    const count = draw.once(30) ? (draw.pick([0, 513, ...HOSTILE]) ?? 0) : 1 + draw.below(4);
    const args = [lpid, liobn, ioba, tce, count] as const;
    this.#twins.same("stuff-tce", args, core.stuffTce(...args), stuffTce(model, ...args));
  }

  /** A list, in memory or in staging. */
  #putSome(choose: Choices, draw: Draw): void {
    const { core, model, kernel } = this.#twins;
    const [lpid, liobn, ioba] = this.#pane(choose, draw);
    const list = Array.from({ length: 1 + draw.below(LISTED) }, () =>
      draw.once(6) ? 0 : this.#value(draw, lpid),
    );
    if (draw.once(2)) {
      kernel.memory.floats.set(list, this.#staged / 8);
      const status = core.putTceList(lpid, liobn, ioba, this.#staged, list.length);
      const expected = putTceList(model, lpid, liobn, ioba, list);
      this.#twins.same("put-tce-list", [lpid, liobn, ioba, ...list], status, expected);
      return;
    }
    const places = [...(model.partitions.get(lpid)?.spaces.memory.entries.keys() ?? [])];
    const address = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : (draw.pick(places) ?? 0) * PAGE_BYTES;
    this.#writeList(choose, lpid, address, list);
    const count = draw.once(30) ? (draw.pick([0, 513, ...HOSTILE]) ?? 0) : list.length;
    const args = [lpid, liobn, ioba, address, count] as const;
    this.#twins.same("put-tce-indirect", args, core.putTceIndirect(...args), putTceIndirect(model, ...args));
  }

  #writeList(choose: Choices, lpid: number, address: number, list: readonly number[]): void {
    const { model, kernel } = this.#twins;
    if (!model.partitions.has(lpid) || choose.touchesQueue(lpid, address, list.length * 8)) return;
    const words = new DataView(new ArrayBuffer(list.length * 8));
    for (const [index, value] of list.entries()) {
      const isWhole = Number.isInteger(value) && value >= 0 && value < 2 ** 64;
      words.setBigUint64(index * 8, isWhole ? BigInt(value) : 2n ** 63n, true);
    }
    const source = new Uint8Array(words.buffer);
    let status = H_SUCCESS;
    try {
      new Partition(kernel, lpid, `p${lpid}`).write(address, source);
    } catch (error) {
      status = statusOf(error);
    }
    this.#twins.same("write", [lpid, address], status, write(model, lpid, address, source));
  }

  #get(choose: Choices, draw: Draw): void {
    const args = this.#pane(choose, draw);
    this.#twins.same("get-tce", args, this.#twins.core.getTce(...args), getTce(this.#twins.model, ...args));
  }

  /** A device goes through a window: mostly one with an entry, at its physical address. */
  #use(choose: Choices, draw: Draw): void {
    const { core, model } = this.#twins;
    const tce = draw.pick([...model.tces]);
    const owner = tce?.owner ?? choose.partition(draw);
    const windows = [...(owner?.spaces.dma.entries ?? [])].filter(([, { node }]) => node.kind === "resource");
    const [page, entry] = (draw.once(8) ? undefined : windows.find(([at]) => at === tce?.page)) ??
      draw.pick(windows) ?? [draw.below(10), undefined];
    const lpid = choose.lpid(draw, owner?.lpid);
    const liobn = draw.once(40) ? (draw.pick([0, 1, ...HOSTILE]) ?? 0) : (entry?.node.liobn ?? 3);
    const offset = draw.once(3) ? PAGE_BYTES - 1 - draw.below(64) : draw.below(PAGE_BYTES);
    const ioba = draw.once(40)
      ? (draw.pick(HOSTILE) ?? 0)
      : (entry?.frame.physical ?? draw.below(60)) * PAGE_BYTES + offset;
    const length = draw.once(12) ? draw.below(LENGTH) : draw.below(100);
    const found = findWindow(model, lpid, liobn, ioba);
    this.#twins.same("find-window", [lpid, liobn, ioba], core.findWindow(lpid, liobn, ioba), found);
    // Not always the one that was found: several may have the same bus pages.
    const at = draw.once(4) || found.r4 === undefined ? page * PAGE_BYTES : found.r4;
    const window = draw.once(30) ? at + 1 : at + (ioba % PAGE_BYTES);
    if (draw.once(3)) {
      const odd = draw.once(8) ? (draw.pick(HOSTILE) ?? 0) : length;
      const need = draw.once(20) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
      const args = [lpid, liobn, ioba, window, odd, need] as const;
      const status = core.beginDma(...args);
      if (status === H_SUCCESS) core.endUse();
      this.#twins.same("begin-dma", args, status, checkBus(model, ...args));
    } else if (draw.once(2)) this.#load(lpid, liobn, ioba, window, length);
    else this.#store(choose, draw, lpid, liobn, ioba, window, length);
  }

  #load(lpid: number, liobn: number, ioba: number, window: number, length: number): void {
    const args = [lpid, liobn, ioba, window, length] as const;
    const status = this.#twins.core.loadDma(...args, this.#staged);
    const { bytes, answer } = readBus(this.#twins.model, ...args);
    this.#twins.same("load-dma", args, status, answer);
    const staged = this.#twins.kernel.memory.bytes.subarray(this.#staged, this.#staged + length);
    const isSame = bytes === undefined || Buffer.compare(staged, bytes) === 0;
    ensure(isSame, () => `loadDma(${args.join()}) gave another content than in the model`);
  }

  #store(
    choose: Choices,
    draw: Draw,
    lpid: number,
    liobn: number,
    ioba: number,
    window: number,
    length: number,
  ): void {
    const { core, model, kernel } = this.#twins;
    // A device that writes into a ring of a queue only hurts its driver.
    const queues = choose.queueFrames();
    const hurts = [...model.tces].some(({ pane, memoryPage }) => {
      const entry = pane.holder.spaces.memory.entries.get(memoryPage);
      return entry !== undefined && queues.has(entry.frame);
    });
    if (hurts) return;
    const source = Uint8Array.from({ length }, (_, index) => index + draw.below(200));
    kernel.memory.bytes.set(source, this.#staged);
    const args = [lpid, liobn, ioba, window, length] as const;
    const status = core.storeDma(...args, this.#staged);
    const expected = writeBus(model, lpid, liobn, ioba, window, source);
    this.#twins.same("store-dma", args, status, expected);
  }
}
