/**
 * Named groups (after Blumenau's volume groups): resources join and leave, partitions are members with rights. What nobody
 * has been given is denied; a change of membership is a grant or a forced rescind at once, so that the next request of a
 * member is decided by what the group is then. Members count what they have from 0, as logical unit numbers do.
 *
 * Everything here is made of grants in the owner's thread: the group grants in the owners' names and accepts in the members'.
 */
import { nextTurn } from "./clock.js";
import { checkInteger, checkNames, HcallError, LparError } from "./errors.js";
import {
  GroupMember,
  type GroupResourceOptions,
  type GroupRights,
  type Resource,
  type Unit,
} from "./group-member.js";
import type { Kernel } from "./kernel.js";
import {
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_SUCCESS,
  SPACE_BACKS,
  STRUCTURES_LIMIT,
} from "./layout.js";
import type { Cookie, Mapping } from "./mapping.js";
import type { Complete } from "./options.js";
import type { Partition } from "./partition.js";
import {
  codeOfType,
  liobnAt,
  readStructure,
  spaceOfType,
  spaceWord,
  structureOfCookie,
  unitOf,
} from "./records.js";

/** How a group makes the adapters that it needs. */
export interface GroupOptions {
  /** Quota of control structures of each end of an adapter that the group makes, 1 to 2^24 - 1. Default 256. */
  readonly grants?: number | undefined;
}

/** What the group needs of its table. */
export interface GroupHost {
  /** @throws LparError LPAR_NOT_FOUND for a partition of another table. */
  check(partition: Partition): void;
  connect(a: Partition, b: Partition, grants: number): void;
  recovered(partition: Partition): Promise<void>;
  closed(): unknown;
}

interface Membership {
  readonly partition: Partition;
  readonly incarnation: number;
  readonly rights: Complete<GroupRights>;
  /** Narrower rights, by resource. */
  readonly allowed: Map<number, Complete<GroupRights>>;
  readonly units: Map<number, Unit>;
  /** Numbers that are kept for units which are being given anew. */
  readonly reserved: Set<number>;
}

const DEFAULT_GRANTS = 256;
/**
 * Mappings that were taken from a partition and are not returned for it yet: whoever still has an old address hears
 * H_RESCINDED, and not what another mapping has there by now. So many of each partition, the oldest are returned.
 */
const RESCINDED_KEPT = 16;

/** @throws RangeError for a right that there is not. */
function full(rights: GroupRights): Complete<GroupRights> {
  checkNames(rights, "read, write, regrant");
  const { read = true, write = true, regrant = false } = rights;
  return { read, write, regrant };
}

function both(a: Complete<GroupRights>, b: Complete<GroupRights>): Complete<GroupRights> {
  return { read: a.read && b.read, write: a.write && b.write, regrant: a.regrant && b.regrant };
}

function isSame(a: Complete<GroupRights>, b: Complete<GroupRights>): boolean {
  return a.read === b.read && a.write === b.write && a.regrant === b.regrant;
}

/** A group of one table. All of it is for the thread that owns the table. */
export class Group {
  /** As table.group() was told it. */
  readonly name: string;
  readonly #kernel: Kernel;
  readonly #host: GroupHost;
  readonly #grants: number;
  readonly #resources: Map<number, Resource> = new Map();
  readonly #members: Map<Partition, Membership> = new Map();
  readonly #kept: Map<Partition, Mapping[]> = new Map();
  #next = 0;
  /** Settles when all is closed. */
  #closed: Promise<void> | undefined;

  /** @internal Made by ResourceTable.group(). */
  constructor(kernel: Kernel, host: GroupHost, name: string, options: GroupOptions) {
    this.#kernel = kernel;
    this.#host = host;
    this.name = name;
    const { grants = DEFAULT_GRANTS } = options;
    this.#grants = checkInteger("grants", grants, 1, STRUCTURES_LIMIT);
  }

