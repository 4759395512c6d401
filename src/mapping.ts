/**
 * What a partition holds for a while: an accepted grant, a zero-copy view. Both are `using`-ready.
 */
import { describeMapping, rangeOf, showAs } from "./describe.js";
import { publishReturn, RETURN } from "./diagnostics.js";
import { checkInteger, HcallError, LparError } from "./errors.js";
import type { Holder } from "./holder.js";
import { type Following, type Kernel, type Movable, refuse, refuseAbout } from "./kernel.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_MOVES,
  NEED_READ,
  NEED_WRITE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_STATE,
  THREAD_WAITS_FOR,
} from "./layout.js";
import {
  type GrantMode,
  indexOfCookie,
  isDonated,
  isPinned,
  isStanding,
  modeOfTerms,
  RESOURCE_TYPES,
  type ResourceType,
  readTerms,
  spaceOfTerms,
  structureOfCookie,
  structureOfPin,
  unitOf,
} from "./records.js";
import { accessDetail, viewDetail } from "./refusals.js";
import { readSealed, SEAL_BYTES } from "./seal.js";

declare const cookieBrand: unique symbol;
/** Names one grant (G3). A plain safe integer at run time: it may travel through JSON and postMessage. */
export type Cookie = number & {
  /** @ignore */
  readonly [cookieBrand]: true;
};

/** Mappings whose return has begun, and then found the table locked. */
const unfinished: WeakSet<Mapping> = new WeakSet();

/** So often a return waits for a use that began before it, some 0.1 ms each time: the owner's thread, and any other one. */
const OWNER_WAITS = 8;
const WAITS = 50_000;

/** What a return ends with that did not succeed at once: one of many pages goes in slices (RE6). */
function goOn({ kernel, lpid }: Holder, cookie: number, first: number, mapping?: Mapping): number {
  const { core, memory } = kernel;
  const most = kernel.failPartition === undefined ? WAITS : OWNER_WAITS;
  const hasBegun = first === H_BUSY || (mapping !== undefined && unfinished.has(mapping));
  let status = first;
  for (let waits = 0; status === H_BUSY; status = core.returnLogical32(lpid, cookie)) {
    // Of a use that does not end its thread may have died, which nobody hears before the owner's event loop turns.
    if (memory.header(memory.thread + THREAD_WAITS_FOR) === 0 || ++waits < most) continue;
    memory.pokeAll();
    status = H_LONG_BUSY_10_MSEC;
    break;
  }
  if (!hasBegun) return status;
  // Rescinded in between it ends as a grant that is not accepted: nothing is left to be returned.
  if (status === H_PARAMETER || status === H_RESCINDED) return H_SUCCESS;
  if (status === H_LONG_BUSY_10_MSEC && mapping !== undefined) unfinished.add(mapping);
  return status;
}

/** As Mapping.return() where the cookie alone is known; apart, so that the other one stays short enough for the engine to inline it. */
export function returnByCookie(holder: Holder, cookie: Cookie): void {
  const { kernel, lpid } = holder;
  const status = goOn(holder, cookie, kernel.core.returnLogical32(lpid, cookie));
  if (status !== H_SUCCESS) refuseAbout("H_RETURN_LOGICAL", status, "cookie", cookie);
  // Whoever has the mapping, or gets the next one of the same grant, is not to return that in its stead; before a subscriber accepts it.
  holder.countReturn(cookie);
  kernel.notice();
  if (RETURN.hasSubscribers) publishReturn(kernel.partitionOf(lpid), cookie);
}

/** An accepted grant in the client's logical address space. */
export class Mapping implements Disposable {
  static {
    showAs<Mapping>(
      Mapping,
      (mapping) => `${mapping.cookie} { ${mapping.#standing()}${describeMapping(mapping)} }`,
    );
  }

  /** Names the grant; it stays acceptable after a return (RE1). */
  readonly cookie: Cookie;
  /** First logical address: bytes, or a number for interrupt sources and ports. */
  readonly address: number;
  /** Whose it is; undefined once it was returned. */
  #holder: Holder | undefined;
  /** Of what was accepted: another one is somebody else's. What was donated no return ends, only its incarnation. */
  readonly #stamp: number;
  /** What the grant was when it was accepted, to be decoded when somebody asks: most never do. */
  readonly #terms: number;
  readonly #pageCount: number;

