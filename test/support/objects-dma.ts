/** DMA window panes through the objects: assigned, mapped to memory and looked at; devices that read and write (KI4). */
import type { DmaDevice, DmaEntry } from "../../src/index.js";
import {
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
} from "../../src/layout.js";
import { HOSTILE } from "./compare-choices.js";
import { drawBus, drawPane } from "./compare-tces.js";
import { answer, ensure, isInteger, type ModelPartition, rootOf, rootPageOf } from "./model-records.js";
import { differenceOf } from "./model-snapshot.js";
import { checkBus, findWindow, readBus, tceAt, writeBus } from "./model-tces.js";
import { type Objects, outcomeOf } from "./objects.js";
import type { ObjectGrants } from "./objects-grants.js";

const LIOBN = 3;
const WINDOW_PAGES = 3;
/** Bytes of one transfer, and entries of one list. */
const LENGTH = 3 * PAGE_BYTES;
const LISTED = 4;

type Rights = { readonly read: boolean; readonly write: boolean };

function needOf({ read, write }: Rights): number {
  return (read ? NEED_READ : 0) | (write ? NEED_WRITE : 0);
}

export class ObjectDma {
  readonly #objects: Objects;
  readonly #grants: ObjectGrants;
  /** Devices are kept: each remembers the window that it used last. */
  readonly #devices = new Map<string, DmaDevice>();
  /** Whether staging is too small for lists and for transfers in pieces. */
  readonly #isStarved: boolean;

  constructor(objects: Objects, grants: ObjectGrants, isStarved: boolean) {
    this.#objects = objects;
    this.#grants = grants;
    this.#isStarved = isStarved;
  }

  draw(): void {
    const { draw, choose } = this.#objects;
    if (choose.countOf("dma") === 0) this.provide();
    const choice = draw.below(18);
    if (choice === 17) this.#putCopy();
    else if (choice === 16) this.#grants.share("dma");
    else if (choice < 4) this.#put();
    else if (choice < 5) this.#remove();
    else if (choice < 6) this.#stuff();
    else if (choice < 8) this.#putIndirect();
    else if (choice < 10) this.#get();
    else if (choice < 13) this.#read();
    else this.#write();
  }

  /** New windows where owners have failed. They come again with each incarnation of who gets them. */
  provide(): void {
    const { twins, draw, choose } = this.#objects;
    if (choose.countOf("dma") >= 3) return;
    const [page, physical] = [draw.below(6), draw.below(60)];
    // A device of an owner with two windows must find each of them.
    const owners = [...twins.model.partitions.values()].filter(
      ({ state, resources }) => state === "running" && resources.some(({ type }) => type === "dma"),
    );
    const { lpid } = draw.pick(draw.once(2) ? owners : []) ?? this.#objects.running();
    const resource = {
      type: "dma",
      address: page * PAGE_BYTES,
      length: WINDOW_PAGES * PAGE_BYTES,
      physical: physical * PAGE_BYTES,
      liobn: LIOBN,
    } as const;
    this.#objects.assign(this.#objects.object(lpid), resource);
  }

  #pane(): ReturnType<typeof drawPane> {
    const { twins, choose, draw } = this.#objects;
    const [lpid, liobn, ioba] = drawPane(twins, choose, draw);
    return [this.#objects.has(lpid) ? lpid : this.#objects.running().lpid, liobn, ioba];
  }

