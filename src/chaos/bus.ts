/**
 * DMA windows. Each actor owns one, and is the device on its bus; it grants panes of it, and whoever holds a pane maps its bus
 * pages to memory of its own. A page that is mapped says at which bus address: the device must reach that one, only what the entry
 * allows, and nothing of it once the entry, the pane or the memory is gone.
 */
import type { DmaDevice, DmaRights } from "../dma.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping } from "../mapping.js";
import type { Complete } from "../options.js";
import type { Partition } from "../partition.js";
import type { Dealings, Desk, Granted } from "./desk.js";
import { BUS_PAGES, LIOBN } from "./equipment.js";
import { bury } from "./graves.js";
import { type Mail, type Offer, PANE } from "./mail.js";
import type { Held, Rings } from "./rings.js";
import { differenceOf, makeSheet, readSheet, wordOf, writeSheet } from "./sheets.js";

/** Bus pages that it may map: its own window, or what it has accepted of another one. */
interface Pane {
  /** Undefined of its own window. */
  readonly mapping: Mapping | undefined;
  readonly ioba: number;
  readonly pages: number;
}

/** A page of its own behind a bus page. */
interface Entry {
  readonly pane: Pane;
  readonly ioba: number;
  readonly bus: number;
  readonly address: number;
  readonly rights: Complete<DmaRights>;
}

interface GrantedPane extends Granted {
  readonly first: number;
  readonly pages: number;
}

const PANES_MOST = 4;
const GRANTED_MOST = 6;
/** The last page of the own window is not granted: behind it are rings of others. */
const RING_PAGE = BUS_PAGES - 1;
const WORDS = PAGE_BYTES / 4;
/** The holder writes the words before this one, the device those from it on. */
const DEVICE_FROM = WORDS / 2;

/** The nonces of what the holder and what the device writes behind a bus page. */
function noncesOf(bus: number): { readonly holder: number; readonly device: number } {
  const page = bus / PAGE_BYTES;
  return { holder: 2 * page + 1, device: 2 * page + 2 };
}

/** What a page behind the bus holds before the device writes to it. */
function makePage(bus: number): Uint32Array {
  return makeSheet(noncesOf(bus).holder, PAGE_BYTES).fill(0, DEVICE_FROM);
}

/** What is wrong with a page behind the bus, undefined if nothing is. */
function faultOf(found: Uint32Array, bus: number, mayWrite: boolean): string | undefined {
  const expected = makePage(bus);
  if (mayWrite && differenceOf(found, expected) !== undefined) {
    const { device } = noncesOf(bus);
    for (let place = DEVICE_FROM; place < WORDS; place++) {
      const word = found[place] as number;
      if (word !== 0 && word === wordOf(device, place, word)) expected[place] = word;
    }
  }
  return differenceOf(found, expected);
}

export class Bus implements Dealings {
  readonly offers: readonly number[] = [PANE];
  readonly #desk: Desk;
  readonly #partition: Partition;
  readonly #rings: Rings;
  readonly #device: DmaDevice;
  readonly #own: Pane = { mapping: undefined, ioba: 0, pages: RING_PAGE };
  readonly #panes: Pane[] = [];
  readonly #entries: Entry[] = [];
  readonly #granted: GrantedPane[] = [];
  /** What is behind the last page of the window. */
  #ring: Held | undefined;

  constructor(desk: Desk, rings: Rings) {
    this.#desk = desk;
    this.#partition = desk.partition;
    this.#rings = rings;
    this.#device = desk.partition.dma.device(LIOBN);
  }

  step(): void {
    const { random } = this.#desk;
    const choice = random.below(16);
    const pane = random.pick(this.#panes) ?? this.#own;
    const entry = random.pick(this.#entries);
    const granted = random.pick(this.#granted);
    if (choice < 3) this.#grant();
    else if (choice < 5) this.#put(random.once(3) ? this.#own : pane);
    else if (choice < 7 && entry !== undefined) this.#check(entry);
    else if (choice < 8 && entry !== undefined) this.#remove(entry);
    else if (choice < 12) this.#access(random.below(RING_PAGE));
    else if (choice < 13 && granted !== undefined) this.#takeBack(granted);
    else if (choice < 14) this.#return(pane);
    else if (choice < 15) this.#putRing();
    else this.#accessRing();
  }

  /** Where a page of its own window is on the bus. */
  #busOf(page: number): number {
    return this.#partition.translate(page * PAGE_BYTES, { type: "dma" });
  }

  // -------------------------------------------------------------- panes

  #grant(): void {
    const mail = this.#desk.mail();
    if (mail === undefined || this.#granted.length >= GRANTED_MOST) return;
    const first = this.#desk.random.below(RING_PAGE);
    const pages = 1 + this.#desk.random.below(RING_PAGE - first);
    const cookie = this.#desk.grant("grant", mail, {
      type: "dma",
      address: first * PAGE_BYTES,
      length: pages * PAGE_BYTES,
      liobn: LIOBN,
    });
    if (cookie === undefined) return;
    this.#granted.push({ cookie, first, pages, isForced: false });
    this.#desk.announce(mail, PANE, cookie, pages);
  }

