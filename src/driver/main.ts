#!/usr/bin/env node
/** The command `lpar`. */
import { runProgram } from "./program.js";
import { standardStreams } from "./streams.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever read our output has gone, as `lpar ... | head` does: that is no failure.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2), standardStreams());
