/**
 * What was asked for, as a walk remembers it: no grant may stand in a table that nobody made, none may come back that has ended,
 * and no page may be reached but by such grants. Of a grant whose call was stopped the walk does not know whether it was
 * made; but if it stands after the mending, it stands as it was asked for.
 */
import {
  COOKIE_SLOTS,
  ENTRY_COPY_ON_WRITE,
  ENTRY_FRAME,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_WRITE,
  H_BUSY,
  H_PARTIAL,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_WRITE,
  MODE_COPY,
  MODE_DONATE,
  MODE_LEND,
  MODE_MASK,
  SPACE_MEMORY,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_SHARED,
} from "../../src/layout.js";
import { isMapped, isPrivate, type Page, type Structure, type TableWords } from "./crash-walk-words.js";

/** A grant as its call names it, in pages or numbers of its space. */
export interface Asked {
  readonly from: number;
  readonly to: number;
  readonly space: number;
  readonly page: number;
  readonly pageCount: number;
  readonly inhibits: number;
  readonly mode: number;
}

/** How far a grant has come; it never goes back. */
type Stage = "stands" | "rescinded" | "over";

interface Grant extends Asked {
  stage: Stage;
  /** The state in which the last answer of a call has left it, undefined if that is not known. */
  state: number | undefined;
  /**
   * The cookie of the grant that it was made from, 0 if it was made of what its grantor owns; undefined if it had ended before
   * anybody looked.
   */
  parent: number | undefined;
  /** Whether something was called by which it ends, perhaps later. */
  isEnding: boolean;
  /** Incarnations of both parties: with either of them it ends. */
  readonly incarnations: readonly number[];
}

function isAsAsked(words: TableWords, structure: Structure, asked: Asked): boolean {
  return (
    // What was rescinded has left the tree, and its grantor's slot may be another structure's.
    (!structure.isGrant || words.structure(structure.parent).holder === asked.from) &&
    structure.holder === asked.to &&
    structure.space === asked.space &&
    structure.sourcePage === asked.page &&
    structure.pageCount === asked.pageCount &&
    structure.inhibits === asked.inhibits &&
    structure.mode === asked.mode
  );
}

function told({ lpid, page }: Page): string {
  return `page ${page} of partition ${lpid}`;
}

export class Ledger {
  readonly #words: TableWords;
  readonly #grants = new Map<number, Grant>();
  /** Grants whose calls were stopped. */
  #doubts: Asked[] = [];
  /** Whether anything was rescinded since no call was half done. */
  #hasRescinded = false;

  constructor(words: TableWords) {
    this.#words = words;
  }

