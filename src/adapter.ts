/**
 * A virtual adapter as one of its two partitions sees it (CQ1).
 */
import { showAs } from "./describe.js";
import type { Partition } from "./partition.js";

/** The authorised link between two partitions, from the side of `owner`. */
export class VirtualAdapter {
  static {
    showAs<VirtualAdapter>(VirtualAdapter, ({ unitAddress, owner, partner }) => {
      const [from, to] = [owner, partner].map(({ lpid, name }) => `${lpid} ${JSON.stringify(name)}`);
      return `${unitAddress} { ${from} to ${to} }`;
    });
  }

  /** Names the partner in grants of the owner. */
  readonly unitAddress: number;
  /** Whose side this is: it grants by this unit address. */
  readonly owner: Partition;
  /** Whom the unit address names. */
  readonly partner: Partition;
  readonly #peer: VirtualAdapter;

  /** @internal Made by ResourceTable.connect(). */
  constructor(owner: Partition, unitAddress: number, partner: Partition, peer: number | VirtualAdapter) {
    this.owner = owner;
    this.unitAddress = unitAddress;
    this.partner = partner;
    this.#peer = typeof peer === "number" ? new VirtualAdapter(partner, peer, owner, this) : peer;
  }

  /** The same adapter from the partner's side. No property of its own, since the two would be a circle, which JSON refuses. */
  get peer(): VirtualAdapter {
    return this.#peer;
  }
}
