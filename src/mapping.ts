/**
 * What a partition holds for a while: an accepted grant, a zero-copy view. Both are `using`-ready.
 */
import { checkInteger, HcallError, LparError } from "./errors.js";
import type { Kernel, Movable } from "./kernel.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_MOVES,
  NEED_READ,
  NEED_WRITE,
  PARTITION_INCARNATION,
  PARTITION_RUNNING,
  PARTITION_STATE,
} from "./layout.js";
import {
  type GrantMode,
  partitionWord,
  RESOURCE_TYPES,
  type ResourceType,
  structureOfCookie,
  unitOf,
} from "./records.js";
import { readSealed, SEAL_BYTES } from "./seal.js";

declare const cookieBrand: unique symbol;
/** Names one grant (G3). A plain safe integer at run time: it may travel through JSON and postMessage. */
export type Cookie = number & { readonly [cookieBrand]: true };

/** Whether the incarnation that took something still runs: what an older one held is gone already (G4). */
export function isCurrent(kernel: Kernel, lpid: number, incarnation: number): boolean {
  return (
    partitionWord(kernel.memory, lpid, PARTITION_STATE) === PARTITION_RUNNING &&
    partitionWord(kernel.memory, lpid, PARTITION_INCARNATION) === incarnation
  );
}

/** H_RETURN_LOGICAL until it is complete. */
export function returnToEnd(kernel: Kernel, lpid: number, cookie: number): void {
  let status: number;
  do {
    status = kernel.core.returnLogical(lpid, cookie);
  } while (status === H_BUSY);
  kernel.settle("H_RETURN_LOGICAL", status, `cookie ${cookie}`);
}

/** An accepted grant in the client's logical address space. */
export class Mapping implements Disposable {
  readonly cookie: Cookie;
  readonly type: ResourceType;
  /** First logical address: bytes, or a number for interrupt sources and ports. */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly regrantable: boolean;
  /** What it was granted as. A "donate" is the partition's own: there is nothing to return. */
  readonly mode: GrantMode;
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #incarnation: number;
  #returned = false;

