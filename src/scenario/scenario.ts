/**
 * A scenario file, checked from the first key to the last before anything runs: a table, its partitions and adapters,
 * and steps of one verb each.
 */
import { readFile } from "node:fs/promises";
import type { PartitionOptions, TableOptions } from "../options.js";
import { describeStep } from "./describe.js";
import { JsonError, parseJson } from "./json.js";
import {
  asObject,
  choice,
  type Field,
  field,
  integer,
  list,
  Names,
  object,
  optional,
  Place,
  ScenarioError,
  show,
  text,
} from "./schema.js";
import { size, type Wanted } from "./values.js";
import { type Action, present } from "./verb.js";
import { VERBS } from "./verbs.js";
import { partition } from "./verbs-grants.js";
import { adapterName, partitionOptions, quota } from "./verbs-table.js";

/** What a step must answer: a code with which it fails, or parts of its answer. */
export type Expectation = string | ReadonlyMap<string, Wanted>;

export interface Step {
  readonly index: number;
  readonly verb: string;
  /** The step in one line, as its file has it. */
  readonly what: string;
  readonly note: string | undefined;
  readonly act: Action;
  readonly expectation: Expectation;
}

export interface AdapterPlan {
  readonly between: readonly [string, string];
  readonly grants: number | undefined;
  readonly as: string | undefined;
}

export interface Scenario {
  readonly file: string;
  readonly title: string | undefined;
  readonly table: Omit<TableOptions, "clock" | "module">;
  readonly partitions: readonly PartitionOptions[];
  readonly adapters: readonly AdapterPlan[];
  readonly steps: readonly Step[];
}

const VERSION = 1;
const FILE_MAX_BYTES = 2 ** 24;
const GRACE_MAX_MS = 2 ** 31 - 1;

/** The codes with which a step can fail. */
const CODES = [
  "H_CLOSED",
  "H_DROPPED",
  "H_FUNCTION",
  "H_NO_MEM",
  "H_PARAMETER",
  "H_PERMISSION",
  "H_RESCINDED",
  "H_RESOURCE",
  "LPAR_NOT_FOUND",
  "LPAR_RELEASED",
] as const;

// The bounds are the library's own to say, when the table is made.
const spaces = object({
  mmio: optional(size()),
  dma: optional(size()),
  interrupt: optional(size()),
  ipi: optional(size()),
});
const tableFields = object({
  memory: size(),
  partitions: optional(size()),
  grants: optional(size()),
  logicalSpace: optional(size()),
  spaces: optional(spaces),
  adapters: optional(size()),
  views: optional(size()),
  staging: optional(size()),
  gracePeriodMs: optional(integer(0, GRACE_MAX_MS)),
});
const table: Field<Scenario["table"]> = field((value, place) => {
  const { memory, spaces, ...rest } = tableFields.parse(value, place);
  return { memory, ...present(rest), ...(spaces === undefined ? {} : { spaces: present(spaces) }) };
});

const adapterOptions = object({ grants: quota, as: adapterName });
const adapter = field<AdapterPlan>((value, place) => {
  const isPlan = Array.isArray(value) && (value.length === 2 || value.length === 3);
  if (!isPlan)
    return place.mustBe('a list like ["server", "client"] or ["server", "client", { "grants": 8 }]', value);
  const between = [partition.parse(value[0], place.at(0)), partition.parse(value[1], place.at(1))] as const;
  const options = value.length === 3 ? adapterOptions.parse(value[2], place.at(2)) : undefined;
  return { between, grants: options?.grants, as: options?.as };
});

const STEP_KEYS = ["note", "expect"];
const steps = field<readonly Step[]>((value, place) => {
  const given = list(field((step) => step)).parse(value, place);
  return given.map((step, index) => parseStep(step, index, place.at(index)));
});

function parseStep(value: unknown, index: number, place: Place): Step {
  const given = asObject(value, place);
  const names = Object.keys(given).filter((key) => !STEP_KEYS.includes(key));
  for (const name of names) {
    if (!VERBS.has(name))
      place
        .at(name)
        .fail(`is not known; allowed: one of ${[...VERBS.keys()].join(", ")}; and ${STEP_KEYS.join(", ")}`);
  }
  const [name, another] = names;
  const verb = VERBS.get(name ?? "");
  if (name === undefined || verb === undefined)
    return place.fail(`has no verb; one of: ${[...VERBS.keys()].join(", ")}`);
  if (another !== undefined)
    place.fail(`has ${names.length} verbs, ${names.join(" and ")}; a step does one thing`);
  const act = verb.prepare(given[name], place.at(name));
  const note = Object.hasOwn(given, "note") ? text.parse(given.note, place.at("note")) : undefined;
  const expected = Object.hasOwn(given, "expect") ? given.expect : {};
  const isCode = typeof expected === "string";
  const at = place.at("expect");
  const expectation = isCode ? choice(...CODES).parse(expected, at) : verb.expect(expected, at);
  if (isCode) place.names.discard();
  else place.names.commit();
  return {
    index,
    verb: name,
    what: describeStep(name, asObject(given[name], place)),
    note,
    act,
    expectation,
  };
}

const version = field((value, place) =>
  value === VERSION ? value : place.fail(`is ${show(value)}; this program reads version ${VERSION}`),
);

/** A list after which its names can be used. */
function naming<T>(inner: Field<T>): Field<T> {
  return {
    isRequired: inner.isRequired,
    parse: (value, place) => {
      const parsed = inner.parse(value, place);
      place.names.commit();
      return parsed;
    },
  };
}

// In this order: what is named above can be used below, wherever it stands in the file.
const scenario = object({
  version,
  title: optional(text),
  table,
  partitions: naming(list(partitionOptions)),
  adapters: optional(naming(list(adapter))),
  steps,
});

/** Checks a text that is a scenario. @throws ScenarioError */
export function parseScenario(file: string, source: string): Scenario {
  if (source.trim() === "") throw new ScenarioError(file, "the file is empty");
  let value: unknown;
  try {
    value = parseJson(source);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ScenarioError(file, `line ${error.line}, column ${error.column}: ${error.message}`);
  }
  const { adapters = [], ...rest } = scenario.parse(value, new Place(file, "", new Names()));
  return {
    file,
    title: rest.title,
    table: rest.table,
    partitions: rest.partitions,
    adapters,
    steps: rest.steps,
  };
}

/** Reads and checks a scenario file. @throws ScenarioError */
export async function readScenario(file: string): Promise<Scenario> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new ScenarioError(file, `cannot be read (${error.message.replace(/, \w+( '.*)?$/s, "")})`);
  });
  if (bytes.length > FILE_MAX_BYTES)
    throw new ScenarioError(file, `has ${bytes.length} bytes; a scenario has at most ${FILE_MAX_BYTES}`);
  let source: string;
  try {
    // It also drops a byte order mark.
    source = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ScenarioError(file, "is not a text in UTF-8");
  }
  return parseScenario(file, source);
}
