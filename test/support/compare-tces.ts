/** TCEs on both tables, as their holders put them and as devices go through them (KI4). */
import { Partition } from "../../src/index.js";
import { H_PARAMETER, H_SUCCESS, PAGE_BYTES, TYPE_DMA } from "../../src/layout.js";
import { statusOf, type Twins } from "./compare.js";
import { outsideStaging, refusedOutside } from "./compare-access.js";
import { type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { write } from "./model-access.js";
import { answer, ensure, rootOf, rootPageOf } from "./model-records.js";
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

export function stuffTceOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, liobn: number, ioba: number, tce: number, count: number]
): number {
  const status = twins.core.stuffTce(...args);
  return twins.same("stuff-tce", args, status, stuffTce(twins.model, ...args));
}

export function putTceOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, liobn: number, ioba: number, tce: number]
): number {
  const status = twins.core.putTce(...args);
  return twins.same("put-tce", args, status, stuffTce(twins.model, ...args, 1));
}

/** @param at byte offset of the list, which lies in staging. */
export function putTceListOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, liobn: number, ioba: number, at: number, count: number]
): number {
  const [lpid, liobn, ioba, at, count] = args;
  const list = [...twins.kernel.memory.floats.subarray(at / 8, at / 8 + count)];
  const status = twins.core.putTceList(...args);
  const expected = putTceList(twins.model, lpid, liobn, ioba, list);
  return twins.same("put-tce-list", [lpid, liobn, ioba, ...list], status, expected);
}

export function getTceOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, liobn: number, ioba: number]
): number {
  return twins.same("get-tce", args, twins.core.getTce(...args), getTce(twins.model, ...args));
}

export function findWindowOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, liobn: number, ioba: number]
): number {
  const found = findWindow(twins.model, ...args);
  return twins.same("find-window", args, twins.core.findWindow(...args), found);
}

type Transfer = readonly [lpid: number, liobn: number, ioba: number, window: number, length: number];

/** A use that has begun is not over. */
export function beginDmaOnBoth(twins: Twins, ...args: readonly [...Transfer, need: number]): number {
  return twins.same("begin-dma", args, twins.core.beginDma(...args), checkBus(twins.model, ...args));
}

/** @param at byte offset of staging, as in the core. */
export function loadDmaOnBoth(
  twins: Twins,
  ...[lpid, liobn, ioba, window, length, at]: readonly [...Transfer, at: number]
): number {
  const args = [lpid, liobn, ioba, window, length] as const;
  const status = twins.core.loadDma(...args, at);
  const { bytes, answer } = readBus(twins.model, ...args);
  twins.same("load-dma", args, status, answer);
  const staged = twins.kernel.memory.bytes.subarray(at, at + length);
  const isSame = bytes === undefined || Buffer.compare(staged, bytes) === 0;
  ensure(isSame, () => `loadDma(${args.join()}) gave another content than in the model`);
  return status;
}

export function storeDmaOnBoth(
  twins: Twins,
  ...[lpid, liobn, ioba, window, length, at]: readonly [...Transfer, at: number]
): number {
  const source = twins.kernel.memory.bytes.slice(at, at + length);
  const args = [lpid, liobn, ioba, window, length] as const;
  const status = twins.core.storeDma(...args, at);
  return twins.same("store-dma", args, status, writeBus(twins.model, lpid, liobn, ioba, window, source));
}

/** Mostly a page of a pane of somebody's, half of the time one that is accepted. */
export function drawPane(
  { model }: Twins,
  choose: Choices,
  draw: Draw,
): readonly [lpid: number, liobn: number, ioba: number] {
  const places = [...model.partitions.values()].flatMap(({ lpid, spaces }) =>
    [...spaces.dma.entries].map(([page, { node }]) => ({ lpid, page, node })),
  );
  const accepted = places.filter(({ node }) => node.kind === "grant");
  const taken = places.filter(({ node }) => [...model.tces].some(({ pane }) => pane === node));
  // Behind the same bus page is what somebody else put there.
  const contested = places.filter(({ page, node }) =>
    [...model.tces].some(
      (tce) =>
        tce.pane.holder !== node.holder &&
        tce.owner === rootOf(node).holder &&
        tce.page === rootPageOf(node) + page - node.page,
    ),
  );
  const those = draw.pick([places, accepted, taken, contested]) ?? [];
  const one = draw.pick(those.length === 0 ? places : those);
  const page = draw.once(20) ? draw.below(10) : (one?.page ?? 0);
  return [
    choose.lpid(draw, one?.lpid),
    draw.once(40) ? (draw.pick([0, 1, ...HOSTILE]) ?? 0) : (one?.node.liobn ?? 3),
    draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES,
  ];
}

/** Where a device goes: mostly to a page of a window with an entry. `page` is the window's, as its owner counts. */
export function drawBus(
  { model }: Twins,
  choose: Choices,
  draw: Draw,
): { readonly lpid: number; readonly liobn: number; readonly ioba: number; readonly page: number } {
  const tce = draw.pick([...model.tces]);
  const owner = tce?.owner ?? choose.partition(draw);
  const windows = [...(owner?.spaces.dma.entries ?? [])].filter(([, { node }]) => node.kind === "resource");
  const [page, entry] = (draw.once(8) ? undefined : windows.find(([at]) => at === tce?.page)) ??
    draw.pick(windows) ?? [draw.below(10), undefined];
  const lpid = choose.lpid(draw, owner?.lpid);
  const liobn = draw.once(12) ? (draw.pick([0, 0, 1, ...HOSTILE]) ?? 0) : (entry?.node.liobn ?? 3);
  const offset = draw.once(3) ? PAGE_BYTES - 1 - draw.below(64) : draw.below(PAGE_BYTES);
  const ioba = draw.once(40)
    ? (draw.pick(HOSTILE) ?? 0)
    : (entry?.frame.physical ?? draw.below(60)) * PAGE_BYTES + offset;
  return { lpid, liobn, ioba, page };
}

