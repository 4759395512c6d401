/** What a grant is made from. */
import type { VirtualAdapter } from "./adapter.js";
import { checkNames } from "./errors.js";
import type { Partition } from "./partition.js";
import type { GrantMode, ResourceType } from "./records.js";

/** What to grant, to whom, with which rights. */
export interface GrantOptions {
  /** Partition, adapter, or unit address. A partition is reached through its first adapter with the grantor. */
  readonly to: Partition | VirtualAdapter | number;
  /** Bytes, a multiple of 4096; for interrupt sources and ports a number. */
  readonly address: number;
  /** Bytes, a multiple of 4096; 1 for interrupt sources and ports. */
  readonly length: number;
  /** Default "memory". */
  readonly type?: ResourceType | undefined;
  /** Default true; false = read inhibited: each access through the mapping is checked (AC6). */
  readonly read?: boolean | undefined;
  /** Default true; false = write inhibited. */
  readonly write?: boolean | undefined;
  /** Default true; false = re-grant inhibited. */
  readonly regrant?: boolean | undefined;
  /** LIOBN of a DMA window pane; default that of the pane at `address`. */
  readonly liobn?: number | undefined;
  /**
   * Who has access while the grant stands. Default "share": both. "lend": only the partner, until it ends. "donate": from the
   * accept on the partner owns it; a donation is of one whole LMB. Lends and donations are of memory that nobody else uses.
   */
  readonly mode?: GrantMode | undefined;
  /** Of a lend: whatever the partner gives back, or is taken from it, is zero. Default false. */
  readonly zero?: boolean | undefined;
  /**
   * Default false. true: the partner's first write to a page gets it a frame of its own with what the page held; this
   * partition's page stays as it is. Of memory only; it cannot be inhibited to read or write, and cannot be granted on.
   */
  readonly copyOnWrite?: boolean | undefined;
}

/**
 * As checkNames(), which would take a third of the time of a grant: the engine compares a name with constants at once, the usual ones
 * first.
 */
export function checkGrantNames(options: GrantOptions): void {
  let isKnown = typeof options === "object" && options !== null;
  for (const name in options) {
    switch (name as keyof GrantOptions) {
      case "to":
      case "address":
      case "length":
      case "write":
      case "regrant":
      case "read":
      case "mode":
      case "type":
      case "zero":
      case "liobn":
      case "copyOnWrite":
        break;
      default:
        isKnown = false;
    }
  }
  if (!isKnown)
    checkNames(options, "to, address, length, type, liobn, mode, zero, copyOnWrite, read, write, regrant");
}
