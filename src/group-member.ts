/** A partition as a member of a named group: what it may, and what it has. */
import { HcallError } from "./errors.js";
import { H_PARAMETER } from "./layout.js";
import type { Mapping } from "./mapping.js";
import type { Complete } from "./options.js";
import type { Partition } from "./partition.js";
import type { ResourceType } from "./records.js";

/** What a member may do with a resource. What is left out is allowed, but for granting on. */
export interface GroupRights {
  /** Default true. */
  readonly read?: boolean | undefined;
  /** Default true. */
  readonly write?: boolean | undefined;
  /** To grant it on; default false. */
  readonly regrant?: boolean | undefined;
}

/** A resource that is to join: a range that its owner may grant. */
export interface GroupResourceOptions {
  /** Who owns the range, or has accepted it with the right to grant it on. */
  readonly owner: Partition;
  /** As in Partition.grant(): bytes, a multiple of 4096; a number for interrupt sources and ports. */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Default "memory". */
  readonly type?: ResourceType | undefined;
  /** LIOBN of a DMA window pane; default that of the pane at `address`. */
  readonly liobn?: number | undefined;
}

/** One thing that a member has. Plain numbers, so that it can be posted to the worker that the member is. */
export interface GroupUnit {
  /** The member's own number for it. */
  readonly number: number;
  /** What Group.add() answered. */
  readonly resource: number;
  /** Its kind, whose space the address is in. */
  readonly type: ResourceType;
  /** First logical address of the member. */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Whether the member may read it. */
  readonly readable: boolean;
  /** Whether the member may write it. */
  readonly writable: boolean;
}

/** A resource of the group. */
export interface Resource extends Complete<GroupResourceOptions> {
  readonly id: number;
  readonly incarnation: number;
}

/** What one member has of one resource. */
export interface Unit {
  readonly number: number;
  readonly resource: Resource;
  readonly rights: Complete<GroupRights>;
  /** Undefined where the member is the owner. */
  readonly mapping: Mapping | undefined;
}

/** A partition as a member of a group, as it stands at each look. */
export class GroupMember {
  /** Who it is. */
  readonly partition: Partition;
  readonly #units: () => readonly Unit[];

  /** @internal Made by Group.join(). */
  constructor(partition: Partition, units: () => readonly Unit[]) {
    this.partition = partition;
    this.#units = units;
  }

  #unit(number: number): Unit {
    const unit = this.#units().find((each) => each.number === number);
    if (unit !== undefined) return unit;
    throw new HcallError("group", H_PARAMETER, `"${this.partition.name}" has no unit ${String(number)}`);
  }

  /** What it has now, by number. Empty when it is no member any more, or has failed. */
  get units(): GroupUnit[] {
    return this.#units().map(({ number, resource, rights, mapping }) => ({
      number,
      resource: resource.id,
      type: resource.type,
      address: mapping?.address ?? resource.address,
      length: resource.length,
      readable: rights.read,
      writable: rights.write,
    }));
  }

  /**
   * The member's mapping of a unit; undefined if the unit is its own resource.
   * @throws HcallError H_PARAMETER if it has no such unit now.
   */
  mapping(number: number): Mapping | undefined {
    return this.#unit(number).mapping;
  }

  /** The member's logical address of a unit. @throws HcallError H_PARAMETER if it has no such unit now. */
  address(number: number): number {
    const { mapping, resource } = this.#unit(number);
    return mapping?.address ?? resource.address;
  }
}
