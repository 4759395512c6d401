/** Lends and donations on both tables: what is granted in which mode, mostly where it can be (OM1 to OM8). */
import { MODE_DONATE, MODE_LEND, MODE_ZERO, PAGE_BYTES, TYPE_MEMORY } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { BUDGETS, type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import type { GrantRequest } from "./model.js";
import { isExclusive } from "./model-lend.js";

const LENDS = [MODE_LEND, MODE_LEND, MODE_LEND | MODE_ZERO];

export function drawMode(twins: Twins, choose: Choices, draw: Draw): void {
  if (draw.once(4)) {
    const mode = draw.once(4)
      ? (draw.pick([0, 3, 4, 6, 7, 8, 9, 13, ...HOSTILE]) ?? 3)
      : (draw.pick(LENDS) ?? 1);
    const request = choose.grantRequest(draw);
    grantMode(twins, choose, request, mode);
  } else {
    const [request, mode] = modeRequest(twins, choose, draw);
    if (request !== undefined) grantMode(twins, choose, request, mode);
  }
  twins.budget = draw.pick(BUDGETS) ?? 1;
}

/** A lend or a donation, mostly one that can be; no request where nothing is left for it. */
export function modeRequest(
  twins: Twins,
  choose: Choices,
  draw: Draw,
): readonly [request: GrantRequest | undefined, mode: number] {
  if (draw.once(3)) return [donation(twins, choose, draw), MODE_DONATE];
  const request = lend(twins, choose, draw);
  return [request, request === undefined ? MODE_LEND : (draw.pick(LENDS) ?? MODE_LEND)];
}

/** A resource of more grants than a slice has steps is not searched: here there are never so many (OM3). */
function grantMode(twins: Twins, choose: Choices, request: GrantRequest, mode: number): void {
  // Who lends somebody else's ring, to get it back zero, only hurts that one.
  const [lpid, , , address, length] = request;
  if (mode === (MODE_LEND | MODE_ZERO) && choose.touchesQueue(lpid, address, length)) return;
  twins.budget = 4096;
  twins.grantMode(request, mode);
}

/** Pages that nobody else has, one or two of them. */
function lend(twins: Twins, choose: Choices, draw: Draw): GrantRequest | undefined {
  const free = [...twins.model.partitions.values()].flatMap(({ lpid, state, spaces }) =>
    [...spaces.memory.entries]
      .filter(
        ([page, entry]) =>
          state === "running" && entry.state === "mapped" && isExclusive(twins.model, entry.node, page, 1),
      )
      .map(([page, { node }]) => ({ lpid, page, node })),
  );
  const accepted = free.filter(({ node }) => node.kind === "grant");
  const one = draw.pick(draw.once(2) && accepted.length > 0 ? accepted : free);
  if (one === undefined) return undefined;
  const { lpid, page, node } = one;
  const left = node.page + node.pageCount - page;
  const pageCount = 1 + draw.below(Math.min(left, 3));
  const flags = TYPE_MEMORY | node.inhibits;
  return [lpid, flags, 0, page * PAGE_BYTES, pageCount * PAGE_BYTES, choose.unit(draw, lpid)];
}

/** A whole resource, or nearly so. */
function donation(twins: Twins, choose: Choices, draw: Draw): GrantRequest | undefined {
  const all = [...twins.model.partitions.values()].flatMap(({ resources, state }) =>
    state === "running" ? resources.filter(({ type }) => type === "memory") : [],
  );
  const bare = all.filter(({ children }) => children.size === 0);
  const one = draw.pick(draw.once(6) || bare.length === 0 ? all : bare);
  if (one === undefined) return undefined;
  const { lpid } = one.holder;
  const pageCount = draw.once(12) ? 1 + draw.below(one.pageCount) : one.pageCount;
  const flags = draw.once(20) ? draw.below(256) : TYPE_MEMORY;
  const unit = choose.unit(draw, lpid);
  return [lpid, flags, 0, one.page * PAGE_BYTES, pageCount * PAGE_BYTES, unit];
}