  /** A logical address, half of the time of what was accepted. */
  #address(lpid: number): number {
    const { twins, draw } = this.#objects;
    if (draw.once(40)) return draw.pick(HOSTILE) ?? 0;
    const places = [...(twins.model.partitions.get(lpid)?.spaces.memory.entries ?? [])];
    const accepted = places.filter(([, { node }]) => node.kind === "grant");
    const copied = accepted.filter(([, { copiesFirst }]) => copiesFirst);
    const those = draw.pick([places, accepted, copied]) ?? [];
    const page = draw.pick(those.length > 0 ? those : places)?.[0] ?? 0;
    return page * PAGE_BYTES + (draw.once(30) ? 8 : 0);
  }

  #rights(): Rights {
    const { draw } = this.#objects;
    return draw.once(4) ? { read: draw.once(2), write: draw.once(2) } : { read: true, write: true };
  }

  #put(): void {
    const [lpid, liobn, ioba] = this.#pane();
    const [address, rights] = [this.#address(lpid), this.#rights()];
    const { dma } = this.#objects.object(lpid);
    const { status } = this.#objects.attempt(() => dma.put(liobn, ioba, address, rights));
    if (status === H_SUCCESS) this.#checkEntry(lpid, ioba, address, needOf(rights));
  }

  /** Behind a pane of somebody's who has pages that are copied before they are written: one of those. */
  #putCopy(): void {
    const { twins, draw } = this.#objects;
    const places = [...twins.model.partitions.values()].flatMap(({ lpid, state, spaces }) => {
      const copied = [...spaces.memory.entries].filter(
        ([, { node, copiesFirst }]) => node.kind === "grant" && copiesFirst,
      );
      const panes = state === "running" && copied.length > 0 ? [...spaces.dma.entries] : [];
      return panes.map(([page, { node }]) => ({ lpid, page, liobn: node.liobn, copied }));
    });
    const one = draw.pick(places);
    const [page = 0] = draw.pick(one?.copied ?? []) ?? [];
    if (one === undefined) return;
    const { lpid, liobn } = one;
    const { dma } = this.#objects.object(lpid);
    this.#objects.attempt(() => dma.put(liobn, one.page * PAGE_BYTES, page * PAGE_BYTES));
  }

  #remove(): void {
    const [lpid, liobn, ioba] = this.#pane();
    const { status } = this.#objects.attempt(() => this.#objects.object(lpid).dma.remove(liobn, ioba));
    if (status === H_SUCCESS) this.#checkEntry(lpid, ioba, undefined, 0);
  }

  #stuff(): void {
    const { draw } = this.#objects;
    const [lpid, liobn, ioba] = this.#pane();
    const address = draw.once(4) ? undefined : this.#address(lpid);
    const count = draw.once(30) ? (draw.pick([0, 513, ...HOSTILE]) ?? 0) : 1 + draw.below(LISTED);
    const rights = this.#rights();
    const { dma } = this.#objects.object(lpid);
    const { status } = this.#objects.attempt(() => dma.stuff(liobn, ioba, address, rights, count));
    if (status !== H_SUCCESS) return;
    for (let index = 0; index < count; index++)
      this.#checkEntry(lpid, ioba + index * PAGE_BYTES, address, needOf(rights));
  }

  #putIndirect(): void {
    const { draw, heard } = this.#objects;
    const [lpid, liobn, ioba] = this.#pane();
    const length = draw.once(40) ? 0 : 1 + draw.below(LISTED);
    const addresses = Array.from({ length }, () => this.#address(lpid));
    const rights = this.#rights();
    const call = (): void => this.#objects.object(lpid).dma.putIndirect(liobn, ioba, addresses, rights);
    const { status } = this.#objects.attempt(call);
    if (status === H_SUCCESS)
      for (const [index, address] of addresses.entries())
        this.#checkEntry(lpid, ioba + index * PAGE_BYTES, address, needOf(rights));
    if (heard.answers.length > 0) return;
    const runs = this.#objects.twins.model.partitions.get(lpid)?.state === "running";
    const expected = length !== 0 ? H_NO_MEM : runs ? H_PARAMETER : H_RESCINDED; // GR10
    const isDue = status === expected && (length === 0 || this.#isStarved);
    ensure(isDue, () => `a list of ${length} answered ${status}, and the core was not asked`);
  }

  /** What was put is what is there, with its rights. */
  #checkEntry(lpid: number, ioba: number, address: number | undefined, need: number): void {
    const { model } = this.#objects.twins;
    const page = ioba / PAGE_BYTES;
    const pane = model.partitions.get(lpid)?.spaces.dma.entries.get(page)?.node;
    const tce = pane && tceAt(model, rootOf(pane).holder, rootPageOf(pane) + page - pane.page);
    const isNone = need === 0 || address === undefined;
    const isSame = isNone
      ? tce === undefined
      : tce?.rights === need && tce.memoryPage === address / PAGE_BYTES;
    ensure(isSame, () => `put(${ioba}, ${address}) of ${lpid} put ${tce?.rights}`);
  }

  #get(): void {
    const [lpid, liobn, ioba] = this.#pane();
    const { twins } = this.#objects;
    const { status, value } = this.#objects.attempt(() => this.#objects.object(lpid).dma.get(liobn, ioba));
    if (status === H_RESCINDED) twins.saw("an entry is dead");
    if (status !== H_SUCCESS) return;
    const r4 = twins.h.r4;
    const rights = r4 % PAGE_BYTES;
    const expected: DmaEntry = {
      address: r4 - rights,
      read: (rights & NEED_READ) !== 0,
      write: (rights & NEED_WRITE) !== 0,
    };
    const difference = differenceOf(value, r4 === 0 ? undefined : expected, `entry at ${ioba} of ${lpid}`);
    ensure(difference === undefined, () => `${difference}`);
  }

  // -------------------------------------------------------------- devices

  #device(lpid: number, liobn: number): DmaDevice {
    // Of an object that may have been destroyed since there is another one.
    const object = this.#objects.object(lpid);
    const key = `${lpid} ${object.name} ${liobn}`;
    const device = this.#devices.get(key) ?? object.dma.device(liobn);
    this.#devices.set(key, device);
    return device;
  }

  /** An entry of a page that is copied before it is written, if there is one. */
  #copied(): { readonly lpid: number; readonly liobn: number; readonly ioba: number } | undefined {
    const { twins, draw } = this.#objects;
    const tce = draw.pick(
      [...twins.model.tces].filter(({ pane, memoryPage, rights }) => {
        const entry = pane.holder.spaces.memory.entries.get(memoryPage);
        return entry?.copiesFirst === true && (rights & NEED_WRITE) !== 0;
      }),
    );
    const window = tce?.owner.spaces.dma.entries.get(tce.page);
    if (tce === undefined || window === undefined) return undefined;
    const ioba = window.frame.physical * PAGE_BYTES + draw.below(PAGE_BYTES / 2);
    return { lpid: tce.owner.lpid, liobn: window.node.liobn, ioba };
  }

  #bus(): { readonly lpid: number; readonly liobn: number; readonly ioba: number; readonly length: number } {
    const { twins, choose, draw } = this.#objects;
    const { lpid, liobn, ioba } = drawBus(twins, choose, draw);
    const length = draw.once(12) ? draw.below(LENGTH) : draw.below(100);
    return { lpid: this.#objects.has(lpid) ? lpid : this.#objects.running().lpid, liobn, ioba, length };
  }

  #read(): void {
    const { twins, draw } = this.#objects;
    const { lpid, liobn, ioba, length } = this.#bus();
    const device = this.#device(lpid, liobn);
    const isInto = draw.once(2);
    const { status, value } = this.#transfer(lpid, liobn, ioba, length, NEED_READ, () => {
      if (!isInto) return device.read(ioba, length);
      const target = new Uint8Array(length + 8).subarray(draw.below(8)).subarray(0, length);
      device.readInto(ioba, target);
      return target;
    });
    if (status !== H_SUCCESS || value === undefined) return;
    const { bytes } = readBus(twins.model, lpid, liobn, ioba, this.#objects.heard.window, length);
    const isSame = bytes !== undefined && Buffer.compare(value, bytes) === 0;
    ensure(isSame, () => `a device read another content at ${ioba} of ${lpid} than is there`);
    if (length > 0) twins.saw("a device reads");
  }

  #write(): void {
    const { twins, draw } = this.#objects;
    const { lpid, liobn, ioba, length } = { ...this.#bus(), ...(draw.once(2) ? this.#copied() : {}) };
    const source = Uint8Array.from({ length }, (_, index) => index + draw.below(200));
    const device = this.#device(lpid, liobn);
    const copies = this.#copies(twins.model.partitions.values());
    const { status } = this.#transfer(lpid, liobn, ioba, length, NEED_WRITE, () =>
      device.write(ioba, source),
    );
    if (status !== H_SUCCESS) return;
    const written = writeBus(twins.model, lpid, liobn, ioba, this.#objects.heard.window, source);
    ensure(
      written.status === H_SUCCESS,
      () => `a device wrote at ${ioba} of ${lpid} against ${written.status}`,
    );
    if (length > 0) twins.saw("a device writes");
    if (this.#copies(twins.model.partitions.values()) > copies) twins.saw("a device writes to a copy");
  }

  #copies(partitions: Iterable<ModelPartition>): number {
    let copies = 0;
    for (const { spaces } of partitions)
      for (const { isPrivate } of spaces.memory.entries.values()) if (isPrivate) copies++;
    return copies;
  }

  /**
   * A device goes through whatever window it used last, if that has the bus page, else through that which is found: so it is
   * refused only as it would be there.
   */
  #transfer<T>(
    lpid: number,
    liobn: number,
    ioba: number,
    length: number,
    need: number,
    call: () => T,
  ): { readonly status: number; readonly value: T | undefined } {
    const { twins, heard } = this.#objects;
    this.#objects.begin();
    const outcome = outcomeOf(call);
    const { status } = outcome;
    if (status === H_NO_MEM && this.#isStarved) return { ...outcome, value: undefined };
    const { window } = heard;
    const expected = checkBus(twins.model, lpid, liobn, ioba, window, length, need).status;
    ensure(status === expected, () => `a device at ${ioba} of ${lpid} came to ${status}, not ${expected}`);
    if (status === H_RESCINDED) twins.saw("a device is refused what was rescinded");
    if (status !== H_PARAMETER || !isInteger(ioba)) return outcome;
    const found = findWindow(twins.model, lpid, liobn, ioba);
    const there =
      found.r4 === undefined
        ? answer(H_PARAMETER)
        : checkBus(twins.model, lpid, liobn, ioba, found.r4 + (ioba % PAGE_BYTES), length, need);
    ensure(there.status === H_PARAMETER, () => `a device did not find the window at ${ioba} of ${lpid}`);
    return outcome;
  }
}