export class TceDraws {
  readonly #twins: Twins;
  /** Byte offset of staging for transfers and lists. */
  readonly #staged: number;

  constructor(twins: Twins, staged: number) {
    this.#twins = twins;
    this.#staged = staged;
  }

  draw(choose: Choices, draw: Draw): void {
    const choice = draw.below(13);
    if (choice === 12) this.#provide(choose, draw);
    else if (choice < 3) this.#stuff(choose, draw);
    else if (choice < 5) this.#putSome(choose, draw);
    else if (choice < 7) this.#get(choose, draw);
    else this.#use(choose, draw);
  }

  /** Windows that several have, and new ones where owners have failed. */
  #provide(choose: Choices, draw: Draw): void {
    if (choose.countOf("dma") < 2) {
      const [page, physical] = [draw.below(5), draw.below(60)];
      const args = [page * PAGE_BYTES, 4 * PAGE_BYTES, physical * PAGE_BYTES, 3] as const;
      this.#twins.assign(choose.lpid(draw), TYPE_DMA, ...args);
    }
    this.#twins.share(choose.grantRequest(draw, "dma"));
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
    const pane = drawPane(this.#twins, choose, draw);
    const tce = draw.once(5) ? 0 : this.#value(draw, pane[0]);
    if (draw.once(2)) {
      putTceOnBoth(this.#twins, ...pane, tce);
      return;
    }
    const count = draw.once(30) ? (draw.pick([0, 513, ...HOSTILE]) ?? 0) : 1 + draw.below(4);
    stuffTceOnBoth(this.#twins, ...pane, tce, count);
  }

  /** A list, in memory or in staging. */
  #putSome(choose: Choices, draw: Draw): void {
    const { core, model, kernel } = this.#twins;
    const [lpid, liobn, ioba] = drawPane(this.#twins, choose, draw);
    const list = Array.from({ length: 1 + draw.below(LISTED) }, () =>
      draw.once(6) ? 0 : this.#value(draw, lpid),
    );
    if (draw.once(16)) {
      const at = outsideStaging(this.#twins, draw, list.length * 8);
      const args = [lpid, liobn, ioba, at, list.length] as const;
      this.#twins.same("put-tce-list", args, core.putTceList(...args), refusedOutside(this.#twins, lpid));
      return;
    }
    if (draw.once(2)) {
      kernel.memory.floats.set(list, this.#staged / 8);
      putTceListOnBoth(this.#twins, lpid, liobn, ioba, this.#staged, list.length);
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
    getTceOnBoth(this.#twins, ...drawPane(this.#twins, choose, draw));
  }

  /** A device goes through a window: mostly one with an entry, at its physical address. */
  #use(choose: Choices, draw: Draw): void {
    const { lpid, liobn, ioba, page } = drawBus(this.#twins, choose, draw);
    const length = draw.once(12) ? draw.below(LENGTH) : draw.below(100);
    const found = findWindowOnBoth(this.#twins, lpid, liobn, ioba) === H_SUCCESS ? this.#twins.r4 : undefined;
    // Not always the one that was found: several may have the same bus pages.
    const at = draw.once(4) ? page * PAGE_BYTES : (found ?? page * PAGE_BYTES);
    const window = draw.once(30) ? at + 1 : at + (ioba % PAGE_BYTES);
    if (draw.once(10)) {
      const beside = outsideStaging(this.#twins, draw, length);
      const args = [lpid, liobn, ioba, window, length, beside] as const;
      const { core } = this.#twins;
      if (draw.once(2)) this.#twins.same("load-dma", args, core.loadDma(...args), answer(H_PARAMETER));
      else this.#twins.same("store-dma", args, core.storeDma(...args), answer(H_PARAMETER));
      return;
    }
    if (draw.once(3)) {
      const odd = draw.once(8) ? (draw.pick(HOSTILE) ?? 0) : length;
      const need = draw.once(20) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
      if (beginDmaOnBoth(this.#twins, lpid, liobn, ioba, window, odd, need) === H_SUCCESS)
        this.#twins.core.endUse();
    } else if (draw.once(2)) loadDmaOnBoth(this.#twins, lpid, liobn, ioba, window, length, this.#staged);
    else this.#store(choose, draw, lpid, liobn, ioba, window, length);
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
    const { model, kernel } = this.#twins;
    // A device that writes into a ring of a queue only hurts its driver.
    const queues = choose.queueFrames();
    const hurts = [...model.tces].some(({ pane, memoryPage }) => {
      const entry = pane.holder.spaces.memory.entries.get(memoryPage);
      return entry !== undefined && queues.has(entry.frame);
    });
    if (hurts) return;
    const source = Uint8Array.from({ length }, (_, index) => index + draw.below(200));
    kernel.memory.bytes.set(source, this.#staged);
    storeDmaOnBoth(this.#twins, lpid, liobn, ioba, window, length, this.#staged);
  }
}
