/** Verbs for the queues of virtual adapters (CRQ). */
import { statusName } from "../errors.js";
import { integer, nameOf, optional } from "./schema.js";
import { amount, payload, wantedFlag, wantedNumber, wantedPayload, wantedWord } from "./values.js";
import { type Verbs, verb } from "./verb.js";
import { partition } from "./verbs-grants.js";

/** The other end: a partition, or an adapter by its name. */
const partner = nameOf("partition", "adapter");
const MESSAGE = 0x80;

export const queueVerbs: Verbs = {
  registerQueue: verb(
    { by: partition, partner, address: amount, length: amount },
    { status: wantedWord("H_SUCCESS", "H_CLOSED") },
    (world, { by, partner, address, length }) => {
      const owner = world.partition(by);
      const adapter = world.adapter(owner, partner);
      return {
        status: statusName(owner.registerQueue(adapter, world.amount(address), world.amount(length))),
      };
    },
  ),

  freeQueue: verb({ by: partition, partner }, {}, (world, { by, partner }) => {
    const owner = world.partition(by);
    owner.freeQueue(world.adapter(owner, partner));
    return {};
  }),

  send: verb(
    {
      by: partition,
      partner,
      header: optional(integer(0, 255)),
      format: optional(integer(0, 255)),
      data: optional(payload),
    },
    {},
    (world, { by, partner, header = MESSAGE, format = 0, data = new Uint8Array(14) }) => {
      const owner = world.partition(by);
      owner.send(world.adapter(owner, partner), Uint8Array.of(header, format, ...data));
      return {};
    },
  ),

  receive: verb(
    { by: partition, partner },
    { empty: wantedFlag, header: wantedNumber, format: wantedNumber, data: wantedPayload },
    (world, { by, partner }) => {
      const owner = world.partition(by);
      const entry = owner.receive(world.adapter(owner, partner));
      if (entry === undefined) return { empty: true };
      return { empty: false, header: entry.header, format: entry.format, data: entry.payload };
    },
  ),
};
