/** Verbs for interrupt sources, doorbells and DMA windows. */
import { flag, integer, list, optional } from "./schema.js";
import { amount, data, wantedData, wantedFlag, wantedNumber } from "./values.js";
import { present, type Verbs, verb } from "./verb.js";
import { partition } from "./verbs-grants.js";

const line = { by: partition, address: amount };

const lineVerbs: Verbs = {
  raise: verb(line, {}, (world, { by, address }) => {
    world.partition(by).raise(world.amount(address));
    return {};
  }),

  ring: verb(line, {}, (world, { by, address }) => {
    world.partition(by).ring(world.amount(address));
    return {};
  }),

  arm: verb(line, {}, (world, { by, address }) => {
    world.partition(by).interrupts.arm(world.amount(address));
    return {};
  }),

  disarm: verb(line, {}, (world, { by, address }) => {
    world.partition(by).interrupts.disarm(world.amount(address));
    return {};
  }),

  endInterrupt: verb(line, {}, (world, { by, address }) => {
    world.partition(by).interrupts.end(world.amount(address));
    return {};
  }),

  mask: verb(line, {}, (world, { by, address }) => {
    world.partition(by).interrupts.mask(world.amount(address));
    return {};
  }),

  unmask: verb(line, {}, (world, { by, address }) => {
    world.partition(by).interrupts.unmask(world.amount(address));
    return {};
  }),
};

const liobn = optional(integer(0, 2 ** 32 - 1));
const rights = { read: optional(flag), write: optional(flag) };

const windowVerbs: Verbs = {
  putTce: verb(
    { by: partition, liobn, ioba: amount, address: amount, ...rights },
    {},
    (world, { by, liobn = 0, ioba, address, ...rights }) => {
      world.partition(by).dma.put(liobn, world.amount(ioba), world.amount(address), present(rights));
      return {};
    },
  ),

  putTces: verb(
    { by: partition, liobn, ioba: amount, addresses: list(amount), ...rights },
    {},
    (world, { by, liobn = 0, ioba, addresses, ...rights }) => {
      const pages = addresses.map((address) => world.amount(address));
      world.partition(by).dma.putIndirect(liobn, world.amount(ioba), pages, present(rights));
      return {};
    },
  ),

  removeTces: verb(
    { by: partition, liobn, ioba: amount, count: optional(amount) },
    {},
    (world, { by, liobn = 0, ioba, count }) => {
      const pages = count === undefined ? 1 : world.amount(count);
      world.partition(by).dma.stuff(liobn, world.amount(ioba), undefined, {}, pages);
      return {};
    },
  ),

  getTce: verb(
    { by: partition, liobn, ioba: amount },
    { empty: wantedFlag, address: wantedNumber, read: wantedFlag, write: wantedFlag },
    (world, { by, liobn = 0, ioba }) => {
      const entry = world.partition(by).dma.get(liobn, world.amount(ioba));
      return entry === undefined ? { empty: true } : { empty: false, ...entry };
    },
  ),

  deviceRead: verb(
    { of: partition, liobn, ioba: amount, length: amount },
    { data: wantedData },
    (world, { of, liobn = 0, ioba, length }) => ({
      data: world.partition(of).dma.device(liobn).read(world.amount(ioba), world.amount(length)),
    }),
  ),

  deviceWrite: verb(
    { of: partition, liobn, ioba: amount, data },
    {},
    (world, { of, liobn = 0, ioba, data }) => {
      world.partition(of).dma.device(liobn).write(world.amount(ioba), data);
      return {};
    },
  ),
};

export const deviceVerbs: Verbs = { ...lineVerbs, ...windowVerbs };
