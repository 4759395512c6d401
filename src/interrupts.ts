/**
 * Interrupt sources (KI3) and interprocessor-interrupt ports (KI5) of a partition: raising, ringing, masks and ends.
 */
import { HcallError } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import { H_CLOSED, H_LONG_BUSY_10_MSEC, H_PARTIAL, HEADER_STRUCTURE_FRESH } from "./layout.js";

/** Slices of one raise beyond those that its tree needs: it begins again where what it stood at has ended. */
const MORE_SLICES = 64;

/**
 * Raises an interrupt source for all who have it, in slices where they are many.
 * @param device whether the manager raises it, in the name of a device.
 * @throws HcallError H_PARAMETER, H_RESCINDED; H_PARTIAL if grants on the source ended again and again meanwhile.
 */
export function raiseInterrupt(kernel: Kernel, lpid: number, address: number, device: boolean): void {
  const { core, memory } = kernel;
  const most = memory.header(HEADER_STRUCTURE_FRESH) + MORE_SLICES;
  let position = 0;
  for (let slice = 0; slice < most; slice++) {
    const status = core.raiseInterrupt(lpid, address, device ? 1 : 0, position);
    if (status === H_PARTIAL) {
      position = memory.result;
      continue;
    }
    // Between two slices others may hold the locks: what was reached already must not be reached again.
    if (status === H_LONG_BUSY_10_MSEC && position !== 0) continue;
    kernel.settle("H_RAISE", status, status < 0 ? `interrupt ${address}` : "");
    return;
  }
  kernel.notice();
  throw new HcallError("H_RAISE", H_PARTIAL, `interrupt ${address}: some of its sharers were not reached`);
}

/** Rings the doorbell behind a port. @throws HcallError H_PARAMETER, H_RESCINDED, H_CLOSED */
export function ringPort(kernel: Kernel, lpid: number, address: number): void {
  const status = kernel.core.sendIpi(lpid, address);
  if (status === H_CLOSED)
    throw new HcallError("H_IPI", status, `port ${address}: whose doorbell it is does not run`);
  kernel.settle("H_IPI", status, status < 0 ? `port ${address}` : "");
}

/**
 * A partition's own side of its interrupt sources. Each source that it owns or has accepted brings an event of type
 * "interrupt" when it is raised; what is raised again before that is taken is the same event.
 *
 * A number at which nothing is mapped answers H_PARAMETER, a rescinded one H_RESCINDED.
 */
export class Interrupts {
  readonly #kernel: Kernel;
  readonly #holder: Holder;

  /** @internal Made by Partition. */
  constructor(holder: Holder) {
    this.#kernel = holder.kernel;
    this.#holder = holder;
  }

  #settle(hcall: string, status: number, address: number): void {
    this.#kernel.settle(hcall, status, status < 0 ? `interrupt ${address}` : "");
  }

  /**
   * From here on the source is in service from the moment at which its event is taken until end(), and brings no other
   * meanwhile: what is raised in between is one event after end(), so that looking at the device and then calling end()
   * misses nothing. An armed source is a pin: its mapping cannot be returned (RE2); a forced rescind takes it all the same.
   * @param address number in the partition's interrupt space.
   * @throws HcallError H_RESOURCE if it is armed already; H_PARAMETER, H_RESCINDED.
   */
  arm(address: number): void {
    this.#settle("H_ARM", this.#kernel.core.armInterrupt(this.#holder.lpid, address, 1), address);
  }

  /** Taking the event is its end again. @throws HcallError H_RESOURCE if it is not armed; H_PARAMETER, H_RESCINDED. */
  disarm(address: number): void {
    this.#settle("H_ARM", this.#kernel.core.armInterrupt(this.#holder.lpid, address, 0), address);
  }

  /** The event of an armed source has been dealt with (H_EOI). @throws HcallError H_PARAMETER if none was taken; H_RESCINDED. */
  end(address: number): void {
    this.#settle("H_EOI", this.#kernel.core.endInterrupt(this.#holder.lpid, address), address);
  }

  /** The source brings no event until unmask(); it is kept that it was raised. @throws HcallError H_PARAMETER, H_RESCINDED. */
  mask(address: number): void {
    this.#settle("H_MASK", this.#kernel.core.maskInterrupt(this.#holder.lpid, address, 1), address);
  }

  /** The source brings events again, first what was raised meanwhile. @throws HcallError H_PARAMETER, H_RESCINDED. */
  unmask(address: number): void {
    this.#settle("H_MASK", this.#kernel.core.maskInterrupt(this.#holder.lpid, address, 0), address);
  }
}