  receive({ cookie, detail: pages }: Offer, { adapter }: Mail): void {
    if (this.#panes.length >= PANES_MOST) return;
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    const { address: ioba, length } = mapping;
    if (length !== pages * PAGE_BYTES)
      this.#desk.accuse(`a pane of "${adapter.partner.name}" of ${pages} pages is ${length} bytes`);
    const pane = { mapping, ioba, pages };
    this.#panes.push(pane);
    // Most are taken back soon.
    for (let left = this.#desk.random.below(4); left > 0 && this.#panes.includes(pane); left--)
      this.#put(pane);
  }

  lose(cookie: Cookie): void {
    const pane = this.#panes.find(({ mapping }) => mapping?.cookie === cookie);
    if (pane !== undefined) this.#return(pane);
  }

  /** Entries keep a pane from being returned, unless it was rescinded: then they are gone with it, and no device uses them. */
  #return(pane: Pane): void {
    const { mapping } = pane;
    if (mapping === undefined) return;
    const entries = this.#entries.filter((entry) => entry.pane === pane);
    const refusals = ["H_RESCINDED", ...(entries.length > 0 ? ["H_RESOURCE"] : [])];
    if (!this.#desk.try("return", refusals, () => mapping.return())) return;
    this.#panes.splice(this.#panes.indexOf(pane), 1);
    for (const entry of entries) this.#bury(entry);
  }

  #takeBack(granted: GrantedPane): void {
    this.#desk.takeBack(granted, () => {
      const at = this.#granted.indexOf(granted);
      if (at >= 0) this.#granted.splice(at, 1);
    });
  }

  // -------------------------------------------------------------- entries

  /** Maps a bus page, whatever it was mapped to before. */
  #put(pane: Pane): void {
    const { random } = this.#desk;
    const ioba = pane.ioba + random.below(pane.pages) * PAGE_BYTES;
    const refusals = pane.mapping === undefined ? [] : ["H_RESCINDED"];
    let bus = 0;
    const isThere = this.#desk.try("map", refusals, () => {
      bus = this.#partition.translate(ioba, { type: "dma" });
    });
    if (!isThere) this.#return(pane);
    const address = isThere ? this.#desk.allocate(1) : undefined;
    if (address === undefined) return;
    const kind = random.below(4);
    const entry = { pane, ioba, bus, address, rights: { read: kind !== 1, write: kind !== 2 } };
    if (!this.#desk.try("write", [], () => writeSheet(this.#partition, address, makePage(bus)))) return;
    // Two panes may be of the same window.
    const before = this.#entries.find((other) => other.bus === bus);
    const why = this.#desk.attempt("map", ["H_RESOURCE", "H_BUSY", ...refusals], () => {
      this.#partition.dma.put(LIOBN, ioba, address, entry.rights);
    });
    if (why === "H_RESOURCE" || why === "H_RESCINDED") bury(this.#desk, address, PAGE_BYTES);
    if (why === "H_RESCINDED") this.#return(pane);
    if (why !== undefined && why !== "H_BUSY") return;
    if (before !== undefined && why === undefined) this.#bury(before);
    // A device goes on using what was there: that page is not used again.
    else if (before !== undefined) this.#forget(before);
    this.#entries.push(entry);
  }

  #check(entry: Entry): void {
    this.#desk.try("check", [], () => this.#examine(entry));
    const { pane, ioba, address, rights } = entry;
    const isDone = this.#desk.try("map", pane.mapping === undefined ? [] : ["H_RESCINDED"], () => {
      const found = JSON.stringify(this.#partition.dma.get(LIOBN, ioba));
      const expected = JSON.stringify({ address, ...rights });
      if (found !== expected)
        this.#desk.accuse(`the entry at ioba ${ioba} is ${found} instead of ${expected}`);
    });
    if (!isDone) this.#return(pane);
  }

  /** @throws HcallError */
  #examine({ address, bus, rights }: Entry): void {
    const wrong = faultOf(readSheet(this.#partition, address, PAGE_BYTES), bus, rights.write);
    if (wrong !== undefined) this.#desk.accuse(`memory behind bus address ${bus}: ${wrong}`);
  }

  #remove(entry: Entry): void {
    const { pane, ioba } = entry;
    const refusals = ["H_BUSY", ...(pane.mapping === undefined ? [] : ["H_RESCINDED"])];
    const why = this.#desk.attempt("map", refusals, () => this.#partition.dma.remove(LIOBN, ioba));
    if (why === undefined) this.#bury(entry);
    else if (why === "H_BUSY") this.#forget(entry);
    else if (why === "H_RESCINDED") this.#return(pane);
  }

  #forget(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
  }

  /** No device reaches it any more. */
  #bury(entry: Entry): void {
    this.#forget(entry);
    if (this.#desk.try("check", [], () => this.#examine(entry))) bury(this.#desk, entry.address, PAGE_BYTES);
  }

  // -------------------------------------------------------------- the device

  /** A device's access to one page of the window, behind which its own memory is, somebody else's, or nothing. */
  #access(page: number): void {
    const entry = this.#entries.find(({ pane, ioba }) => pane === this.#own && ioba === page * PAGE_BYTES);
    const isGranted = this.#granted.some(
      ({ first, pages, isForced }) => !isForced && first <= page && page < first + pages,
    );
    const isWrite = this.#desk.random.once(2);
    let bus = 0;
    const refusals = ["H_PARAMETER", "H_RESCINDED", "H_PERMISSION", "H_NO_MEM", "H_RESOURCE"];
    const why = this.#desk.attempt("device", refusals, () => {
      bus = this.#busOf(page);
      if (isWrite) this.#writeBus(bus);
      else this.#readBus(bus);
    });
    // Batches that were left behind may have all of the staging that a device needs, too.
    if (why === "H_NO_MEM") return;
    const must = entry === undefined ? undefined : entry.rights[isWrite ? "write" : "read"];
    const what = `the device's access to bus address ${bus}`;
    // A page that is mapped cannot be lent.
    if (why === "H_RESOURCE") this.#desk.accuse(`${what}, behind which lent memory is: ${why}`);
    if (must === true && why !== undefined) this.#desk.accuse(`${what}, behind which own memory is: ${why}`);
    if (must === false && why !== "H_PERMISSION")
      this.#desk.accuse(`${what}, which the entry forbids: ${why}`);
    if (entry === undefined && !isGranted && why === undefined)
      this.#desk.accuse(`${what}, behind which nobody can have anything, was done`);
  }

  /** One word, or as many as take a while. @throws HcallError */
  #writeBus(bus: number): void {
    const { random } = this.#desk;
    const words = makeSheet(noncesOf(bus).device, PAGE_BYTES);
    const from = DEVICE_FROM + random.below(WORDS - DEVICE_FROM);
    const piece = words.slice(from, random.once(2) ? from + 1 : WORDS);
    piece[0] = wordOf(noncesOf(bus).device, from, random.below(16));
    this.#device.write(bus + from * 4, new Uint8Array(piece.buffer));
  }

  /** Into an array that may lie askew. @throws HcallError */
  #readBus(bus: number): void {
    const start = this.#desk.random.below(8);
    const bytes = new Uint8Array(PAGE_BYTES + start).subarray(start);
    this.#device.readInto(bus, bytes);
    const wrong = faultOf(new Uint32Array(bytes.slice().buffer), bus, true);
    if (wrong !== undefined) this.#desk.accuse(`the device at bus address ${bus}: ${wrong}`);
  }

  // -------------------------------------------------------------- rings behind the bus

  /** A page of somebody else's ring behind the bus, to be read. */
  #putRing(): void {
    const held = this.#rings.pickHeld();
    if (held === undefined) return;
    const why = this.#desk.attempt("map", ["H_RESCINDED", "H_BUSY"], () => {
      this.#partition.dma.put(LIOBN, RING_PAGE * PAGE_BYTES, held.ring.address, { write: false });
    });
    if (why !== "H_RESCINDED") this.#ring = held;
  }

  /** The device has what its holder has: no more after the rescind, and no less before. */
  #accessRing(): void {
    const held = this.#ring;
    if (held === undefined) return;
    const look = (): boolean =>
      this.#rings.holds(held) &&
      this.#desk.try("check", ["H_RESCINDED"], () => void this.#partition.load32(held.ring.address));
    const isBefore = look();
    const why = this.#desk.attempt("device", ["H_RESCINDED", "H_NO_MEM"], () => {
      const found = this.#device.read(this.#busOf(RING_PAGE), 8);
      const nonce = new DataView(found.buffer).getUint32(4, true);
      if (nonce !== held.ring.nonce)
        this.#desk.accuse(`the device finds ring ${nonce} instead of ${held.ring.nonce}`);
    });
    const isAfter = look();
    if (why === undefined && !isBefore) this.#desk.accuse("the device reads a ring that was rescinded");
    if (why === "H_RESCINDED" && isAfter) this.#desk.accuse("the device cannot read a ring that stands");
  }
}
