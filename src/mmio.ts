/**
 * MMIO (KI2): windows behind which a device model stands instead of memory. The model runs in the thread that serves the
 * window; from another thread the access travels there and back, with a time limit.
 */
import { KEEP_ALIVE_MS, nextTurn } from "./clock.js";
import { checkInteger, HcallError, refuseKind, textOf } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  H_BUSY,
  H_CLOSED,
  H_HARDWARE,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARTIAL,
  H_RESOURCE,
  H_SUCCESS,
  MAIL_ADDRESS,
  MAIL_LPID,
  MAIL_NEED_SHIFT,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_VALUE,
  MAIL_WHAT,
  MAILS,
  NEED_READ,
  NEED_WRITE,
  SPACE_MMIO,
  THREAD_BELL,
  THREAD_DEVICE,
  THREAD_MODEL_ROOT,
  THREAD_TAKEN,
  TYPE_MMIO,
} from "./layout.js";
import { grantAt } from "./records.js";

/** Bytes of one access. */
export type AccessSize = 1 | 2 | 4;

/** What stands behind a window. It runs in the thread that serves the window, and may make calls of its own. */
export interface DeviceModel {
  /**
   * @param offset bytes from the start of the window, a multiple of `size`.
   * @returns an integer of `size` bytes, from 0; for 4 bytes a signed one will do.
   */
  read(offset: number, size: AccessSize): number;
  /**
   * A store by somebody who may write to the window.
   * @param value an integer of `size` bytes, from 0.
   */
  write(offset: number, size: AccessSize, value: number): void;
}

/** What one access wants. */
interface Access {
  /** As an error names it. */
  readonly name: string;
  readonly lpid: number;
  readonly address: number;
  readonly size: AccessSize;
  readonly need: number;
  readonly value: number;
}

/** One window that this thread serves. */
interface Service {
  readonly lpid: number;
  readonly address: number;
  readonly model: DeviceModel;
}

const DEFAULT_TIMEOUT_MS = 1000;
/** Requests that are served before the event loop turns. */
const SERVED_PER_TURN = 64;

function isValue(value: number, size: AccessSize): boolean {
  const least = size === 4 ? -(2 ** 31) : 0;
  return Number.isInteger(value) && value >= least && value < 2 ** (8 * size);
}

/** As an error names it. */
function detailOf({ address, need, value }: Access): string {
  return `address ${address}${need === NEED_WRITE ? `, value ${value}` : ""}`;
}

/** The windows that a thread serves, and the accesses of this thread to windows anywhere. */
export class Devices {
  readonly #kernel: Kernel;
  readonly #isWorker: boolean;
  /** By the number of the window. What the table says of who serves is what counts; this only finds the model. */
  readonly #services: Map<number, Service> = new Map();
  /** Whether other threads may ask for accesses. */
  #isShared: boolean;
  #isArmed = false;
  /** Requests of this thread that wait for their answers, one inside the other. */
  #waiting = 0;
  /** What the model last answered. */
  #answer = 0;
  /** Why the model last failed. */
  #failure: unknown;
  #keepAlive: ReturnType<typeof setInterval> | undefined;

  constructor(kernel: Kernel, isWorker: boolean) {
    this.#kernel = kernel;
    this.#isWorker = isWorker;
    this.#isShared = isWorker;
  }

  /** Other threads join the table. */
  share(): void {
    this.#isShared = true;
    this.#arm();
  }

