/** Events of a walk, as they come to stand in the rings: what is told once is not told twice, and of a failure all partners hear. */
import {
  EVENT_BYTES,
  EVENT_LPID,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  EVENT_RESCINDED,
  EVENT_TYPE,
  EVENT_TYPE_MASK,
  EVENT_VALUE,
  HEADER_EVENTS_AT,
  HEADER_EVENTS_MAX,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  PARTITION_FAILED,
  PARTITION_RECOVERING,
  PARTITION_TELLING,
} from "../../src/layout.js";
import type { WalkTable } from "./crash-walk-table.js";

const ONCE: readonly number[] = [EVENT_PARTNER_FAILED, EVENT_PARTNER_RECOVERED, EVENT_RESCINDED];

const FAILED: readonly number[] = [PARTITION_FAILED, PARTITION_RECOVERING];

/** What an incarnation was told. */
interface Heard {
  readonly incarnation: number;
  /** The tail of its ring when it was last looked at. */
  tail: number;
  readonly events: Set<string>;
}

function keyOf(type: number, from: number, value: number): string {
  return `${type}/${from}/${value}`;
}

export class Events {
  readonly #table: WalkTable;
  readonly #heard = new Map<number, Heard>();

  constructor(table: WalkTable) {
    this.#table = table;
  }

  /** What was told wrongly, "" if nothing was; while no call is half done. */
  wrong(): string {
    const { words } = this.#table;
    const running = words.partitions.filter((lpid) => words.isRunning(lpid));
    for (const lpid of running) {
      const twice = this.#listen(lpid);
      if (twice !== undefined) return `partition ${lpid} was told twice (type/partner/value): ${twice}`;
    }
    for (const { lpid, to } of this.#table.units)
      if (running.includes(lpid) && this.#hasMissed(lpid, to))
        return `partition ${lpid} was not told that ${to} has failed`;
    return "";
  }

  #word(lpid: number, offset: number): number {
    return this.#table.words.word(this.#table.rig.partitionAt(lpid) + offset);
  }

  #heardBy(lpid: number): Heard {
    const incarnation = this.#table.words.incarnationOf(lpid);
    const known = this.#heard.get(lpid);
    if (known !== undefined && known.incarnation === incarnation) return known;
    // Each incarnation begins at the first place, and what it has taken before anybody looked is there still.
    const heard = { incarnation, tail: 0, events: new Set<string>() };
    this.#heard.set(lpid, heard);
    return heard;
  }

  /** Takes note of what has come since. Answers what had come before, if anything had. */
  #listen(lpid: number): string | undefined {
    const { words, rig } = this.#table;
    const heard = this.#heardBy(lpid);
    const entries = words.word(HEADER_EVENTS_MAX);
    const ring = words.word(HEADER_EVENTS_AT) + (lpid - 1) * entries * EVENT_BYTES;
    const tail = this.#word(lpid, PARTITION_EVENT_TAIL);
    for (; heard.tail !== tail; heard.tail = (heard.tail + 1) >>> 0) {
      const at = ring + (heard.tail & (entries - 1)) * EVENT_BYTES;
      const type = words.word(at + EVENT_TYPE) & EVENT_TYPE_MASK;
      const key = keyOf(type, words.word(at + EVENT_LPID), rig.floats[(at + EVENT_VALUE) / 8] as number);
      if (ONCE.includes(type) && heard.events.has(key)) return key;
      heard.events.add(key);
    }
    return undefined;
  }

  /** Whether a partner has failed, and all have been told but this one. */
  #hasMissed(lpid: number, partner: number): boolean {
    const { words } = this.#table;
    // Of what has stopped the incarnation is that of a start which was undone.
    if (!FAILED.includes(words.stateOf(partner)) || !this.#table.hasMet(partner)) return false;
    if (this.#word(partner, PARTITION_TELLING) !== 0 || this.#word(lpid, PARTITION_EVENTS_LOST) !== 0)
      return false;
    const key = keyOf(EVENT_PARTNER_FAILED, partner, words.incarnationOf(partner));
    return !this.#heardBy(lpid).events.has(key);
  }
}
