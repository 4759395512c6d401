/**
 * Objects of this package as `console.log()` and `util.inspect()` show them: what they are and hold now, in a line. Node finds
 * the methods by a symbol that is registered for all, so that nothing of Node is needed.
 */
import type { TableMemory } from "./binding.js";
import {
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_STRUCTURES_MAX,
} from "./layout.js";
import type { ResourceType } from "./records.js";

/** The name under which Node looks for a method that says how an object is shown. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** From now on Node shows the objects of a class as `describe` says. */
export function showAs<T extends object>(
  shown: { readonly name: string; readonly prototype: T },
  describe: (object: T) => string,
): void {
  function inspect(this: T): string {
    return `${shown.name} ${describe(this)}`;
  }
  Object.defineProperty(shown.prototype, INSPECT, { value: inspect, configurable: true, writable: true });
}

/** Partitions that a table lists. */
const LISTED_MAX = 16;

/** "1 page", "2 pages". */
function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Rights in words, the same everywhere: "read, write" or "read"; "no access". */
export function rightsOf(readable: boolean, writable: boolean): string {
  if (!readable && !writable) return "no access";
  return readable && writable ? "read, write" : readable ? "read" : "write";
}

/** For example `4096 bytes at 65536`, `interrupt 5`. */
export function rangeOf(type: ResourceType, address: number, length: number): string {
  if (type === "interrupt" || type === "ipi") return `${type} ${address}`;
  return `${type === "memory" ? "" : `${type}, `}${counted(length, "byte")} at ${address}`;
}

/** What the line of a mapping is made of. */
interface MappingLine {
  readonly type: ResourceType;
  readonly address: number;
  readonly length: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly regrantable: boolean;
  readonly mode: string;
}

/** For example `4096 bytes at 65536: read, no re-grant`. */
export function describeMapping(mapping: MappingLine): string {
  const { type, address, length, readable, writable, regrantable, mode } = mapping;
  const rights = `${rightsOf(readable, writable)}${regrantable ? "" : ", no re-grant"}`;
  return `${rangeOf(type, address, length)}: ${rights}${mode === "share" ? "" : `, ${mode}`}`;
}

/** What the line of a partition is made of. */
export interface PartitionLine {
  readonly lpid: number;
  readonly name: string;
  readonly state: string;
  readonly incarnation: number;
  usage(): {
    readonly pagesOwned: number;
    readonly pagesMapped: number;
    readonly grantsOut: number;
    readonly grantsIn: number;
  };
}

/** For example `2 "client" { running, incarnation 1, owns 4 pages, maps 2, grants 0 out, 1 in }`. */
export function describePartition(partition: PartitionLine): string {
  const { lpid, name, state, incarnation } = partition;
  const { pagesOwned, pagesMapped, grantsOut, grantsIn } = partition.usage();
  const holds = `owns ${counted(pagesOwned, "page")}, maps ${pagesMapped}, grants ${grantsOut} out, ${grantsIn} in`;
  return `${lpid} ${JSON.stringify(name)} { ${state}, incarnation ${incarnation}, ${holds} }`;
}

/** A table with its first partitions, a line each. */
export function describeTable(memory: TableMemory, partitions: readonly PartitionLine[]): string {
  const frames = `${memory.header(HEADER_FRAMES_FREE)} of ${memory.header(HEADER_FRAMES_MAX)} frames free`;
  const room = `room for ${memory.header(HEADER_STRUCTURES_MAX)} structures`;
  const head = `${counted(memory.header(HEADER_PARTITIONS_USED), "partition")}, ${frames}, ${room}`;
  const lines = partitions.slice(0, LISTED_MAX).map((partition) => `\n  ${describePartition(partition)}`);
  const rest = partitions.length > LISTED_MAX ? `\n  and ${partitions.length - LISTED_MAX} more` : "";
  return lines.length === 0 ? `{ ${head} }` : `{ ${head}${lines.join("")}${rest}\n}`;
}
