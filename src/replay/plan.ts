/**
 * Which page of which trace is backed by which page of the server, and by what right. Decided by the seed alone, before
 * anything runs.
 *
 * Every page of every trace has a private page at the server. A share of the pages of each trace, chosen by lot, is also
 * backed by a common page: the first one that was drawn of each trace by common page 0, the second ones by common page
 * 1, and so on, so that a common page has up to as many sharers as there are traces. Each sharer gets its right by lot:
 * to read and write or to read only, from the server itself or through the relay.
 */

export interface SharingPlan {
  /** Pages that the server owns: the private ones of each trace in turn, then the common ones. */
  readonly serverPages: number;
  /** How many of them are common. */
  readonly commonPages: number;
  /** How many common pages have two sharers or more. */
  readonly sharedPages: number;
  readonly traces: readonly TracePlan[];
}

/** One trace's part; the arrays have an element for each of its pages. */
export interface TracePlan {
  /** The server's page that is private to page 0; those of the others follow. */
  readonly firstPrivate: number;
  /** Number of the common page, 0 to commonPages - 1, or -1. */
  readonly common: Int32Array;
  /** 1 where the common page may only be read. */
  readonly readOnly: Uint8Array;
  /** 1 where the common page comes through the relay, granted on. */
  readonly relayed: Uint8Array;
}

/** Uniform numbers from 0 up to 1; the same seed gives the same ones (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * @param pageCounts pages of each trace.
 * @param share percentage of them that become common, rounded to whole pages for each trace.
 */
export function planSharing(pageCounts: readonly number[], share: number, seed: number): SharingPlan {
  const random = seededRandom(seed);
  let firstPrivate = 0;
  const traces = pageCounts.map((pages) => {
    const plan = planTrace(pages, Math.round((pages * share) / 100), firstPrivate, random);
    firstPrivate += pages;
    return plan;
  });
  const perTrace = pageCounts.map((pages) => Math.round((pages * share) / 100)).sort((a, b) => b - a);
  const commonPages = perTrace[0] ?? 0;
  return { serverPages: firstPrivate + commonPages, commonPages, sharedPages: perTrace[1] ?? 0, traces };
}

function planTrace(pages: number, chosen: number, firstPrivate: number, random: () => number): TracePlan {
  const common = new Int32Array(pages).fill(-1);
  const readOnly = new Uint8Array(pages);
  const relayed = new Uint8Array(pages);
  // The first `chosen` places of a shuffle.
  const order = Uint32Array.from({ length: pages }, (_, page) => page);
  for (let rank = 0; rank < chosen; rank++) {
    const other = rank + Math.floor(random() * (pages - rank));
    const page = order[other] as number;
    order[other] = order[rank] as number;
    common[page] = rank;
    readOnly[page] = random() < 0.5 ? 1 : 0;
    relayed[page] = random() < 0.5 ? 1 : 0;
  }
  return { firstPrivate, common, readOnly, relayed };
}
