/**
 * What a workload with a bounded set of live grants does, event by event, worked out beforehand so that the choice costs no
 * contender anything: which page is used, whether it must be granted first, and which one then goes (the least recently used).
 */
import { basename } from "node:path";
import { readTrace } from "../src/trace/format.js";
import type { Distribution } from "./distribution.js";
import { openPages, takePages } from "./page-stream.js";
import { Random } from "./random.js";

/** In a word of `uses`, beside the page. */
export const FAULT: number = 2 ** 31;
export const WRITE: number = 2 ** 30;
export const PAGE_MASK: number = 2 ** 30 - 1;
/** In a word of `victims`: nothing goes. */
export const NOBODY: number = 2 ** 32 - 1;

/** A round of events that ends as it begins, so that it can go on for ever. */
export interface Events {
  readonly pages: number;
  /** Live at the begin of a round. */
  readonly initial: Uint32Array;
  /** Of each event: the page, FAULT if it is not live yet, WRITE if it is written. */
  readonly uses: Uint32Array;
  /** Of each event: the page whose grant ends, or NOBODY. */
  readonly victims: Uint32Array;
  readonly faults: number;
}

/** References of one round at most. */
const ROUND_MAX = 2 ** 21;
const DRAWN_EVENTS = 2 ** 18;

interface References {
  readonly pages: number;
  readonly page: Uint32Array;
  readonly isWrite: (index: number) => boolean;
}

/** A recorded program. @throws TraceError */
async function readReferences(file: string): Promise<References> {
  const { pages, pageIndex, kind } = await readTrace(file);
  return {
    pages: pages.length,
    page: pageIndex.subarray(0, ROUND_MAX),
    isWrite: (i) => (kind[i] as number) > 1,
  };
}

/** Pages as a distribution has them; every fourth use is a write. */
async function drawReferences(dist: Distribution, pages: number, seed: number): Promise<References> {
  const page = takePages(await openPages(dist, pages, seed), DRAWN_EVENTS);
  const random = new Random(seed + 1);
  const writes = Uint8Array.from({ length: page.length }, () => random.below(4));
  return { pages, page, isWrite: (i) => writes[i] === 0 };
}

/** The pages used last, as a list in an array: a Map keeps the order in which its keys came in. */
class Recent {
  readonly #order = new Map<number, true>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns undefined if the page was live, else who goes for it. */
  use(page: number): number | undefined {
    const isLive = this.#order.delete(page);
    let victim: number | undefined = isLive ? undefined : NOBODY;
    if (!isLive && this.#order.size === this.#most) {
      victim = this.#order.keys().next().value as number;
      this.#order.delete(victim);
    }
    this.#order.set(page, true);
    return victim;
  }

  /** The least recently used first. */
  pages(): Uint32Array {
    return Uint32Array.from(this.#order.keys());
  }
}

function plan({ pages, page, isWrite }: References, live: number): Events {
  const recent = new Recent(live);
  // Which pages are live at the end of a round depends on that round alone, once one has gone by.
  for (const one of page) recent.use(one);
  const initial = recent.pages();
  const uses = new Uint32Array(page.length);
  const victims = new Uint32Array(page.length).fill(NOBODY);
  let faults = 0;
  for (const [i, one] of page.entries()) {
    const victim = recent.use(one);
    uses[i] = one + (isWrite(i) ? WRITE : 0) + (victim === undefined ? 0 : FAULT);
    if (victim === undefined) continue;
    victims[i] = victim;
    faults++;
  }
  return { pages, initial, uses, victims, faults };
}

/** @param pages of a distribution that is none of a trace. */
export async function planEvents(
  dist: Distribution,
  pages: number,
  live: number,
  seed: number,
): Promise<Events> {
  const references =
    dist.kind === "trace" ? await readReferences(dist.file) : await drawReferences(dist, pages, seed);
  return plan(references, live);
}

/** What a row calls the distribution. */
export function nameOfTrace(file: string): string {
  return basename(file, ".lpt");
}
