/** Grants through the objects, of every kind and mode: made, accepted, returned, and what a mapping says of itself. */
import type { GrantOptions, Mapping, ResourceType, VirtualAdapter } from "../../src/index.js";
import {
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  MODE_DONATE,
  MODE_ZERO,
  TYPE_MASK,
} from "../../src/layout.js";
import { copyRequest } from "./compare-copies.js";
import { modeRequest } from "./compare-modes.js";
import type { GrantRequest } from "./model.js";
import { anyLent } from "./model-lend.js";
import { ensure, type Grant, isUnderRevocation, rootOf, typeOf, unitOf } from "./model-records.js";
import { differenceOf } from "./model-snapshot.js";
import { cookieOf, type Objects, outcomeOf } from "./objects.js";

type Terms = Pick<GrantOptions, "mode" | "zero" | "copyOnWrite">;

export class ObjectGrants {
  readonly #objects: Objects;
  /** The last few adapters, also of partitions that are gone. */
  readonly #adapters: VirtualAdapter[] = [];
  /** The last mapping of each grant. */
  readonly #mappings = new Map<number, Mapping>();
  /** What was donated, with whose it is. */
  readonly #donated: { readonly mapping: Mapping; readonly lpid: number; readonly incarnation: number }[] =
    [];

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  connect(a: number, b: number): void {
    const { twins, draw } = this.#objects;
    const grants = 3 + draw.below(6);
    const adapter = twins.table.connect(this.#objects.object(a), this.#objects.object(b), { grants });
    this.#adapters.push(adapter);
    if (this.#adapters.length > 12) this.#adapters.shift();
  }

  /** What a partition finds of its adapters is what there is. */
  checkAdapters(): void {
    const { table, model } = this.#objects.twins;
    const byUnit = (a: readonly number[], b: readonly number[]): number => (a[0] ?? 0) - (b[0] ?? 0);
    for (const { lpid, adapters } of table.partitions) {
      const found = adapters.map(({ unitAddress, partner, peer }) => [
        unitAddress,
        partner.lpid,
        peer.unitAddress,
      ]);
      const open = [...model.ends].filter(({ owner, isOpen }) => owner?.lpid === lpid && isOpen);
      const expected = open.map(({ unit, partner }) => [unit, partner?.owner?.lpid ?? 0, partner?.unit ?? 0]);
      const difference = differenceOf(found.sort(byUnit), expected.sort(byUnit), `adapters of ${lpid}`);
      ensure(difference === undefined, () => `${difference}`);
    }
  }

  // -------------------------------------------------------------- grant

  /** Mostly memory that is shared. */
  grant(): void {
    const { draw, choose } = this.#objects;
    const kinds = (["mmio", "interrupt", "dma", "ipi"] as const).filter((kind) => choose.countOf(kind) > 0);
    const type = draw.once(2) ? "memory" : (draw.pick(kinds) ?? "memory");
    this.#grant(choose.grantRequest(draw, type), {});
  }

  grantSpecially(): void {
    const { twins, draw, choose } = this.#objects;
    if (draw.once(2)) {
      const isOdd = draw.once(20);
      this.#grant(
        copyRequest(choose, draw),
        isOdd ? { copyOnWrite: true, mode: "lend" } : { copyOnWrite: true },
      );
      return;
    }
    const [request, mode] = modeRequest(twins, choose, draw);
    if (request === undefined) return;
    // A resource of more grants than a slice has steps is not searched: here there are never so many (OM3).
    twins.budget = 4096;
    this.#grant(
      request,
      mode === MODE_DONATE ? { mode: "donate" } : { mode: "lend", zero: (mode & MODE_ZERO) !== 0 },
    );
  }

