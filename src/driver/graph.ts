/** `lpar graph`: who has granted what to whom, as a drawing. */

import { Command, Option } from "commander";
import { partitionGraph, treeGraph } from "../inspect/graph.js";
import { toSvg } from "../inspect/graph-svg.js";
import { toDot, toMermaid } from "../inspect/graph-text.js";
import { addSourceOptions, openSource, SOURCE_NOTES, type SourceOptions } from "./source.js";
import { type CommandStreams, interruptible } from "./streams.js";

const FORMATS = { dot: toDot, mermaid: toMermaid, svg: toSvg } as const;

interface GraphOptions extends SourceOptions {
  readonly format: keyof typeof FORMATS;
  readonly tree?: boolean;
}

const NOTES = `${SOURCE_NOTES}

Boxes are partitions, arrows what one has granted to another, with rights and pages. Red: failed. Dashed: frames that views
keep from reuse after a forced rescind. Dotted: rescinded and not returned. --tree draws each resource with what was
granted of it, and granted on. The SVG needs no program beside a browser and follows its light or dark scheme.

Examples:
  $ lpar graph --scenario bench/scenarios/re-grant-and-rescind.json --step 4 --format mermaid
  $ lpar graph --file after.json --format svg > after.svg
  $ lpar graph --tree --file after.json | dot -Tpdf > tree.pdf`;

/** The `graph` command. */
export function graphCommand(streams: CommandStreams): Command {
  return addSourceOptions(
    new Command("graph").description("draw partitions and grants as DOT, Mermaid or SVG"),
  )
    .addOption(new Option("--format <format>", "what to print").choices(Object.keys(FORMATS)).default("dot"))
    .option("--tree", "draw the trees of grants instead of the partitions")
    .addHelpText("after", NOTES)
    .action(async (options: GraphOptions) => {
      const source = await openSource(options, streams);
      const snapshot = await interruptible((signal) => source.snapshot(signal));
      const graph = options.tree === true ? treeGraph(snapshot) : partitionGraph(snapshot);
      streams.output.write(FORMATS[options.format](graph));
    });
}
