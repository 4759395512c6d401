/** Verbs for own memory, translation, checked access and zero-copy views. */
import { statusName } from "../errors.js";
import { flag, list, nameOf, newName, optional } from "./schema.js";
import { amount, data, size, wantedData, wantedNumber, wantedWords } from "./values.js";
import { present, type Verbs, verb } from "./verb.js";
import { partition, resourceType } from "./verbs-grants.js";

const STATUSES = ["H_SUCCESS", "H_PARAMETER", "H_RESCINDED", "H_PERMISSION"];
/** What a translation that was not made answers as its address. */
const NO_ADDRESS = -1;

const memoryVerbs: Verbs = {
  allocate: verb(
    { by: partition, length: amount, as: optional(newName("address")) },
    { address: wantedNumber },
    (world, { by, length, as }) => {
      const address = world.partition(by).allocate(world.amount(length));
      world.nameAddress(as, address);
      return { address };
    },
  ),

  free: verb({ by: partition, address: amount }, {}, (world, { by, address }) => {
    world.partition(by).free(world.amount(address));
    return {};
  }),

  write: verb({ by: partition, address: amount, data }, {}, (world, { by, address, data }) => {
    world.partition(by).write(world.amount(address), data);
    return {};
  }),

  read: verb(
    { by: partition, address: amount, length: amount },
    { data: wantedData },
    (world, { by, address, length }) => ({
      data: world.partition(by).read(world.amount(address), world.amount(length)),
    }),
  ),

  fill: verb(
    { by: partition, address: amount, length: amount, byte: amount },
    {},
    (world, { by, address, length, byte }) => {
      world.partition(by).fill(world.amount(address), world.amount(length), world.amount(byte));
      return {};
    },
  ),

  copy: verb(
    { by: partition, from: amount, partner: partition, to: amount, length: amount },
    {},
    (world, { by, from, partner, to, length }) => {
      const target = world.partition(partner);
      world.partition(by).copy(world.amount(from), target, world.amount(to), world.amount(length));
      return {};
    },
  ),
};

const wordVerbs: Verbs = {
  load32: verb({ by: partition, address: amount }, { value: wantedNumber }, (world, { by, address }) => ({
    value: world.partition(by).load32(world.amount(address)),
  })),

  store32: verb({ by: partition, address: amount, value: amount }, {}, (world, { by, address, value }) => {
    world.partition(by).store32(world.amount(address), world.amount(value));
    return {};
  }),

  add32: verb(
    { by: partition, address: amount, value: amount },
    { before: wantedNumber },
    (world, { by, address, value }) => ({
      before: world.partition(by).add32(world.amount(address), world.amount(value)),
    }),
  ),

  compareExchange32: verb(
    { by: partition, address: amount, expected: amount, replacement: amount },
    { before: wantedNumber },
    (world, { by, address, expected, replacement }) => {
      const [wanted, next] = [world.amount(expected), world.amount(replacement)];
      return { before: world.partition(by).compareExchange32(world.amount(address), wanted, next) };
    },
  ),
};

const translationVerbs: Verbs = {
  translate: verb(
    {
      by: partition,
      address: amount,
      type: optional(resourceType),
      write: optional(flag),
      length: optional(amount),
      as: optional(newName("address")),
    },
    { physical: wantedNumber },
    (world, { by, address, length, as, ...rest }) => {
      const bytes = length === undefined ? undefined : world.amount(length);
      const options = present({ ...rest, length: bytes });
      const physical = world.partition(by).translate(world.amount(address), options);
      world.nameAddress(as, physical);
      return { physical };
    },
  ),

  translateBatch: verb(
    {
      by: partition,
      addresses: list(amount),
      type: optional(resourceType),
      write: optional(flag),
      stopAtFault: optional(flag),
    },
    { succeeded: wantedNumber, statuses: wantedWords(...STATUSES) },
    (world, { by, addresses, ...rest }) => {
      const batch = world.partition(by).createBatch(Math.max(1, addresses.length));
      try {
        batch.addresses.set(addresses.map((address) => world.amount(address)));
        const succeeded = batch.run(addresses.length, present(rest));
        // What follows the fault at which it stopped is left as it was, and means nothing.
        const done = rest.stopAtFault === true ? Math.min(succeeded + 1, addresses.length) : addresses.length;
        return {
          succeeded,
          statuses: Array.from(batch.status.subarray(0, done), statusName),
          physical: Array.from(batch.physical.subarray(0, done), (address) =>
            Number.isNaN(address) ? NO_ADDRESS : address,
          ),
        };
      } finally {
        batch[Symbol.dispose]();
      }
    },
  ),
};

const view = nameOf("view");

const viewVerbs: Verbs = {
  view: verb(
    { by: partition, address: amount, length: amount, as: newName("view") },
    {},
    (world, { by, address, length, as }) => {
      world.nameView(as, world.partition(by).view(world.amount(address), world.amount(length)));
      return {};
    },
  ),

  readView: verb(
    { view, offset: optional(size()), length: optional(size()) },
    { data: wantedData },
    (world, { view, offset = 0, length = Number.POSITIVE_INFINITY }) => ({
      data: world.view(view).bytes.slice(offset, offset + length),
    }),
  ),

  /** @throws RangeError for data beyond the end of the view. */
  writeView: verb({ view, offset: optional(size()), data }, {}, (world, { view, offset = 0, data }) => {
    world.view(view).bytes.set(data, offset);
    return {};
  }),

  release: verb({ view }, {}, (world, { view }) => {
    world.view(view).release();
    return {};
  }),
};

export const accessVerbs: Verbs = { ...memoryVerbs, ...wordVerbs, ...translationVerbs, ...viewVerbs };
