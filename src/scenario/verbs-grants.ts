/** Verbs for the four hypercalls. */
import { choice, type Field, field, flag, integer, nameOf, newName, optional } from "./schema.js";
import { amount, wantedFlag, wantedNumber, wantedWord } from "./values.js";
import { present, type Verbs, verb } from "./verb.js";

const TYPES = ["memory", "mmio", "interrupt", "dma", "ipi"] as const;
export const resourceType: Field<(typeof TYPES)[number]> = choice(...TYPES);
export const partition: Field<string> = nameOf("partition");

/** A name, or any number at all: one that is no cookie, or no unit address, must be answered too (G2). */
function nameOrNumber(kinds: Field<string>): Field<string | number> {
  return field((value, place) => (typeof value === "number" ? value : kinds.parse(value, place)));
}

const grant = nameOrNumber(nameOf("grant"));

export const grantVerbs: Verbs = {
  grant: verb(
    {
      by: partition,
      to: nameOrNumber(nameOf("partition", "adapter")),
      address: amount,
      length: amount,
      type: optional(resourceType),
      read: optional(flag),
      write: optional(flag),
      regrant: optional(flag),
      liobn: optional(integer(0, 2 ** 32 - 1)),
      mode: optional(choice("share", "lend", "donate")),
      zero: optional(flag),
      copyOnWrite: optional(flag),
      as: optional(newName("grant")),
    },
    { cookie: wantedNumber },
    (world, { by, to, address, length, as, ...rest }) => {
      const cookie = world.partition(by).grant({
        to: typeof to === "number" ? to : world.grantee(to),
        address: world.amount(address),
        length: world.amount(length),
        ...present(rest),
      });
      world.nameGrant(as, cookie);
      return { cookie };
    },
  ),

  accept: verb(
    { by: partition, grant, as: optional(newName("address")) },
    {
      address: wantedNumber,
      length: wantedNumber,
      type: wantedWord(...TYPES),
      readable: wantedFlag,
      writable: wantedFlag,
      regrantable: wantedFlag,
    },
    (world, { by, grant, as }) => {
      const mapping = world.partition(by).accept(world.cookie(grant));
      const { address, length, type, readable, writable, regrantable } = mapping;
      world.nameAddress(as, address);
      return { address, length, type, readable, writable, regrantable };
    },
  ),

  return: verb({ by: partition, grant }, {}, (world, { by, grant }) => {
    world.partition(by).return(world.cookie(grant));
    return {};
  }),

  rescind: verb({ by: partition, grant }, {}, (world, { by, grant }) => {
    world.partition(by).rescind(world.cookie(grant));
    return {};
  }),

  rescindForced: verb(
    { by: partition, grant },
    { nodes: wantedNumber, slices: wantedNumber, pagesMoved: wantedNumber },
    async (world, { by, grant }) => {
      const call = (signal: AbortSignal) =>
        world.partition(by).rescindForced(world.cookie(grant), { signal });
      const { nodes, slices, pagesMoved } = await world.wait(call);
      return { nodes, slices, pagesMoved };
    },
  ),
};
