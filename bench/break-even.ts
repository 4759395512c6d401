/** Where the cost of a batch falls below that of single calls. */
import type { BaselineName, Measured } from "./suite.js";

/** One line: the smallest batch from which on all larger ones, too, were cheaper an element than the baseline. */
export function describeBreakEven(
  measured: readonly Measured[],
  baseline: BaselineName,
  elements: string,
): string {
  const bySize = measured
    .map(({ ns, baselines, at }) => ({ ns, single: baselines[baseline] ?? 0, size: at?.batch ?? 0 }))
    .sort((a, b) => a.size - b.size);
  const lastDearer = bySize.findLastIndex(({ ns, single }) => ns >= single);
  const first = bySize[lastDearer + 1];
  if (first === undefined)
    return `single ${elements} are cheaper than batches of up to ${bySize.at(-1)?.size}`;
  return `a batch is cheaper than single ${elements} from ${first.size} on`;
}