  #grant(request: GrantRequest, terms: Terms): Grant | undefined {
    const { twins, draw, heard } = this.#objects;
    const [lpid, flags, liobn, address, length, unit] = request;
    const type = typeOf(flags & TYPE_MASK);
    if (!this.#objects.has(lpid) || type === undefined) return undefined;
    // Named by the partition instead of the adapter, now and then.
    const partners = [...twins.model.ends].filter(({ owner, isOpen }) => owner?.lpid === lpid && isOpen);
    const { lpid: named } = draw.pick(partners)?.partner?.owner ?? this.#objects.running();
    const partner = this.#objects.object(named);
    const to = draw.pick([unit, unit, partner, draw.pick(this.#adapters) ?? unit]) ?? unit;
    const options: GrantOptions = {
      ...{ to, address, length, type, liobn, ...terms },
      read: (flags & INHIBIT_READ) === 0,
      write: (flags & INHIBIT_WRITE) === 0,
      regrant: (flags & INHIBIT_REGRANT) === 0,
    };
    this.#objects.begin();
    const { status, value: cookie } = outcomeOf(() => this.#objects.object(lpid).grant(options));
    const isOdd = terms.copyOnWrite === true && terms.mode !== undefined;
    const answer = heard.answers.at(-1);
    // Whom no adapter joins with the grantor can be granted nothing.
    const isRefused = answer === undefined || (to === partner && heard.answers.length === 1 && answer < 0);
    const runs = twins.model.partitions.get(lpid)?.state === "running";
    const refusal = runs ? H_PARAMETER : H_RESCINDED;
    const expected = isOdd || isRefused ? refusal : answer;
    ensure(status === expected, () => `a grant of ${lpid} came to ${status}, not ${expected}`);
    if (cookie === undefined) return undefined;
    const grant = twins.model.grants.get(cookie);
    ensure(grant !== undefined, () => `grant() gave the cookie ${cookie}, which is none`);
    if (to === partner) ensure(grant.holder.lpid === named, () => `the grant of ${lpid} is for another`);
    this.#checkGrant(grant, options);
    this.#sawGrant(grant);
    return grant;
  }

  /** The core was asked for what the options say. */
  #checkGrant(grant: Grant, options: GrantOptions): void {
    const { type, sourcePage, pageCount, liobn, mode, zeroes, isCopyOnWrite, inhibits } = grant;
    const unit = unitOf(type);
    const { copyOnWrite = false } = options;
    const made = {
      ...{ type, address: sourcePage * unit, length: pageCount * unit, liobn, mode, zeroes, isCopyOnWrite },
      ...{ read: (inhibits & INHIBIT_READ) === 0, write: (inhibits & INHIBIT_WRITE) === 0 },
      regrant: (inhibits & INHIBIT_REGRANT) === 0,
    };
    const asked = {
      ...{ type: options.type, address: options.address, length: options.length, liobn: options.liobn },
      ...{ mode: options.mode ?? "share", zeroes: options.zero === true, isCopyOnWrite: copyOnWrite },
      ...{ read: options.read, write: options.write === true && !copyOnWrite },
      regrant: options.regrant === true && !copyOnWrite,
    };
    const difference = differenceOf(made, asked, `the grant of ${grant.grantor.lpid}`);
    ensure(difference === undefined, () => `${difference}`);
  }

  #sawGrant(grant: Grant): void {
    const { twins } = this.#objects;
    const { source, mode, type } = grant;
    if (source.kind === "grant") twins.saw(`granted on: ${type}`);
    if (source.kind === "grant" && mode === "lend" && source.mode === "lend") twins.saw("a lend is lent on");
    if (source.kind === "resource" && source.isDonated) twins.saw("what was donated is granted");
  }

  // -------------------------------------------------------------- accept

  accept(): void {
    const grant = this.#objects.pick("granted");
    if (grant !== undefined) this.#accept(grant);
  }

  /** What many have, some of them through others. */
  share(type: ResourceType): void {
    const { choose, draw } = this.#objects;
    for (let left = 1 + draw.below(3); left > 0; left--) {
      const grant = this.#grant(choose.grantRequest(draw, type), {});
      if (grant !== undefined) this.#accept(grant);
    }
  }

  #accept(grant: Grant): void {
    const { twins } = this.#objects;
    const object = this.#objects.object(grant.holder.lpid);
    const expected = {
      cookie: grant.cookie,
      type: grant.type,
      length: grant.pageCount * unitOf(grant.type),
      readable: (grant.inhibits & INHIBIT_READ) === 0,
      writable: grant.isCopyOnWrite || (grant.inhibits & INHIBIT_WRITE) === 0,
      regrantable: (grant.inhibits & INHIBIT_REGRANT) === 0,
      mode: grant.mode,
    };
    const { value: mapping } = this.#objects.attempt(() => object.accept(cookieOf(grant)));
    if (mapping === undefined) return;
    const address = twins.r4;
    ensure(
      grant.state === (grant.mode === "donate" ? "dead" : "shared"),
      () => `accept(${grant.cookie}) left it ${grant.state}`,
    );
    const { cookie, type, length, readable, writable, regrantable, mode } = mapping;
    const said = { cookie, type, length, readable, writable, regrantable, mode };
    const difference = differenceOf(
      { ...said, address: mapping.address },
      { ...expected, address },
      "mapping",
    );
    ensure(difference === undefined, () => `${difference}`);
    if (mode === "donate") {
      twins.saw("a donation is accepted");
      this.#donated.push({ mapping, lpid: object.lpid, incarnation: object.incarnation });
    } else this.#mappings.set(cookie, mapping);
  }

  // -------------------------------------------------------------- return

  /** Mostly something that somebody waits for: the end of a failed partition, or a deadline. */
  return(): void {
    const { draw, heard, twins } = this.#objects;
    const owed = this.#objects.pick(
      "shared",
      ({ cookie, grantor }) => grantor.deferred || [...heard.rescinds].some((one) => one.cookie === cookie),
    );
    const isPinned = (one: Grant): boolean => one.type !== "memory" && twins.model.pinsOf(one) > 0;
    const pinned = draw.once(6) ? this.#objects.pick("shared", isPinned) : undefined;
    const other = pinned ?? this.#objects.pick(draw.once(2) ? "rescinded" : "shared");
    const grant = draw.once(2) ? (owed ?? other) : other;
    if (grant !== undefined) this.#return(grant);
    if (draw.once(8)) this.#keep();
  }