  /** The table is closed: nothing is served any more. */
  close(): void {
    this.#services.clear();
    this.#stopKeeping();
    Atomics.notify(this.#kernel.memory.integers, this.#bell);
  }

  get #bell(): number {
    return (this.#kernel.memory.thread + THREAD_BELL) / 4;
  }

  /** @throws HcallError H_PARAMETER, H_RESCINDED, H_RESOURCE */
  serve(holder: Holder, address: number, model: DeviceModel): Disposable {
    this.#kernel.checkOpen();
    if (Object(model) !== model) refuseKind("model", model, "DeviceModel");
    const { core, memory } = this.#kernel;
    const { lpid, incarnation } = holder;
    const status = core.serveWindow(lpid, address, 1);
    this.#kernel.settle("mmio.serve", status, status < 0 ? `address ${address}` : "");
    const window = memory.result;
    const service: Service = { lpid, address, model };
    // One of an earlier incarnation, whose window had another number, has ended without saying so.
    for (const [number, old] of this.#services)
      if (old.lpid === lpid && old.address === address) this.#services.delete(number);
    this.#services.set(window, service);
    // As a listening socket does: whoever serves wants to live for those who ask.
    if (this.#isWorker) this.#keepAlive ??= setInterval(() => {}, KEEP_ALIVE_MS);
    this.#arm();
    return {
      [Symbol.dispose]: () => {
        // It may have ended long ago: nothing is taken from the service that came after it.
        if (this.#services.get(window) !== service) return;
        this.#services.delete(window);
        if (this.#services.size === 0) this.#stopKeeping();
        // When there is no lock, that may be later: another incarnation may be served by then (G4).
        this.#kernel.finish(() =>
          holder.isCurrent(incarnation) ? core.serveWindow(lpid, address, 0) : H_SUCCESS,
        );
      },
    };
  }

  #stopKeeping(): void {
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  /** Serves other threads whenever the bell rings, as long as there is something to serve. */
  #arm(): void {
    if (this.#isArmed || !this.#isShared || this.#kernel.isClosed || this.#services.size === 0) return;
    this.#isArmed = true;
    const { words, integers } = this.#kernel.memory;
    // Read before looking for requests: one that comes after the look has rung the bell since.
    const count = Atomics.load(words, this.#bell);
    let served = 0;
    while (served < SERVED_PER_TURN && this.#serveOne()) served++;
    const wake = (): void => {
      this.#isArmed = false;
      // What came while the last window was given up must not wait for its time limit.
      if (this.#services.size === 0 && !this.#kernel.isClosed) while (this.#serveOne()) {}
      this.#arm();
    };
    const sleep = served < SERVED_PER_TURN ? Atomics.waitAsync(integers, this.#bell, count | 0) : undefined;
    if (sleep?.async === true) void sleep.value.then(wake);
    else void nextTurn().then(wake);
  }

  /** Serves one request of another thread. Answers whether there was one. */
  #serveOne(): boolean {
    const { core, memory } = this.#kernel;
    if (core.takeRequest() !== H_SUCCESS) return false;
    const copy = memory.thread + THREAD_TAKEN;
    const what = memory.header(copy + MAIL_WHAT);
    const number = memory.header(copy + MAIL_SERVER);
    const state = memory.header(copy + MAIL_STATE);
    const access: Access = {
      name: "mmio",
      lpid: memory.header(copy + MAIL_LPID),
      address: memory.floats[(copy + MAIL_ADDRESS) / 8] as number,
      size: (what & 0xff) as AccessSize,
      need: what >>> MAIL_NEED_SHIFT,
      value: memory.header(copy + MAIL_VALUE),
    };
    const outer = memory.header(memory.thread + THREAD_MODEL_ROOT);
    let status: number = H_HARDWARE;
    let isBegun = false;
    try {
      const begun = core.beginDevice(access.lpid, access.address, access.size, access.need);
      isBegun = begun === H_SUCCESS;
      // That another thread serves it now is as good as nobody: whoever asks may ask again.
      if (isBegun) status = this.#run(access);
      else if (begun !== H_BUSY) status = begun;
    } finally {
      // The answer is given before the access ends: whoever revokes waits for it.
      core.answerRequest(number, state, status, status === H_SUCCESS ? this.#answer : 0);
      if (isBegun) core.endDevice(outer);
    }
    return true;
  }

  /** Runs the model of the access that beginDevice() has begun. @returns its status; #answer, or #failure. */
  #run(access: Access): number {
    const { core, memory } = this.#kernel;
    const { size, need, lpid, address } = access;
    const offset = memory.result;
    const service = this.#services.get(memory.header(memory.thread + THREAD_DEVICE));
    const grant = grantAt(memory, lpid, SPACE_MMIO, address);
    this.#failure = undefined;
    if (service === undefined) return H_HARDWARE;
    let answer = 0;
    try {
      if (need === NEED_READ) answer = service.model.read(offset, size);
      else service.model.write(offset, size, access.value >>> 0);
    } catch (error) {
      this.#failure = error;
      return H_HARDWARE;
    }
    if (!isValue(answer, size)) {
      this.#failure = new RangeError(
        `read() answered ${textOf(answer)}; it must be an integer of ${size} bytes`,
      );
      return H_HARDWARE;
    }
    // Nobody else's rescind can have ended meanwhile; one that the model itself made in this thread can.
    if (grantAt(memory, lpid, SPACE_MMIO, address) !== grant) {
      const status = core.translate(lpid, TYPE_MMIO, address, size, need);
      if (status !== H_SUCCESS) return status;
    }
    this.#answer = answer >>> 0;
    return H_SUCCESS;
  }

  /**
   * One access.
   * @returns what was read, 0 for a write.
   * @throws HcallError as Mmio says.
   */
  access(access: Access, timeoutMs: number): number {
    const { core, memory } = this.#kernel;
    const { name, lpid, address, size, need } = access;
    const outer = memory.header(memory.thread + THREAD_MODEL_ROOT);
    const begun = core.beginDevice(lpid, address, size, need);
    if (begun === H_BUSY) return this.#ask(access, memory.result, timeoutMs);
    if (begun === H_HARDWARE)
      throw new HcallError(name, begun, `${detailOf(access)}: no model serves the window`);
    this.#kernel.settle(name, begun, begun < 0 ? detailOf(access) : "");
    let status: number;
    try {
      status = this.#run(access);
    } finally {
      core.endDevice(outer);
    }
    if (status === H_SUCCESS) return this.#answer;
    throw this.#error(name, status, detailOf(access));
  }

  /** The error of an access whose model ran, or should have run, in this thread. */
  #error(name: string, status: number, detail: string): HcallError {
    const failure = this.#failure;
    if (status !== H_HARDWARE)
      return new HcallError(name, status, `${detail}: the model took the window while it was accessed`);
    if (failure === undefined) return new HcallError(name, status, `${detail}: no model serves the window`);
    return new HcallError(name, status, `${detail}: the model failed: ${textOf(failure)}`, {
      cause: failure,
    });
  }

  /** Asks the thread that serves the window. */
  #ask(access: Access, server: number, timeoutMs: number): number {
    const { core, memory } = this.#kernel;
    const { name, lpid, address, size, need, value } = access;
    const detail = detailOf(access);
    const index = this.#waiting;
    if (index === MAILS)
      throw new HcallError(
        name,
        H_RESOURCE,
        `${detail}: ${MAILS} accesses of this thread wait for each other`,
      );
    const end = performance.now() + timeoutMs;
    let status: number;
    this.#waiting++;
    try {
      do {
        const posted = core.postRequest(
          index,
          server,
          lpid,
          address,
          size | (need << MAIL_NEED_SHIFT),
          value,
        );
        status = posted === H_SUCCESS ? this.#await(index, end) : H_CLOSED;
        // The other thread did not get a lock; it has done nothing.
      } while (status === H_LONG_BUSY_10_MSEC && performance.now() < end);
    } finally {
      this.#waiting--;
    }
    if (status === H_SUCCESS) return need === NEED_READ ? memory.result : 0;
    throw remoteError(name, status, detail, timeoutMs);
  }

  /** Waits for an answer, and serves others meanwhile: they may be waiting for this thread. */
  #await(index: number, end: number): number {
    const { core, memory } = this.#kernel;
    const { words, integers } = memory;
    try {
      while (true) {
        const count = Atomics.load(words, this.#bell);
        const hasServed = this.#serveOne();
        const status = core.collectRequest(index, 0);
        if (status !== H_BUSY) return status;
        const left = end - performance.now();
        if (left <= 0) return core.collectRequest(index, 1);
        if (!hasServed) sleepOn(integers, this.#bell, count, left);
      }
    } catch (error) {
      // Whatever it is, nobody waits for the answer any more.
      core.collectRequest(index, 1);
      throw error;
    }
  }
}

function sleepOn(integers: Int32Array, index: number, count: number, ms: number): void {
  try {
    Atomics.wait(integers, index, count | 0, ms);
  } catch {
    // The main thread of a browser may not wait: it looks again and again, until the time is over.
  }
}

function remoteError(name: string, status: number, detail: string, timeoutMs: number): HcallError {
  switch (status) {
    case H_CLOSED:
      return new HcallError(name, H_HARDWARE, `${detail}: the thread that serves the window has ended`);
    case H_PARTIAL:
      return new HcallError(
        name,
        H_HARDWARE,
        `${detail}: the model did not answer in ${timeoutMs} ms; what it was asked for may still happen, once`,
      );
    case H_NOT_FOUND:
    case H_LONG_BUSY_10_MSEC:
      return new HcallError(
        name,
        H_LONG_BUSY_10_MSEC,
        `${detail}: the thread that serves the window did not get to it in ${timeoutMs} ms; nothing was done`,
      );
    case H_HARDWARE:
      return new HcallError(name, status, `${detail}: the model failed, in another thread`);
    default:
      return new HcallError(name, status, detail);
  }
}

/**
 * The device windows of one partition: `partition.mmio`. Its owner serves a window; it, and whoever has accepted a grant of
 * part of it, reaches the model by loads and stores.
 *
 * Every access can throw an HcallError: H_PARAMETER for an address that is unmapped, or not a multiple of the size, or a
 * value that does not fit; H_RESCINDED; H_PERMISSION; H_HARDWARE if no model serves the window, or the model failed, or its
 * thread ended or did not answer in time (then a write may still happen, but not twice); H_LongBusyOrder10msec if that thread
 * did not come to it in time, or a lock was not to be had, and nothing was done; H_RESOURCE if four accesses of this
 * thread wait for other threads already, one inside the other.
 */
export class Mmio {
  readonly #kernel: Kernel;
  readonly #holder: Holder;
  #timeoutMs = DEFAULT_TIMEOUT_MS;

  /** @internal Made by Partition. */
  constructor(holder: Holder) {
    this.#kernel = holder.kernel;
    this.#holder = holder;
  }

  /**
   * Milliseconds that an access waits for a model in another thread, from 1 to 2^31 - 1; default 1000. The thread stands still
   * meanwhile, but for requests to its own models. Of this object, not of the partition in other threads.
   * @throws RangeError on setting anything else.
   */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** As it is read. */
  set timeoutMs(ms: number) {
    this.#timeoutMs = checkInteger("timeoutMs", ms, 1, 2 ** 31 - 1);
  }

  /**
   * Puts a model behind a window of this partition's own. The model runs in this thread: for other threads whenever its event
   * loop turns, or while it waits for another model. The service ends with the returned object, the thread or the
   * failure of the partition; after a restart it must be begun again. In a worker it keeps the thread alive.
   * @param address bytes, where the window that ResourceTable.assign() gave begins.
   * @throws HcallError H_PARAMETER if no window of its own begins there; H_RESOURCE if it is served already; H_RESCINDED. LparError LPAR_CLOSED.
   * TypeError for what is no model.
   */
  serve(address: number, model: DeviceModel): Disposable {
    return this.#kernel.devices.serve(this.#holder, address, model);
  }

  #load(name: string, address: number, size: AccessSize): number {
    const access = { name, lpid: this.#holder.lpid, address, size, need: NEED_READ, value: 0 };
    return this.#kernel.devices.access(access, this.#timeoutMs);
  }

  #store(name: string, address: number, size: AccessSize, value: number): void {
    if (!isValue(value, size))
      this.#kernel.refuseFor(
        this.#holder.lpid,
        name,
        `value ${textOf(value)} is no integer of ${size} bytes`,
      );
    const access = { name, lpid: this.#holder.lpid, address, size, need: NEED_WRITE, value };
    this.#kernel.devices.access(access, this.#timeoutMs);
  }

  /** Reads one byte, 0 to 255. @param address bytes. @throws HcallError as the class says. */
  load8(address: number): number {
    return this.#load("mmio.load8", address, 1);
  }

  /** Reads 16 bits, unsigned. @param address bytes, a multiple of 2. @throws HcallError as the class says. */
  load16(address: number): number {
    return this.#load("mmio.load16", address, 2);
  }

  /** Reads 32 bits, unsigned. @param address bytes, a multiple of 4. @throws HcallError as the class says. */
  load32(address: number): number {
    return this.#load("mmio.load32", address, 4);
  }

  /** Writes one byte. @param address bytes. @param value 0 to 255. @throws HcallError as the class says. */
  store8(address: number, value: number): void {
    this.#store("mmio.store8", address, 1, value);
  }

  /** Writes 16 bits. @param address bytes, a multiple of 2. @param value 0 to 65535. @throws HcallError as the class says. */
  store16(address: number, value: number): void {
    this.#store("mmio.store16", address, 2, value);
  }

  /**
   * Writes 32 bits.
   * @param address bytes, a multiple of 4.
   * @param value -2^31 to 2^32 - 1; the model sees it unsigned.
   * @throws HcallError as the class says.
   */
  store32(address: number, value: number): void {
    this.#store("mmio.store32", address, 4, value);
  }
}
