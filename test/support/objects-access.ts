/** What partitions do with their memory through the objects: checked access (TR3), and zero-copy views that follow moves (TR4, RS6). */
import { HcallError, type View } from "../../src/index.js";
import {
  H_SUCCESS,
  HEADER_FRAMES_AT,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  TYPE_MEMORY,
} from "../../src/layout.js";
import { examineAccess, framesAt, read, translate, write } from "./model-access.js";
import { ensure, type Frame, type Node } from "./model-records.js";
import { cookieOf, type Objects, outcomeOf } from "./objects.js";

interface TakenView {
  readonly view: View;
  readonly lpid: number;
  readonly incarnation: number;
  readonly address: number;
  readonly length: number;
  readonly node: Node | undefined;
}

export class ObjectAccess {
  readonly #objects: Objects;
  readonly #views = new Set<TakenView>();
  /** Whether all pins were in use when views were last looked at, or before. */
  #wasFull = false;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  draw(): void {
    const { draw, twins } = this.#objects;
    const choice = draw.below(19);
    const before = this.#copies();
    if (choice < 6) this.#write();
    else if (choice < 9) this.#read();
    else if (choice < 11) this.#fill();
    else if (choice < 13) this.#copy();
    else if (choice < 15) this.#word();
    else if (choice < 17) this.#translate();
    else this.#allocate();
    if (this.#copies() > before) twins.saw("a write copies");
  }

  // -------------------------------------------------------------- checked access

