/** A snapshot as Prometheus reads it: the text exposition format, version 0.0.4. */
import { textOf } from "./errors.js";
import {
  type GrantSnapshot,
  type PartitionSnapshot,
  SNAPSHOT_VERSION,
  type TableSnapshot,
} from "./snapshot.js";

/** What the text is to be served as. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string | number>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  samples(snapshot: TableSnapshot): readonly Sample[];
}

function ofTable(name: string, help: string, counter: string): Metric {
  return { name, type: "gauge", help, samples: ({ counters }) => [[{}, counters[counter] ?? 0]] };
}

function labelsOf({ lpid, name }: PartitionSnapshot): Labels {
  return { lpid, partition: name };
}

function ofPartitions(
  name: string,
  help: string,
  value: (partition: PartitionSnapshot) => number,
  type: Metric["type"] = "gauge",
): Metric {
  return {
    name,
    type,
    help,
    samples: ({ partitions }) =>
      partitions.map((partition) => [labelsOf(partition), value(partition)] as const),
  };
}

function ofCounter(name: string, help: string, counter: string): Metric {
  return ofPartitions(name, help, ({ counters }) => counters[counter] ?? 0);
}

function ofAdapters(
  name: string,
  help: string,
  value: (adapter: PartitionSnapshot["adapters"][number]) => number,
): Metric {
  return {
    name,
    type: "gauge",
    help,
    samples: ({ partitions }) =>
      partitions.flatMap((partition) =>
        partition.adapters.map((adapter) => {
          const labels = { ...labelsOf(partition), unit: adapter.unitAddress, partner: adapter.partner };
          return [labels, value(adapter)] as const;
        }),
      ),
  };
}

const STATES: readonly PartitionSnapshot["state"][] = ["running", "failed", "recovering", "stopped"];

function states({ partitions }: TableSnapshot): Sample[] {
  return partitions.flatMap((partition) =>
    STATES.map((state) => [{ ...labelsOf(partition), state }, partition.state === state ? 1 : 0] as const),
  );
}

/** How many grants there are of each kind and state, and of which mode. */
function grants({ partitions }: TableSnapshot): Sample[] {
  const counts: Map<string, [Labels, number]> = new Map();
  const labels = ({ type, state, mode }: GrantSnapshot): Labels => ({ type, state, mode });
  for (const grant of partitions.flatMap((partition) => partition.grants)) {
    const key = Object.values(labels(grant)).join(" ");
    const sample = counts.get(key) ?? [labels(grant), 0];
    sample[1]++;
    counts.set(key, sample);
  }
  return [...counts.values()];
}

const METRICS: readonly Metric[] = [
  ofTable("lpar_table_bytes", "Bytes of the table's memory.", "tableBytes"),
  ofTable("lpar_frames", "Frames of physical memory.", "frames"),
  ofTable("lpar_frames_free", "Frames that are free.", "framesFree"),
  ofTable("lpar_frames_quarantined", "Frames that views keep from reuse.", "framesQuarantined"),
  ofTable("lpar_frames_copied", "Private pages of copy-on-write mappings.", "framesCopied"),
  ofTable("lpar_frames_saved", "Frames saved because equal pages share one.", "framesSaved"),
  ofTable("lpar_structures", "Control structures that can exist.", "structures"),
  ofTable("lpar_structures_used", "Control structures in use.", "structuresUsed"),
  ofTable("lpar_adapter_ends", "Ends of virtual adapters that can exist.", "adapterEnds"),
  ofTable("lpar_adapter_ends_used", "Ends of virtual adapters in use.", "adapterEndsUsed"),
  ofTable("lpar_partitions", "Partitions that exist.", "partitions"),
  ofTable("lpar_revocations", "Forced rescinds and recoveries that are not complete.", "revocations"),
  {
    ...ofTable("lpar_pages_moved_total", "Pages moved; wraps at 2^32.", "pagesMoved"),
    type: "counter",
  },
  { name: "lpar_grants", type: "gauge", help: "Grants that stand or are not returned.", samples: grants },
  {
    name: "lpar_partition_state",
    type: "gauge",
    help: "1 for the state that a partition is in.",
    samples: states,
  },
  ofPartitions(
    "lpar_partition_incarnations_total",
    "Starts of a partition.",
    ({ incarnation }) => incarnation,
    "counter",
  ),
  ofPartitions(
    "lpar_partition_restarts_total",
    "Restarts by its restart policy.",
    ({ restarts }) => restarts,
    "counter",
  ),
  ofCounter("lpar_partition_pages_owned", "Pages that a partition owns.", "pagesOwned"),
  ofCounter("lpar_partition_allocated_bytes", "Bytes of its own memory that it has allocated.", "allocated"),
  ofCounter("lpar_partition_pages_mapped", "Pages of others that it has mapped.", "pagesMapped"),
  ofCounter("lpar_partition_pages_lent", "Pages that it has lent, or offers as a donation.", "pagesLent"),
  ofCounter("lpar_partition_grants_out", "Grants by it that stand.", "grantsOut"),
  ofCounter("lpar_partition_grants_in", "Grants to it that stand.", "grantsIn"),
  ofCounter("lpar_partition_rescinded", "Rescinded mappings that it has not returned.", "rescinded"),
  ofCounter("lpar_partition_pins", "Pins: views, armed sources, bus entries.", "pins"),
  ofCounter("lpar_partition_quarantined", "Frames that its views keep from reuse.", "quarantined"),
  ofCounter("lpar_partition_copies", "Private pages of its copy-on-write mappings.", "copies"),
  ofCounter(
    "lpar_partition_events_lost",
    "Events that it could not be told and has not heard of.",
    "eventsLost",
  ),
  ofAdapters("lpar_adapter_quota", "Control structures that one end may use.", ({ quota }) => quota),
  ofAdapters("lpar_adapter_used", "Control structures that it uses.", ({ used }) => used),
  ofAdapters("lpar_adapter_unreturned", "Rescinded grants not returned.", ({ unreturned }) => unreturned),
  ofAdapters("lpar_adapter_queued", "Entries that wait in its queue.", ({ queued }) => queued),
];

function escapeHelp(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
}

/** A label's value may be any text; three characters need a backslash. */
function escapeLabel(text: string): string {
  return escapeHelp(text).replace(/"/g, '\\"');
}

function sampleLine(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(String(text))}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

/**
 * Counters and gauges of a snapshot for Prometheus, to be served as PROMETHEUS_TYPE. A pure function: metrics of a table are
 * `lpar_...`, of a partition `lpar_partition_...` with the labels `lpid` and `partition`, of an adapter end `lpar_adapter_...`
 * with `unit` and `partner` beside.
 * @throws TypeError for what is no snapshot of this version.
 */
export function prometheusText(snapshot: TableSnapshot): string {
  if (snapshot?.version !== SNAPSHOT_VERSION)
    throw new TypeError(`the snapshot is ${textOf(snapshot)}; it must be what table.inspect() answers`);
  return METRICS.map(({ name, type, help, samples }) => {
    const lines = samples(snapshot).map((sample) => sampleLine(name, sample));
    if (lines.length === 0) return "";
    return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
  }).join("");
}