  /** Made by Partition.accept(). */
  constructor(kernel: Kernel, lpid: number, cookie: Cookie, address: number) {
    const structure = structureOfCookie(kernel.memory, cookie);
    this.cookie = cookie;
    this.type = RESOURCE_TYPES[structure.space] as ResourceType;
    this.address = address;
    this.length = structure.pageCount * unitOf(structure.space);
    this.readable = structure.readable;
    this.writable = structure.writable;
    this.regrantable = structure.regrantable;
    this.mode = structure.mode;
    this.#kernel = kernel;
    this.#lpid = lpid;
    this.#incarnation = partitionWord(kernel.memory, lpid, PARTITION_INCARNATION);
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
    if (this.#returned) throw new LparError("LPAR_RELEASED", "the mapping was returned");
    if (!isCurrent(this.#kernel, this.#lpid, this.#incarnation))
      throw new HcallError("H_READ", H_RESCINDED, "the partition has failed since it accepted the mapping");
    return readSealed(this.#kernel.partitionOf(this.#lpid), this.address + offset, length ?? most);
  }

  /**
   * Returns the mapping (H_RETURN_LOGICAL); the cookie can be accepted again. A second call does nothing, nor does one
   * after the partition failed: its mappings were returned on its behalf. Succeeds on a rescinded mapping (RE5).
   * @throws HcallError H_RESOURCE while views or re-grants of it stand; H_RESCINDED while a forced rescind is under way;
   * H_PARAMETER for what was donated.
   */
  return(): void {
    if (this.#returned) return;
    if (isCurrent(this.#kernel, this.#lpid, this.#incarnation)) {
      if (this.mode === "donate")
        throw new HcallError("H_RETURN_LOGICAL", H_PARAMETER, "donated: it is the partition's own");
      returnToEnd(this.#kernel, this.#lpid, this.cookie);
    }
    this.#returned = true;
  }

  /** As return(); what was donated is kept. */
  [Symbol.dispose](): void {
    if (this.mode !== "donate") this.return();
  }
}

/** A zero-copy window on a partition's memory. It pins the pages until it is released (TR4). */
export class View implements Disposable, Movable {
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #incarnation: number;
  readonly #address: number;
  readonly #length: number;
  #pin = 0;
  #bytes: Uint8Array | undefined;

  /** Made by Partition.view(), which has checked that the range may be pinned. */
  constructor(kernel: Kernel, lpid: number, address: number, length: number) {
    this.#kernel = kernel;
    this.#lpid = lpid;
    this.#incarnation = partitionWord(kernel.memory, lpid, PARTITION_INCARNATION);
    this.#address = address;
    this.#length = length;
    kernel.settle("H_VIEW", this.#take(), `address ${address}, length ${length}`);
    kernel.views.add(this);
  }

  /** Pins the pages, and finds the bytes in the frames that were pinned: another thread may move the pages in between. */
  #take(): number {
    const { core, memory } = this.#kernel;
    while (true) {
      const moves = memory.header(HEADER_MOVES);
      const status = core.pinMemory(this.#lpid, this.#address, this.#length);
      if (status !== H_SUCCESS) return status;
      const pin = memory.result;
      const bytes = this.#locate();
      if (memory.header(HEADER_MOVES) !== moves) {
        this.#kernel.finish(() => core.unpinMemory(this.#lpid, pin));
        continue;
      }
      this.#pin = pin;
      this.#bytes = bytes;
      return H_SUCCESS;
    }
  }

  /** The bytes where they are now, or undefined if the access has ended or they are not contiguous any more. */
  #locate(): Uint8Array | undefined {
    const { core, memory } = this.#kernel;
    const status = core.checkAccess(this.#lpid, this.#address, this.#length, NEED_READ | NEED_WRITE);
    const offset = memory.result;
    return status === H_SUCCESS && offset >= 0
      ? memory.bytes.subarray(offset, offset + this.#length)
      : undefined;
  }

  /**
   * The bytes. After a page was moved away from under a client that lost its access (RS6) this is another array than
   * before: read it anew rather than keep it.
   * @throws LparError LPAR_RELEASED after release(); HcallError H_RESOURCE if a move left the range in pieces.
   */
  get bytes(): Uint8Array {
    if (this.#pin === 0) throw new LparError("LPAR_RELEASED", "the view was released");
    this.#kernel.followMoves();
    if (this.#bytes === undefined)
      throw new HcallError("H_VIEW", -16, "pages were moved apart; take a new view");
    return this.#bytes;
  }

  follow(): boolean {
    const { core } = this.#kernel;
    const bytes = this.#locate();
    // Without access, or with the access of a later incarnation, the view stays where it is: in quarantine.
    if (!isCurrent(this.#kernel, this.#lpid, this.#incarnation)) return true;
    if (bytes === undefined) {
      if (core.checkAccess(this.#lpid, this.#address, this.#length, NEED_READ) === H_SUCCESS)
        this.#bytes = undefined;
      return true;
    }
    if (bytes.byteOffset === this.#bytes?.byteOffset) return true;
    const old = this.#pin;
    const status = this.#take();
    if (status === H_SUCCESS) this.#kernel.finish(() => core.unpinMemory(this.#lpid, old));
    return status !== H_LONG_BUSY_10_MSEC;
  }

  /** Ends the view. A second call does nothing. */
  release(): void {
    if (this.#pin === 0) return;
    const { core } = this.#kernel;
    const pin = this.#pin;
    this.#pin = 0;
    this.#bytes = undefined;
    this.#kernel.views.delete(this);
    this.#kernel.finish(() => {
      const status = core.unpinMemory(this.#lpid, pin);
      // The view may have outlived the incarnation that took it.
      return status < 0 ? core.unpinOrphan(pin) : status;
    });
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