  /** A range of somebody who runs, often of a page that is copied before it is written, if there is one. */
  #range(): readonly [lpid: number, address: number, length: number] {
    const { twins, draw, choose } = this.#objects;
    const copied = [...twins.model.partitions.values()].flatMap(({ lpid, state, spaces }) =>
      [...spaces.memory.entries]
        .filter(([, { copiesFirst }]) => copiesFirst && state === "running")
        .map(([page, { node }]) => ({ lpid, page, node })),
    );
    const granted = copied.filter(({ node }) => node.kind === "grant");
    const one = draw.pick(granted.length > 0 && !draw.once(4) ? granted : copied);
    if (one !== undefined && draw.once(3)) {
      const { lpid, page } = one;
      const length = draw.once(3) ? PAGE_BYTES + draw.below(2 * PAGE_BYTES) : 1 + draw.below(100);
      return [lpid, page * PAGE_BYTES + draw.below(PAGE_BYTES), length];
    }
    const { lpid } = this.#objects.running();
    const [address, some] = choose.range(draw, lpid);
    // JavaScript makes what is read before it is copied, so lengths are those for which there is room.
    return [lpid, address, some >= 0 && some < 4 * PAGE_BYTES ? Math.floor(some) : 8];
  }

  #write(): void {
    const { twins, draw } = this.#objects;
    const [lpid, address, length] = this.#range();
    const source = new Uint8Array(length).fill(draw.below(256));
    const { status } = outcomeOf(() => {
      if (draw.once(2)) return this.#objects.object(lpid).write(address, source);
      using buffer = this.#objects.object(lpid).createBuffer(length + 8);
      const at = draw.below(8);
      buffer.bytes.set(source, at);
      return buffer.write(address, length, at);
    });
    twins.same("write", [lpid, address], status, write(twins.model, lpid, address, source));
  }

  #copies(): number {
    let copies = 0;
    for (const { spaces } of this.#objects.twins.model.partitions.values())
      for (const { isPrivate } of spaces.memory.entries.values()) if (isPrivate) copies++;
    return copies;
  }

  #read(): void {
    const { twins, draw } = this.#objects;
    const [lpid, address, length] = this.#range();
    const way = draw.below(3);
    const { status, value } = outcomeOf(() => {
      if (way === 0) return this.#objects.object(lpid).read(address, length);
      if (way === 1) {
        using buffer = this.#objects.object(lpid).createBuffer(length + 8);
        const at = draw.below(8);
        buffer.read(address, length, at);
        return buffer.bytes.slice(at, at + length);
      }
      const target = new Uint8Array(length + 8).subarray(draw.below(8)).subarray(0, length);
      this.#objects.object(lpid).readInto(address, target);
      return target;
    });
    const { answer, bytes } = read(twins.model, lpid, address, length);
    twins.same("read", [lpid, address, length], status, answer);
    const isSame = value === undefined || bytes === undefined || Buffer.compare(value, bytes) === 0;
    ensure(isSame, () => `read(${lpid}, ${address}, ${length}) gave another content than in the model`);
  }

  #fill(): void {
    const [lpid, address, length] = this.#range();
    const byte = this.#objects.draw.below(256);
    const { status } = this.#objects.attempt(() => this.#objects.object(lpid).fill(address, length, byte));
    if (status === H_SUCCESS) this.#checkBytes(lpid, address, new Uint8Array(length).fill(byte));
  }

  #copy(): void {
    const { twins, draw, choose } = this.#objects;
    const [lpid, from, length] = this.#range();
    const partners = [...twins.model.ends].filter(
      ({ owner, partner }) => owner?.lpid === lpid && partner?.owner !== undefined,
    );
    const partner = draw.once(3) ? lpid : (draw.pick(partners)?.partner?.owner?.lpid ?? lpid);
    const [to] = choose.range(draw, partner);
    const other = this.#objects.object(partner);
    const source = read(twins.model, lpid, from, length).bytes;
    const { status } = this.#objects.attempt(() => this.#objects.object(lpid).copy(from, other, to, length));
    // A frame that is twice in the target has what was written there last.
    if (status === H_SUCCESS && source !== undefined && this.#isApart(partner, to, length))
      this.#checkBytes(partner, to, source);
  }

  #word(): void {
    const { draw } = this.#objects;
    const [lpid, any] = this.#range();
    const address = draw.once(12) ? any : any - (any % 4);
    const object = this.#objects.object(lpid);
    const value = draw.word() - (draw.once(2) ? 0 : 2 ** 31);
    const choice = draw.below(4);
    const before = this.#wordAt(lpid, address);
    const { status, value: word } = this.#objects.attempt(() => {
      if (choice === 0) return object.load32(address);
      if (choice === 1) return object.store32(address, value);
      return choice === 2 ? object.add32(address, value) : object.compareExchange32(address, 0, value);
    });
    if (status !== H_SUCCESS) return;
    ensure(
      choice === 1 || word === before,
      () => `the word at ${address} of ${lpid} was ${before}, not ${word}`,
    );
    const exchanged = before === 0 ? value >>> 0 : before;
    const expected = [before, value >>> 0, ((before ?? 0) + value) >>> 0, exchanged][choice];
    const after = this.#wordAt(lpid, address);
    ensure(after === expected, () => `the word at ${address} of ${lpid} is ${after}, not ${expected}`);
  }

  /** Where a page is; where a write goes is decided by the copies that it makes first. */
  #translate(): void {
    const { twins, draw } = this.#objects;
    const [lpid, address] = this.#range();
    const options = { write: draw.once(2) };
    const { status, value } = outcomeOf(() => this.#objects.object(lpid).translate(address, options));
    const need = options.write ? NEED_WRITE : NEED_READ;
    const expected = translate(twins.model, lpid, TYPE_MEMORY, address, 1, need);
    twins.same("translate-fast", [lpid, address], status, { ...expected, r4: undefined });
    ensure(
      status !== H_SUCCESS || value === expected.r4,
      () => `${address} of ${lpid} is at ${value}, in the model at ${expected.r4}`,
    );
  }

  /** Of its own memory, without what is on offer, or gone, or was received (OM9). */
  #allocate(): void {
    const { twins, draw } = this.#objects;
    const { lpid } = this.#objects.running();
    const object = this.#objects.object(lpid);
    const pages = [...(twins.model.partitions.get(lpid)?.allocated.keys() ?? [])];
    const page = draw.once(4) ? draw.below(8) : draw.pick(pages);
    if (page === undefined || draw.once(2)) {
      const length = 1 + draw.below(3 * PAGE_BYTES);
      const { value: address } = this.#objects.attempt(() => object.allocate(length));
      const { allocated } = twins.model.partitions.get(lpid) ?? {};
      const isThere =
        address === undefined || allocated?.get(address / PAGE_BYTES) === Math.ceil(length / PAGE_BYTES);
      ensure(isThere, () => `allocate(${length}) of ${lpid} gave ${address}`);
    } else this.#objects.attempt(() => object.free(page * PAGE_BYTES));
  }

  /** What stands at an address, whether its partition may read it or not. */
  #bytesAt(lpid: number, address: number, length: number): Uint8Array {
    const partition = this.#objects.twins.model.partitions.get(lpid);
    const bytes = new Uint8Array(length);
    for (let done = 0; partition !== undefined && done < length; done++) {
      const [frame] = framesAt(partition, address + done, 1);
      bytes[done] = frame?.bytes[(address + done) % PAGE_BYTES] ?? 0;
    }
    return bytes;
  }

  #wordAt(lpid: number, address: number): number | undefined {
    const bytes = this.#bytesAt(lpid, address, 4);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  /** Whether no frame is at two places of a range. */
  #isApart(lpid: number, address: number, length: number): boolean {
    const partition = this.#objects.twins.model.partitions.get(lpid);
    const frames = partition === undefined ? [] : framesAt(partition, address, length);
    return new Set(frames).size === frames.length;
  }

  #checkBytes(lpid: number, address: number, expected: Uint8Array): void {
    const isSame = Buffer.compare(this.#bytesAt(lpid, address, expected.length), expected) === 0;
    ensure(isSame, () => `what was to be written at ${address} of ${lpid} is not there`);
  }

  // -------------------------------------------------------------- views

  view(): void {
    const { twins, draw } = this.#objects;
    const { model } = twins;
    const mapped = this.#objects.pick("shared", ({ type }) => type === "memory");
    const lpid = draw.once(3)
      ? this.#objects.running().lpid
      : (mapped?.holder.lpid ?? this.#objects.first().lpid);
    const page = lpid === mapped?.holder.lpid ? mapped.page : draw.below(6);
    const pageCount = 1 + draw.below(Math.min(3, mapped?.pageCount ?? 2));
    const [address, length] = [page * PAGE_BYTES, pageCount * PAGE_BYTES];
    const { value: view } = this.#objects.attempt(() => this.#objects.object(lpid).view(address, length));
    if (view === undefined) return;
    const { incarnation, spaces } = model.partitions.get(lpid) ?? { incarnation: 0 };
    const node = spaces?.memory.entries.get(page)?.node;
    this.#views.add({ view, lpid, incarnation, address, length, node });
    if (node?.kind === "grant" && node.isCopyOnWrite) twins.saw("a view is of a copy");
    if (node?.kind === "grant" && node.mode === "lend") twins.saw("a view is of a lend");
  }

  release(): void {
    const taken = this.#objects.draw.pick([...this.#views]);
    taken?.view.release();
    if (taken !== undefined) this.#views.delete(taken);
  }

  releaseAll(): void {
    for (const { view } of this.#views) view.release();
    this.#views.clear();
  }

  /** Whoever has a view writes through it, also when it has leaked: to a frame on which some view stands (RS6). */
  scribble(): void {
    const { twins, draw } = this.#objects;
    const taken = draw.pick([...this.#views]);
    const bytes = taken === undefined ? undefined : bytesOf(taken.view);
    if (taken === undefined || bytes === undefined) return;
    const at = draw.below(bytes.length);
    const place = bytes.byteOffset + at - twins.kernel.memory.header(HEADER_FRAMES_AT);
    const physical = Math.floor(place / PAGE_BYTES);
    const frame = this.#frameAt(physical);
    ensure(
      frame !== undefined && frame.pins > 0,
      () => `a view of ${taken.lpid} shows frame ${physical}, on which no view stands`,
    );
    const byte = draw.below(256);
    frame.bytes[place % PAGE_BYTES] = byte;
    bytes[at] = byte;
    if (!this.#isStanding(taken)) twins.saw("a leaked view is written through");
  }

  #frameAt(physical: number): Frame | undefined {
    const { model } = this.#objects.twins;
    return [...model.framesOwned(), ...model.quarantine.keys()].find((frame) => frame.physical === physical);
  }

  /** Whether the partition still has what a view was taken from, with all rights. */
  #isStanding({ lpid, incarnation, address, length, node }: TakenView): boolean {
    const { model } = this.#objects.twins;
    const partition = model.partitions.get(lpid);
    const entry = partition?.spaces.memory.entries.get(Math.floor(address / PAGE_BYTES));
    if (partition?.state !== "running" || partition.incarnation !== incarnation || entry?.node !== node)
      return false;
    return examineAccess(model, lpid, address, length, NEED_READ | NEED_WRITE) === H_SUCCESS;
  }

  /** Views show the memory as their partitions have it, as long as their mappings stand (RS6). */
  look(): void {
    for (const taken of this.#views) this.#look(taken);
  }

  #look(taken: TakenView): void {
    if (!this.#isStanding(taken)) return;
    const { view, lpid, address, length } = taken;
    const { model, kernel } = this.#objects.twins;
    const partition = model.partitions.get(lpid);
    if (partition === undefined) return;
    const frames = framesAt(partition, address, length);
    const first = frames[0]?.physical ?? 0;
    const isTogether = frames.every(({ physical }, index) => physical === first + index);
    const bytes = bytesOf(view);
    // Without a record for another pin it cannot follow its page, and gives nothing away.
    this.#wasFull ||= model.pins.size >= model.options.views;
    if (bytes === undefined && this.#wasFull) return;
    ensure(
      (bytes !== undefined) === isTogether,
      () => `a view of ${lpid} at ${address} is there, or not, wrongly`,
    );
    if (bytes === undefined) return;
    const at = kernel.memory.header(HEADER_FRAMES_AT) + first * PAGE_BYTES;
    ensure(bytes.byteOffset === at, () => `a view of ${lpid} has not followed its page`);
    const expected = read(model, lpid, address, length).bytes;
    const isSame = expected !== undefined && Buffer.compare(bytes, expected) === 0;
    ensure(isSame, () => `a view of ${lpid} at ${address} shows something else than there is`);
  }

  /** One of the mappings under a view is taken back: mostly nothing can be returned that has one (RE2). */
  returnUnder(): void {
    const { draw, twins } = this.#objects;
    const node = draw.pick([...this.#views])?.node;
    if (node?.kind !== "grant" || !twins.model.grants.has(node.cookie)) return;
    this.#objects.attempt(() => this.#objects.object(node.holder.lpid).return(cookieOf(node)));
  }
}

function bytesOf(view: View): Uint8Array | undefined {
  try {
    return view.bytes;
  } catch (error) {
    if (error instanceof HcallError) return undefined;
    throw error;
  }
}