  /** @internal Made by Partition.accept(). */
  constructor(holder: Holder, cookie: Cookie, address: number) {
    const { memory } = holder.kernel;
    const { words } = memory;
    const at = indexOfCookie(cookie);
    this.cookie = cookie;
    this.address = address;
    this.#holder = holder;
    this.#terms = (words[at + STRUCTURE_STATE / 4] as number) | 0;
    this.#stamp = isDonated(this.#terms) ? holder.incarnation : holder.stamp(cookie);
    this.#pageCount = words[at + STRUCTURE_PAGE_COUNT / 4] as number;
  }

  /** Its kind, whose space the address is in. */
  get type(): ResourceType {
    return RESOURCE_TYPES[spaceOfTerms(this.#terms)] as ResourceType;
  }

  /** In the unit of the address. */
  get length(): number {
    return this.#pageCount * unitOf(spaceOfTerms(this.#terms));
  }

  /** Whether it may be read (AC6). */
  get readable(): boolean {
    return readTerms(this.#terms).readable;
  }

  /** Whether it may be written (AC6). */
  get writable(): boolean {
    return readTerms(this.#terms).writable;
  }

  /** Whether it may be granted on (GR5). */
  get regrantable(): boolean {
    return readTerms(this.#terms).regrantable;
  }

  /** What it was granted as. A "donate" is the partition's own: there is nothing to return. */
  get mode(): GrantMode {
    return modeOfTerms(this.#terms);
  }

  /**
   * A private copy of the payload of a sealed record in this mapping; undefined if it is not complete. See
   * Partition.sealed().
   * @param offset bytes from the start of the mapping, from 0; default 0.
   * @param length bytes of the whole record with its seal, from 16; default all that follows the offset.
   * @throws RangeError for an offset or a length outside the mapping; LparError LPAR_RELEASED after return(); HcallError
   * H_RESCINDED, also after the partition failed; H_PERMISSION; H_PARAMETER if this is no memory.
   */
  sealed(offset: number = 0, length?: number): Uint8Array | undefined {
    if (this.type !== "memory") throw new HcallError("H_READ", H_PARAMETER, `the mapping is of ${this.type}`);
    checkInteger("offset", offset, 0, this.length - SEAL_BYTES);
    const most = this.length - offset;
    checkInteger("length", length ?? most, SEAL_BYTES, most);
    // The addresses may be another mapping's by now.
    if (this.#holder === undefined) throw new LparError("LPAR_RELEASED", "the mapping was returned");
    const { kernel, lpid } = this.#holder;
    if (!this.#isHeldBy(this.#holder))
      throw new HcallError(
        "H_READ",
        H_RESCINDED,
        "it was returned by its cookie, or the partition has failed",
      );
    return readSealed(kernel.partitionOf(lpid), this.address + offset, length ?? most);
  }

  /**
   * Returns the mapping (H_RETURN_LOGICAL); the cookie can be accepted again. A second call does nothing, nor does one after
   * Partition.return() of its cookie, or after the partition failed: its mappings were returned on its behalf. Succeeds on a
   * rescinded mapping (RE5).
   * @throws HcallError H_RESOURCE while views or re-grants of it stand; H_RESCINDED while a forced rescind is under way;
   * H_PARAMETER for what was donated.
   */
  return(): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    if (this.#isHeldBy(holder)) this.#returnTo(holder);
    else this.#holder = undefined;
  }

  /** H_RETURN_LOGICAL until it is complete. */
  #returnTo(holder: Holder): void {
    if (isDonated(this.#terms)) refuse("H_RETURN_LOGICAL", H_PARAMETER, "donated: it is the partition's own");
    const { cookie } = this;
    const { kernel, lpid } = holder;
    let status = kernel.core.returnLogical32(lpid, cookie);
    if (status !== H_SUCCESS) status = goOn(holder, cookie, status, this);
    if (status !== H_SUCCESS) refuseAbout("H_RETURN_LOGICAL", status, "cookie", cookie);
    // Before a subscriber returns it once more, and with it what it has accepted of the same grant.
    this.#holder = undefined;
    kernel.notice();
    if (RETURN.hasSubscribers) publishReturn(kernel.partitionOf(lpid), cookie);
  }

  #isHeldBy(holder: Holder): boolean {
    return isDonated(this.#terms) ? holder.isCurrent(this.#stamp) : holder.stands(this.#stamp, this.cookie);
  }

  /** Empty while it can be used. */
  #standing(): string {
    if (this.#holder === undefined) return "returned, ";
    if (!this.#isHeldBy(this.#holder)) return "returned by its cookie, or its partition failed, ";
    const { cookie, state, revoking } = structureOfCookie(this.#holder.kernel.memory, this.cookie);
    return cookie !== this.cookie || state === "rescinded" || revoking ? "rescinded, " : "";
  }

  /** As return(); what was donated is kept. */
  [Symbol.dispose](): void {
    if (!isDonated(this.#terms)) this.return();
  }
}

/** Pages that were pinned, and where they are; undefined if they are not contiguous. */
interface Pinned {
  readonly pin: number;
  readonly bytes: Uint8Array | undefined;
  /** The table's count of moves when they were there. */
  readonly moves: number;
}

/** A zero-copy window on a partition's memory. It pins the pages until it is released (TR4). */
export class View implements Disposable, Movable {
  static {
    showAs<View>(View, (view) => {
      const released = view.#pin === 0 ? "released, " : "";
      return `{ ${released}${rangeOf("memory", view.#address, view.#length)} }`;
    });
  }

  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #holder: Holder;
  readonly #incarnation: number;
  readonly #address: number;
  readonly #length: number;
  #pin = 0;
  #bytes: Uint8Array | undefined;
  /** The table's count of moves that it has followed. */
  #moves = 0;
  /** Undefined once the access has ended: it has no move to follow then. */
  #following: Following | undefined;

  /** @internal Made by Partition.view(), which has checked that the range may be pinned. */
  constructor(holder: Holder, address: number, length: number) {
    const { kernel, lpid } = holder;
    this.#kernel = kernel;
    this.#lpid = lpid;
    this.#holder = holder;
    this.#incarnation = holder.incarnation;
    this.#address = address;
    // A text, which the core takes for its number, must not become the last digits of where the view ends.
    this.#length = +length;
    const taken = this.#take();
    if (typeof taken === "number") {
      kernel.settle("H_VIEW", taken, this.#detail(taken));
      return;
    }
    this.#have(taken);
    this.#following = kernel.hold(this, lpid, address, length);
    kernel.notice();
  }

  /** What it says of itself if it cannot be taken. */
  #detail(status: number): string {
    const range = `address ${this.#address}, length ${this.#length}`;
    if (status === H_NO_MEM) return `${range}${viewDetail(this.#kernel.memory)}`;
    if (status === H_PERMISSION) return `${range}: a view needs the rights to read and to write`;
    // Of the two that H_RESOURCE can mean, a lend keeps it from being read, too.
    if (status !== H_RESOURCE || this.#check(NEED_READ) !== H_SUCCESS) return accessDetail(status, range);
    return `${range}: its pages lie apart; migrate() joins those of the partition's own`;
  }

  /**
   * Pins the pages, and finds the bytes in the frames that were pinned: another thread may move the pages in between.
   * @returns the status if that fails.
   */
  #take(): Pinned | number {
    const { core, memory } = this.#kernel;
    while (true) {
      const moves = memory.header(HEADER_MOVES);
      const status = core.pinMemory(this.#lpid, this.#address, this.#length);
      if (status !== H_SUCCESS) return status;
      const pin = memory.result;
      const found = this.#check();
      const at = memory.result;
      const isBusy = found === H_LONG_BUSY_10_MSEC;
      if (!isBusy && memory.header(HEADER_MOVES) === moves) {
        const isThere = found === H_SUCCESS && at >= 0;
        return { pin, bytes: isThere ? memory.bytes.subarray(at, at + this.#length) : undefined, moves };
      }
      this.#unpin(pin);
      if (isBusy) return found;
    }
  }

  #have({ pin, bytes, moves }: Pinned): void {
    this.#pin = pin;
    this.#bytes = bytes;
    this.#moves = moves;
  }

  #unpin(pin: number): void {
    const { core } = this.#kernel;
    this.#kernel.finish(() => {
      const status = core.unpinMemory(this.#lpid, pin);
      // The view may have outlived the incarnation that took it.
      return status < 0 ? core.unpinOrphan(pin) : status;
    });
  }

  /** Whether the access stands; memory.result says where the bytes are, if they are in one piece. */
  #check(need: number = NEED_READ | NEED_WRITE): number {
    const { core } = this.#kernel;
    return core.checkAccess(this.#lpid, this.#address, this.#length, need);
  }

  /**
   * The bytes. After a page was moved away from under a client that lost its access (RS6) this is another array than
   * before: read it anew rather than keep it.
   * @throws LparError LPAR_RELEASED after release(), and after the partition's thread has exited, if it was one; HcallError H_RESOURCE
   * if a move left the range in pieces, or if no pin was left to follow it.
   */
  get bytes(): Uint8Array {
    if (this.#pin === 0) throw new LparError("LPAR_RELEASED", "the view was released");
    // As the exit of a worker ends all views of its partition, also those that the owner of the table has.
    if (!isPinned(this.#kernel.memory, this.#pin))
      throw new LparError("LPAR_RELEASED", "the view ended with the thread of its partition");
    if (this.#following !== undefined) this.follow();
    if (this.#bytes === undefined)
      throw new HcallError(
        "H_VIEW",
        H_RESOURCE,
        "pages were moved apart, or no pin is left; take a new view",
      );
    return this.#bytes;
  }

  /** Whether what it was taken from still stands: the address may be another mapping's by now, or a later incarnation's. */
  #isStanding(): boolean {
    const { memory } = this.#kernel;
    const cookie = structureOfPin(memory, this.#pin);
    return this.#holder.isCurrent(this.#incarnation) && isStanding(memory, cookie);
  }

  /** It stays where it is: in quarantine, once the pages have moved. */
  #stay(): void {
    if (this.#following !== undefined) this.#kernel.views.delete(this.#following);
    this.#following = undefined;
  }

  follow(): boolean {
    const moves = this.#kernel.memory.header(HEADER_MOVES);
    if (moves === this.#moves) return true;
    const isThere = this.#follow();
    if (isThere) this.#moves = moves;
    return isThere;
  }

  #follow(): boolean {
    const status = this.#isStanding() ? this.#check() : H_RESCINDED;
    if (status === H_LONG_BUSY_10_MSEC) return false;
    if (status !== H_SUCCESS) {
      this.#stay();
      return true;
    }
    const offset = this.#kernel.memory.result;
    if (offset < 0) {
      this.#bytes = undefined;
      return true;
    }
    if (offset === this.#bytes?.byteOffset) return true;
    const taken = this.#take();
    if (typeof taken === "number") {
      if (taken === H_RESCINDED) this.#stay();
      // With no pin left it cannot follow; what is written where it was would reach nobody.
      else if (taken !== H_LONG_BUSY_10_MSEC) this.#bytes = undefined;
      return taken !== H_LONG_BUSY_10_MSEC;
    }
    const old = this.#pin;
    if (structureOfPin(this.#kernel.memory, taken.pin) !== structureOfPin(this.#kernel.memory, old)) {
      // Another mapping has got the address since we looked.
      this.#unpin(taken.pin);
      this.#stay();
      return true;
    }
    this.#have(taken);
    this.#unpin(old);
    return true;
  }

  /** Ends the view. A second call does nothing. */
  release(): void {
    if (this.#pin === 0) return;
    const pin = this.#pin;
    this.#pin = 0;
    this.#bytes = undefined;
    this.#stay();
    this.#kernel.leaks?.forget(this);
    this.#unpin(pin);
  }

  /** As release(). */
  [Symbol.dispose](): void {
    this.release();
  }
}
