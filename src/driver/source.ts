/** Where the commands that look at a table get it from: a snapshot file, a scenario, or a living process. */

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { AuditReport } from "../audit.js";
import { fetchAudit, fetchSnapshot, type InspectorPlace, parsePlace } from "../inspect/client.js";
import { parseSnapshot } from "../inspect/parse.js";
import { runScenario } from "../scenario/run.js";
import { readScenario } from "../scenario/scenario.js";
import type { TableSnapshot } from "../snapshot.js";
import { printable, reasonOf } from "./output.js";
import { type CommandStreams, EXIT_FAILED } from "./streams.js";
import { integerOption, UsageError } from "./usage-error.js";

export interface SourceOptions {
  readonly file?: string;
  readonly scenario?: string;
  readonly step?: number;
  readonly seed?: number;
  readonly connect?: string;
}

export interface Source {
  /** For titles: what is looked at. */
  readonly name: string;
  /** Whether another look may show something else. */
  readonly isLive: boolean;
  snapshot(signal?: AbortSignal): Promise<TableSnapshot>;
  /** The core's own audit, where there is a core. */
  audit(signal?: AbortSignal): Promise<AuditReport | undefined>;
}

export const SOURCE_NOTES = `
What is looked at, one of:
  --file       a snapshot: what table.inspect() answers, or \`lpar run --snapshot\` writes, as JSON
  --scenario   the table of a scenario, after its last step or after --step
  --connect    a living process that has called openInspector() of lpar/inspector, by the address that this answered;
               LPAR_INSPECTOR may hold the address instead, so that no list of processes shows it
bench/scenarios of the examples is in the repository, and not in the package.`;

const SEED = 1;

/** Gives a command the options by which its table is found. */
export function addSourceOptions(command: Command): Command {
  return command
    .option("--file <snapshot.json>", "look at a snapshot")
    .option("--scenario <scenario.json>", "run a scenario and look at its table")
    .option("--step <n>", "with --scenario: after so many steps", integerOption("--step", 0, 2 ** 31 - 1))
    .option(
      "--seed <number>",
      `with --scenario: what random steps draw from (default: ${SEED})`,
      integerOption("--seed", 0, 2 ** 32 - 1),
    )
    .option("--connect <address>", "look at a living process");
}

/** @throws UsageError unless exactly one is named; ScenarioError, SnapshotError; LparError if the process cannot be reached. */
export async function openSource(options: SourceOptions, streams: CommandStreams): Promise<Source> {
  const { file, scenario, step, seed } = options;
  const connect = options.connect ?? process.env.LPAR_INSPECTOR;
  const named = [file, scenario, options.connect].filter((one) => one !== undefined).length;
  if (named > 1) throw new UsageError("--file, --scenario and --connect exclude each other");
  if (step !== undefined && scenario === undefined) throw new UsageError("--step needs --scenario");
  if (seed !== undefined && scenario === undefined) throw new UsageError("--seed needs --scenario");
  if (file !== undefined) return fileSource(file);
  if (scenario !== undefined) return await scenarioSource(scenario, options, streams);
  if (connect === undefined || connect === "")
    throw new UsageError("nothing to look at: name --file, --scenario or --connect");
  const place = parsePlace(connect);
  if (place === undefined) {
    const given = options.connect === undefined ? "what LPAR_INSPECTOR holds" : "--connect";
    throw new UsageError(
      `${given} must be http://127.0.0.1:<port>/<token>/ or unix:<path>#<token>, as openInspector() answers it`,
    );
  }
  return processSource(place);
}

function fileSource(file: string): Source {
  return {
    name: file,
    isLive: true, // somebody may write it anew
    snapshot: async () => {
      const text = await readFile(file, "utf8").catch((error: Error) => {
        throw new UsageError(`${file}: cannot be read (${reasonOf(error)})`);
      });
      return parseSnapshot(file, text);
    },
    audit: async () => undefined,
  };
}

/** The scenario runs once, before anything is shown. A step that fails is told; the table is as it left it. */
async function scenarioSource(
  path: string,
  { step, seed = SEED }: SourceOptions,
  streams: CommandStreams,
): Promise<Source> {
  const scenario = await readScenario(path);
  if (step !== undefined && step > scenario.steps.length)
    throw new UsageError(`--step is ${step}, but ${path} has ${scenario.steps.length} steps`);
  const report = await runScenario(scenario, { seed, ...(step === undefined ? {} : { steps: step }) });
  if (report.failure !== undefined) {
    streams.errors.write(`lpar: ${printable(`${path}: ${report.failure.message}`)}\n`);
    streams.exitCode = EXIT_FAILED;
  }
  return {
    name: `${path}, ${report.steps.length} of ${scenario.steps.length} steps`,
    isLive: false,
    snapshot: async () => report.snapshot,
    audit: async () => report.audit,
  };
}

function processSource(place: InspectorPlace): Source {
  return {
    name: place.shown,
    isLive: true,
    snapshot: (signal) => fetchSnapshot(place, signal),
    audit: (signal) => fetchAudit(place, signal),
  };
}