  /** A grant was answered H_SUCCESS. */
  made(cookie: number, asked: Asked): void {
    const structure = this.#words.structure(cookie % COOKIE_SLOTS);
    const isThere = structure.cookie === cookie && structure.isGrant;
    this.#grants.set(cookie, {
      ...asked,
      stage: "stands",
      state: STRUCTURE_GRANTED,
      parent: isThere ? this.#parentOf(structure) : undefined,
      isEnding: false,
      incarnations: [asked.from, asked.to].map((lpid) => this.#words.incarnationOf(lpid)),
    });
  }

  #parentOf({ parent }: Structure): number {
    const above = this.#words.structure(parent);
    return above.isGrant ? above.cookie : 0;
  }

  /** A grant was stopped. */
  stopped(asked: Asked): void {
    this.#doubts.push(asked);
  }

  /** A call that names a cookie was answered; undefined: it was stopped, and it is not known what it has done. */
  named(name: string, cookie: number, status: number | undefined): void {
    const grant = this.#grants.get(cookie);
    const isDone = status === H_SUCCESS;
    if (name === "rescindLogical") {
      this.#hasRescinded = true;
      if (grant === undefined) return;
      if (isDone || status === undefined || status === H_PARTIAL) grant.isEnding = true;
      // It is one for whoever had accepted it, until it is returned.
      if (isDone && grant.stage === "stands") grant.stage = "rescinded";
      return;
    }
    if (grant === undefined || !(isDone || status === undefined || status === H_BUSY)) return;
    const isDonation = (grant.mode & MODE_MASK) === MODE_DONATE;
    grant.isEnding ||= grant.stage === "rescinded" || isDonation;
    grant.state = undefined;
    if (isDone) grant.state = name === "acceptLogical" ? STRUCTURE_SHARED : STRUCTURE_GRANTED;
  }

  /** Whether nothing has happened by which a grant may end, or what it was made from. */
  #isToStand(grant: Grant): boolean {
    const above = this.#grants.get(grant.parent ?? 0);
    const runs = [grant.from, grant.to].every(
      (lpid, index) =>
        this.#words.isRunning(lpid) && this.#words.incarnationOf(lpid) === grant.incarnations[index],
    );
    if (!runs || grant.isEnding || (grant.parent === undefined && this.#hasRescinded)) return false;
    return above === undefined || this.#isToStand(above);
  }

  /** Whether a partition may come up to a grant with this cookie, as the grantee or as the grantor. */
  isFor(cookie: number, lpid: number, isGrantee: boolean): boolean {
    const grant = this.#grants.get(cookie);
    const rest = grant === undefined ? this.#doubts : grant.stage === "over" ? [] : [grant];
    return rest.some(({ from, to }) => (isGrantee ? to : from) === lpid);
  }

  /** What stands wrongly in the table, "" if nothing does; while no call is half done. */
  wrong(): string {
    return this.#wrongGrants() || this.#wrongPages();
  }

  #wrongGrants(): string {
    const seen = new Set<number>();
    for (const structure of this.#words.structures()) {
      if (!structure.isGrant && structure.state !== STRUCTURE_RESCINDED) continue;
      const { slot, cookie } = structure;
      seen.add(cookie);
      const known = this.#grants.get(cookie) ?? this.#settled(structure);
      if (known === undefined) return `structure ${slot} is a grant that nobody made, cookie ${cookie}`;
      if (!isAsAsked(this.#words, structure, known))
        return `structure ${slot} is not what was asked for: ${JSON.stringify({ structure, known })}`;
      if (known.stage === "over") return `a grant that was over stands again, cookie ${cookie}`;
      if (known.stage === "rescinded" && structure.isGrant)
        return `a grant that was rescinded stands again, cookie ${cookie}`;
      if (!structure.isGrant) known.stage = "rescinded";
      else known.parent = this.#parentOf(structure);
      if (known.state !== undefined && known.state !== structure.state && this.#isToStand(known))
        return `the call on cookie ${cookie} that was answered last is undone: ${JSON.stringify({ structure, known })}`;
    }
    const gone = [...this.#grants].filter(([cookie, { stage }]) => !seen.has(cookie) && stage !== "over");
    for (const [cookie, grant] of gone) {
      if (this.#isToStand(grant)) return `a grant is lost that nobody has ended, cookie ${cookie}`;
    }
    for (const [, grant] of gone) grant.stage = "over";
    this.#doubts = [];
    this.#hasRescinded = false;
    return "";
  }

  /** A grant that a stopped call had made. */
  #settled(structure: Structure): Grant | undefined {
    const index = this.#doubts.findIndex((asked) => isAsAsked(this.#words, structure, asked));
    const [asked] = index < 0 ? [] : this.#doubts.splice(index, 1);
    if (asked !== undefined) this.made(structure.cookie, asked);
    const grant = this.#grants.get(structure.cookie);
    // It may have been accepted before anybody knew that it stands.
    if (grant !== undefined) grant.state = undefined;
    return grant;
  }

  #wrongPages(): string {
    const words = this.#words;
    const owners = new Map<number, Page>();
    for (const lpid of words.partitions) {
      for (let page = 0; page < words.pages(lpid); page++) {
        const place = { lpid, page };
        const entry = words.entry(place);
        if (!isMapped(entry)) continue;
        const wrong = this.#wrongMapping(place, entry) || this.#wrongOwner(place, entry, owners);
        if (wrong !== "") return wrong;
      }
    }
    return this.#wrongLends() || this.#wrongViews(owners);
  }

  /** A view outlives the mapping that it was taken from; then no page of anybody is where it stands. */
  #wrongViews(owners: ReadonlyMap<number, Page>): string {
    for (const { number, frame: first, frameCount, hasMapping } of this.#words.views()) {
      for (let frame = first; frame < first + frameCount; frame++) {
        if (this.#words.isFree(frame)) return `view ${number} stands on frame ${frame}, which is free`;
        const owner = owners.get(frame);
        if (!hasMapping && owner !== undefined && this.#words.isRunning(owner.lpid))
          return `view ${number} has no mapping any more, and stands on the frame of ${told(owner)}`;
      }
    }
    return "";
  }

  #wrongMapping(place: Page, entry: number): string {
    const words = this.#words;
    if ((entry & ENTRY_RESCINDED) !== 0) return `${told(place)} is held`;
    const slot = words.back(place);
    const structure = words.structure(slot);
    const { state, holder, inhibits, mode } = structure;
    if (slot === 0 || holder !== place.lpid) return `${told(place)} is nobody's, and mapped`;
    if (state === STRUCTURE_OWNED) return "";
    if (state !== STRUCTURE_SHARED) return `${told(place)} is mapped by what is in state ${state}`;
    const isBarred =
      ((inhibits & INHIBIT_READ) !== 0 && (entry & ENTRY_READ) !== 0) ||
      ((inhibits & INHIBIT_WRITE) !== 0 && (entry & ENTRY_WRITE) !== 0 && !isPrivate(entry));
    if (isBarred) return `${told(place)} has rights that nobody gave it`;
    if (isPrivate(entry)) return mode === MODE_COPY ? "" : `${told(place)} is private, and no copy on write`;
    // Not its source's page: a revocation that goes on in slices has cut that before.
    const root = words.root(place, structure);
    return words.isOwned(root) && (words.entry(root) & ENTRY_FRAME) === (entry & ENTRY_FRAME)
      ? ""
      : `${told(place)} is on frame ${entry & ENTRY_FRAME}, its owner's ${told(root)} is not`;
  }

  #wrongOwner(place: Page, entry: number, owners: Map<number, Page>): string {
    const words = this.#words;
    const frame = entry & ENTRY_FRAME;
    if (words.isFree(frame)) return `${told(place)} is on frame ${frame}, which is free`;
    if (!words.isOwner(place)) return "";
    const other = owners.get(frame);
    owners.set(frame, place);
    const isMerged = (each: Page): boolean => (words.entry(each) & ENTRY_COPY_ON_WRITE) !== 0;
    return other === undefined || (isMerged(other) && isMerged(place))
      ? ""
      : `${told(place)} and ${told(other)} are on frame ${frame}, and can write there`;
  }

  /** Who has lent a page has no access to it. */
  #wrongLends(): string {
    for (const structure of this.#words.structures()) {
      const kind = structure.mode & MODE_MASK;
      if (!structure.isGrant || structure.space !== SPACE_MEMORY) continue;
      if (kind !== MODE_LEND && kind !== MODE_DONATE) continue;
      for (let i = 0; i < structure.pageCount; i++) {
        const lender = this.#words.structure(structure.parent).holder;
        const place = { lpid: lender, page: structure.sourcePage + i };
        if ((this.#words.entry(place) & (ENTRY_READ | ENTRY_WRITE)) !== 0)
          return `${told(place)} is lent, and its lender has access`;
      }
    }
    return "";
  }

  /** Cookies to make calls with, most often of what stands. */
  get cookies(): readonly number[] {
    return [...this.#grants.keys()];
  }

  grantee(cookie: number): number {
    return this.#grants.get(cookie)?.to ?? 0;
  }

  grantor(cookie: number): number {
    return this.#grants.get(cookie)?.from ?? 0;
  }

  /** Those that stand, or stand for their grantees. */
  get standing(): readonly number[] {
    return [...this.#grants].filter(([, { stage }]) => stage !== "over").map(([cookie]) => cookie);
  }
}
