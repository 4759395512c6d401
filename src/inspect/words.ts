/** Words and figures of a snapshot that all views share. */
import type { PartitionSnapshot, TableSnapshot } from "../snapshot.js";

/** Text from outside without what a terminal, or XML, would not take as text. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}

/** The greatest of some numbers, of more than Math.max() takes as arguments, too; at least `least`. */
export function greatest(least: number, numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), least);
}

/** "rw", "r", "w" or "none". */
export function shortRights({
  readable,
  writable,
}: {
  readonly readable: boolean;
  readonly writable: boolean;
}): string {
  if (readable && writable) return "rw";
  return readable ? "r" : writable ? "w" : "none";
}

/** 65536 bytes are "16 pages"; of interrupt sources and ports "1 number". */
export function extentOf({ type, length }: { readonly type: string; readonly length: number }): string {
  const isCounted = type === "interrupt" || type === "ipi";
  const count = isCounted ? length : length / 4096;
  const what = isCounted ? "number" : "page";
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Finds partitions by lpid. */
export class Names {
  readonly #partitions: ReadonlyMap<number, PartitionSnapshot>;

  constructor({ partitions }: TableSnapshot) {
    this.#partitions = new Map(partitions.map((partition) => [partition.lpid, partition]));
  }

  partition(lpid: number): PartitionSnapshot | undefined {
    return this.#partitions.get(lpid);
  }

  /** The name, "manager" for 0, "#7" for a partition that is gone. */
  of(lpid: number): string {
    if (lpid === 0) return "manager";
    const partition = this.#partitions.get(lpid);
    return partition === undefined ? `#${lpid}` : printable(partition.name);
  }
}

/** How a partition is doing, in words: never by colour alone. */
export function standingOf({ state, recovery, onFailure }: PartitionSnapshot): string {
  if (state === "failed" && recovery?.phase === "grace") return "failed, grace";
  if (state === "failed" && (recovery?.phase === "deferred" || onFailure === "defer"))
    return "failed, deferred";
  return state;
}
