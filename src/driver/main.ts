#!/usr/bin/env node
/** The command `lpar`. */
import { runProgram } from "./program.js";
import { EXIT_FAILED, EXIT_OK, standardStreams } from "./streams.js";

let isCutOff = false;
const streams = standardStreams(() => {
  isCutOff = true;
});
// Streams tell late that something could not be written, and others end the process too: by a signal.
process.on("exit", (code) => {
  if (isCutOff && code === EXIT_OK) process.exitCode = EXIT_FAILED;
});
process.exitCode = await runProgram(process.argv.slice(2), streams);