  #return(grant: Grant): void {
    const { twins, draw, heard } = this.#objects;
    const mapping = this.#mappings.get(grant.cookie);
    const object = this.#objects.object(grant.holder.lpid);
    const { state, type, children, zeroes } = grant;
    const isPinned = twins.model.pinsOf(grant) > 0;
    this.#objects.begin();
    const { status } = outcomeOf(() =>
      mapping === undefined || draw.once(2) ? object.return(cookieOf(grant)) : mapping.return(),
    );
    // A return that takes several calls is made to its end; what it causes comes after that.
    const answer = heard.answers.find((one) => one <= H_SUCCESS);
    ensure(
      answer === undefined || status === answer,
      () => `a return answered ${answer}, and came to ${status}`,
    );
    const after = twins.model.grants.get(grant.cookie)?.state ?? "granted";
    ensure(answer !== H_SUCCESS || after === "granted", () => `return(${grant.cookie}) left it ${after}`);
    if (status === H_RESOURCE && isPinned && state === "shared" && children.size === 0)
      twins.saw(`pins hold up a return of ${type}`);
    if (answer === H_SUCCESS && zeroes && state === "shared") twins.saw("a lend comes back zero");
    if (status !== H_SUCCESS || mapping === undefined) return;
    this.#mappings.delete(grant.cookie);
    this.#again(mapping);
  }

  /** What was returned is not returned once more, whatever stands there. */
  #again(mapping: Mapping): void {
    const { model } = this.#objects.twins;
    const grant = model.grants.get(mapping.cookie);
    if (grant !== undefined && grant.state !== "granted") return;
    const { heard } = this.#objects;
    this.#objects.begin();
    const { status } = outcomeOf(() => mapping.return());
    ensure(
      heard.answers.length === 0 ? status === H_SUCCESS : status === H_PARAMETER,
      () => `a second return() came to ${status}`,
    );
  }

  /** What was donated is kept: there is nothing to return. */
  #keep(): void {
    const { draw, heard, twins } = this.#objects;
    const one = draw.pick(this.#donated);
    if (one === undefined) return;
    const partition = twins.model.partitions.get(one.lpid);
    const isCurrent = partition?.state === "running" && partition.incarnation === one.incarnation;
    this.#objects.begin();
    const { status } = outcomeOf(() => one.mapping.return());
    ensure(
      status === (isCurrent ? H_PARAMETER : H_SUCCESS) && heard.answers.length === 0,
      () => `return() of what was donated to ${one.lpid} came to ${status}`,
    );
    if (!isCurrent) this.#donated.splice(this.#donated.indexOf(one), 1);
    one.mapping[Symbol.dispose]();
    ensure(heard.answers.length === 0, () => `what was donated to ${one.lpid} was returned`);
  }

  /** Mappings of what has ended are nobody's: their return() does nothing. */
  returnStale(): void {
    const { draw, twins, heard } = this.#objects;
    const stale = [...this.#mappings].filter(([cookie]) => !twins.model.grants.has(cookie));
    const one = draw.pick(stale);
    if (one === undefined) return;
    const [cookie, mapping] = one;
    this.#mappings.delete(cookie);
    this.#objects.begin();
    const { status } = outcomeOf(() => mapping.return());
    const isAsked = heard.answers.length > 0;
    ensure(
      status === (isAsked ? H_PARAMETER : H_SUCCESS),
      () => `return() of ${cookie}, which is dead, came to ${status}`,
    );
  }

  rescind(): void {
    const grant = this.#objects.pick("granted");
    if (grant === undefined) return;
    const { source, sourcePage, pageCount, mode } = grant;
    const wasLent = mode !== "share" && anyLent(source, sourcePage, pageCount);
    const { status } = this.#objects.attempt(() =>
      this.#objects.object(grant.grantor.lpid).rescind(cookieOf(grant)),
    );
    const isLeft = this.#objects.twins.model.grants.has(grant.cookie);
    ensure(status !== H_SUCCESS || !isLeft, () => `rescind(${grant.cookie}) left it`);
    const isFree = !anyLent(source, sourcePage, pageCount) && !isUnderRevocation(rootOf(source));
    if (status === H_SUCCESS && wasLent && isFree)
      this.#objects.twins.saw("a lend ends, and its owner has it again");
  }
}