  /** Resources in the group, by number. */
  get resources(): number[] {
    this.#prune();
    return [...this.#resources.keys()];
  }

  /** Members of the group. */
  get members(): GroupMember[] {
    this.#prune();
    return Array.from(this.#members.keys(), (partition) => this.#view(partition));
  }

  /** The partition as a member, or undefined. */
  member(partition: Partition): GroupMember | undefined {
    this.#prune();
    return this.#members.has(partition) ? this.#view(partition) : undefined;
  }

  #view(partition: Partition): GroupMember {
    const member = this.#members.get(partition);
    return new GroupMember(partition, () => {
      this.#prune();
      // Who left and came back is another member.
      if (member === undefined || this.#members.get(partition) !== member) return [];
      return [...member.units.values()].sort((a, b) => a.number - b.number);
    });
  }

  #check(): void {
    this.#kernel.checkOpen();
    if (this.#closed) throw new LparError("LPAR_CLOSED", `group "${this.name}" is closed`);
    this.#prune();
  }

  #checkWith(partition: Partition): void {
    this.#check();
    this.#host.check(partition);
  }

  // -------------------------------------------------------------- changes

  /**
   * A resource joins: every member gets it with its rights, or, if one of them cannot, nobody does.
   * @returns its number in the group, never used again there.
   * @throws HcallError H_PARAMETER if the range is not inside one resource of the owner's; H_PERMISSION if the owner may not grant that on;
   * H_RESCINDED if the owner does not run; H_NO_MEM if a member has no room, or a quota is used up; H_LongBusyOrder10msec. LparError LPAR_NOT_FOUND; RangeError
   * for an unknown option.
   */
  add(options: GroupResourceOptions): number {
    checkNames(options, "owner, address, length, type, liobn");
    const { owner, address, length, type = "memory" } = options;
    this.#checkWith(owner);
    const liobn = options.liobn ?? liobnAt(this.#kernel.memory, owner.lpid, type, address);
    const { incarnation } = owner;
    const resource: Resource = { id: this.#next, owner, incarnation, address, length, type, liobn };
    this.#source(resource, true);
    this.#resources.set(this.#next++, resource);
    try {
      this.#giveAll([...this.#members.values()].map((member) => [member, resource]));
    } catch (error) {
      this.#resources.delete(resource.id);
      if (this.#next === resource.id + 1) this.#next--;
      throw error;
    }
    return resource.id;
  }

  /**
   * A resource leaves: nobody has it any more.
   * @returns when no access remains. The decision has fallen before that: no member has the unit from now on.
   * @throws LparError LPAR_NOT_FOUND if it is not in the group.
   */
  async remove(resource: number): Promise<void> {
    this.#check();
    const found = this.#resource(resource);
    this.#resources.delete(resource);
    await this.#endAll([...this.#members.values()].map((member) => this.#detach(member, found)));
  }

  /**
   * A partition becomes a member: it gets every resource of the group, or, if that is not possible, none. Its own resources
   * it has anyway: they get a number, too.
   * @throws LparError LPAR_IS_MEMBER if it is one; HcallError as add(), and H_RESCINDED if it does not run.
   */
  join(partition: Partition, rights: GroupRights = {}): GroupMember {
    this.#checkWith(partition);
    if (this.#members.has(partition))
      throw new LparError(
        "LPAR_IS_MEMBER",
        `partition "${partition.name}" is a member of group "${this.name}"`,
      );
    const { incarnation, state } = partition;
    if (state !== "running") throw new HcallError("group", H_RESCINDED, `"${partition.name}" is ${state}`);
    const member: Membership = {
      partition,
      incarnation,
      rights: full(rights),
      allowed: new Map(),
      units: new Map(),
      reserved: new Set(),
    };
    this.#members.set(partition, member);
    try {
      this.#giveAll([...this.#resources.values()].map((resource) => [member, resource]));
    } catch (error) {
      if (this.#members.get(partition) === member) this.#members.delete(partition);
      throw error;
    }
    return this.#view(partition);
  }

  /**
   * A member leaves: it has nothing of the group any more.
   * @returns when no access remains. The decision has fallen before that.
   * @throws LparError LPAR_NOT_A_MEMBER.
   */
  async leave(partition: Partition): Promise<void> {
    this.#checkWith(partition);
    const member = this.#membership(partition);
    this.#members.delete(partition);
    await this.#endAll([...member.units.values()]);
  }

  /**
   * Narrows what a member may do with one resource, or takes that back: what it may is what its rights and these both allow;
   * neither read nor write is not to have it. The member keeps its number for it; the address is another one.
   * @returns when nothing of the wider access remains.
   * @throws LparError LPAR_NOT_A_MEMBER, LPAR_NOT_FOUND; HcallError as add(), and then nothing has changed, unless only taking
   * the old grant away made room for the new one and that failed again: then the member does not have it.
   */
  async allow(partition: Partition, resource: number, rights: GroupRights): Promise<void> {
    this.#checkWith(partition);
    const member = this.#membership(partition);
    const found = this.#resource(resource);
    const before = member.allowed.get(resource);
    const old = member.units.get(resource);
    const now = full(rights);
    member.allowed.set(resource, now);
    if (old !== undefined && isSame(old.rights, this.#rights(member, found))) return;
    try {
      this.#give(member, found, old?.number);
    } catch (error) {
      if (!(error instanceof HcallError) || error.status !== H_NO_MEM || old?.mapping === undefined) {
        if (before === undefined) member.allowed.delete(resource);
        else member.allowed.set(resource, before);
        throw error;
      }
      return this.#replace(member, found, old, now);
    }
    if (!this.#has(member, found)) member.units.delete(resource);
    if (old !== undefined) await this.#endAll([old]);
  }

  /** There is no room for a second grant beside the old one: to narrow must be possible all the same. */
  async #replace(member: Membership, resource: Resource, old: Unit, rights: object): Promise<void> {
    member.units.delete(resource.id);
    member.reserved.add(old.number);
    try {
      await this.#endAll([old]);
      this.#prune();
      // Meanwhile it may have been allowed something else, or one of the two may have left.
      const isStill = this.#members.get(member.partition) === member && this.#resources.has(resource.id);
      if (isStill && member.allowed.get(resource.id) === rights) this.#give(member, resource, old.number);
    } finally {
      member.reserved.delete(old.number);
    }
  }

  /** All members and resources leave, and the name is free. @returns when no access remains, also if it is called again meanwhile. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#prune();
    this.#host.closed();
    const units = [...this.#members.values()].flatMap((member) => [...member.units.values()]);
    this.#members.clear();
    this.#resources.clear();
    await this.#endAll(units);
    for (const partition of this.#kept.keys()) this.#returnKept(partition, 0);
  }

  /** As close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #resource(number: number): Resource {
    const found = this.#resources.get(number);
    if (found !== undefined) return found;
    throw new LparError("LPAR_NOT_FOUND", `group "${this.name}" has no resource ${String(number)}`);
  }

  #membership(partition: Partition): Membership {
    const member = this.#members.get(partition);
    if (member !== undefined) return member;
    throw new LparError(
      "LPAR_NOT_A_MEMBER",
      `partition "${partition.name}" is no member of group "${this.name}"`,
    );
  }

  // -------------------------------------------------------------- who may what

  /**
   * What the owner may grant of a resource: less where it has accepted it itself.
   * @throws HcallError H_RESCINDED, H_PARAMETER, H_PERMISSION, where `mustBe`.
   */
  #source(resource: Resource, mustBe: boolean): Complete<GroupRights> {
    const { owner, address, length, type } = resource;
    const { core, memory } = this.#kernel;
    const detail = `${type}, address ${address}, length ${length} of "${owner.name}"`;
    const space = spaceOfType(type);
    const status = core.translate(owner.lpid, codeOfType(type), address, length, 0);
    if (status < 0 && mustBe) throw new HcallError("group", status, detail);
    const none = { read: false, write: false, regrant: false };
    if (status !== H_SUCCESS) return none;
    const page = address / unitOf(space);
    const count = length / unitOf(space);
    const back = memory.words[spaceWord(memory, owner.lpid, space, SPACE_BACKS) / 4 + Math.floor(page)];
    const source = readStructure(memory, back ?? 0);
    const isWhole = Number.isInteger(page) && Number.isInteger(count) && count > 0;
    const isInside = page - source.page + count <= source.pageCount;
    if (mustBe && (!isWhole || !isInside)) throw new HcallError("group", H_PARAMETER, detail);
    if (mustBe && !source.regrantable) throw new HcallError("group", H_PERMISSION, detail);
    return source.regrantable ? { read: source.readable, write: source.writable, regrant: true } : none;
  }

  /** What a member may do with a resource. */
  #rights(member: Membership, resource: Resource): Complete<GroupRights> {
    const allowed = member.allowed.get(resource.id);
    const rights = allowed === undefined ? member.rights : both(member.rights, allowed);
    return member.partition === resource.owner ? rights : both(rights, this.#source(resource, false));
  }

  #has(member: Membership, resource: Resource): boolean {
    const { read, write } = this.#rights(member, resource);
    return read || write;
  }

  // -------------------------------------------------------------- grants

  /** Gives all of these, or none. */
  #giveAll(pairs: readonly (readonly [Membership, Resource])[]): void {
    const given: (readonly [Membership, Unit])[] = [];
    try {
      for (const [member, resource] of pairs) {
        const unit = this.#give(member, resource);
        if (unit !== undefined) given.push([member, unit]);
      }
    } catch (error) {
      for (const [member, unit] of given) {
        member.units.delete(unit.resource.id);
        this.#undo(unit.resource.owner, unit.mapping);
      }
      throw error;
    }
  }

  /**
   * Gives a resource to a member, if it may have it.
   * @param number that it has for it already; else it gets the lowest that is free.
   */
  #give(member: Membership, resource: Resource, number?: number): Unit | undefined {
    if (!this.#has(member, resource)) return undefined;
    const { partition, units } = member;
    const rights = this.#rights(member, resource);
    const mapping = partition === resource.owner ? undefined : this.#grant(partition, resource, rights);
    // Whoever was told of the grant may have ended what it was made for.
    if (this.#members.get(partition) !== member || !this.#resources.has(resource.id)) {
      this.#undo(resource.owner, mapping);
      return undefined;
    }
    const unit = { number: number ?? lowestFree(member), resource, rights, mapping };
    units.set(resource.id, unit);
    return unit;
  }

  #grant(partition: Partition, resource: Resource, rights: Complete<GroupRights>): Mapping {
    const { owner, address, length, type, liobn } = resource;
    // Of the other kinds there is only all or nothing.
    const limits = type === "memory" || type === "mmio" ? rights : { regrant: rights.regrant };
    const options = { to: partition, address, length, type, liobn, ...limits };
    if (!owner.adapters.some(({ partner }) => partner === partition))
      this.#host.connect(owner, partition, this.#grants);
    let cookie: Cookie | undefined;
    const attempt = (): Mapping => {
      cookie ??= owner.grant(options);
      return partition.accept(cookie);
    };
    try {
      try {
        return attempt();
      } catch (error) {
        // Its own old mappings may be what takes the room, or the quota.
        const isFull = error instanceof HcallError && error.status === H_NO_MEM;
        if (!isFull || !this.#returnKept(partition, 0)) throw error;
        return attempt();
      }
    } catch (error) {
      if (cookie !== undefined) this.#undo(owner, cookie);
      throw error;
    }
  }

  /** Takes back what nobody has seen yet. */
  #undo(owner: Partition, given: Mapping | Cookie | undefined): void {
    if (given === undefined) return;
    try {
      if (typeof given !== "number") given.return();
      owner.rescind(typeof given === "number" ? given : given.cookie);
    } catch {
      // Some lock was not to be had, or the member has been quick: by force, as soon as possible.
      void this.#end(owner, given).catch(() => {});
    }
  }

  #detach(member: Membership, resource: Resource): Unit | undefined {
    const unit = member.units.get(resource.id);
    member.units.delete(resource.id);
    member.allowed.delete(resource.id);
    return unit;
  }

  async #endAll(units: readonly (Unit | undefined)[]): Promise<void> {
    // Each first slice runs before anybody waits.
    const ends = units.map((unit) =>
      unit?.mapping === undefined ? undefined : this.#end(unit.resource.owner, unit.mapping),
    );
    await Promise.all(ends);
  }

  /** Ends a grant by force. Whoever else ends it at the same time does no harm. */
  async #end(owner: Partition, given: Mapping | Cookie): Promise<void> {
    const cookie = typeof given === "number" ? given : given.cookie;
    try {
      await owner.rescindForced(cookie);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      if (error.status === H_RESCINDED) await this.#outlast(owner, given);
      else if (error.status !== H_PARAMETER) throw error;
    }
    if (typeof given !== "number") this.#keep(given);
  }

  /**
   * The owner has failed, and cannot rescind. What the group accepted it can return, at once; what somebody uses goes with the
   * recovery of the owner, whenever that is.
   */
  async #outlast(owner: Partition, given: Mapping | Cookie): Promise<void> {
    try {
      if (typeof given !== "number") return given.return();
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
    }
    await this.#host.recovered(owner);
  }

  /** A mapping that has been taken from a partition. */
  #keep(mapping: Mapping): void {
    const holder = structureOfCookie(this.#kernel.memory, mapping.cookie);
    if (holder.cookie !== mapping.cookie || holder.state !== "rescinded") return;
    const partition = this.#kernel.partitionOf(holder.holder);
    const kept = this.#kept.get(partition) ?? [];
    kept.push(mapping);
    this.#kept.set(partition, kept);
    // What began to end before the group did, and ends after it, is kept by nobody.
    this.#returnKept(partition, this.#closed ? 0 : RESCINDED_KEPT);
  }

  /** Returns the oldest mappings that were taken from a partition, so that at most so many are left. Answers whether any was. */
  #returnKept(partition: Partition, most: number): boolean {
    const kept = this.#kept.get(partition) ?? [];
    let isAny = false;
    while (kept.length > most) {
      const mapping = kept.shift() as Mapping;
      try {
        mapping.return();
        isAny = true;
      } catch (error) {
        if (!(error instanceof HcallError)) throw error;
        // The partition has returned it itself; or a lock was not to be had, and it stays for the next time.
        if (error.status === H_PARAMETER) continue;
        kept.unshift(mapping);
        // Which a group that is closed has no more.
        if (this.#closed && !this.#kernel.isClosed)
          void nextTurn(1).then(() => this.#returnKept(partition, 0));
        break;
      }
    }
    if (kept.length === 0) this.#kept.delete(partition);
    return isAny;
  }

  // -------------------------------------------------------------- what others do

  /** Whether the member's unit is the grant that the group made, as the table has it now. */
  #stands({ partition }: Membership, { mapping }: Unit): boolean {
    if (mapping === undefined) return true;
    const grant = structureOfCookie(this.#kernel.memory, mapping.cookie);
    const isIt = grant.cookie === mapping.cookie && grant.holder === partition.lpid;
    return isIt && grant.state === "shared" && !grant.revoking;
  }

  /**
   * Leaves out what is not any more: partitions that failed, which must be taken in again (G4), and grants that the owner
   * rescinded, or the member returned, by itself.
   */
  #prune(): void {
    for (const resource of this.#resources.values()) {
      const { owner, incarnation } = resource;
      // In its grace period what is given stands, and nobody gets it anew.
      if (owner.incarnation !== incarnation || owner.state === "stopped") this.#resources.delete(resource.id);
    }
    // Of who has left, too.
    for (const partition of this.#kept.keys())
      if (partition.state !== "running") this.#kept.delete(partition);
    for (const member of this.#members.values()) {
      const { partition, incarnation } = member;
      if (partition.state !== "running" || partition.incarnation !== incarnation) {
        this.#members.delete(partition);
        this.#kept.delete(partition);
        continue;
      }
      for (const unit of member.units.values()) {
        const { id, owner } = unit.resource;
        const isThere = this.#resources.has(id);
        if (isThere && this.#stands(member, unit)) continue;
        member.units.delete(id);
        if (!isThere) member.allowed.delete(id);
        if (unit.mapping !== undefined) void this.#end(owner, unit.mapping).catch(() => {});
      }
    }
  }
}

function lowestFree({ units, reserved }: Membership): number {
  const taken = new Set(reserved);
  for (const { number } of units.values()) taken.add(number);
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}
