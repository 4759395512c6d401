/** A thread of the suite death that reads a granted page again and again, until it is refused. */
import { workerData } from "node:worker_threads";
import { HcallError } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { currentPartition } from "../src/worker.js";
import {
  ADDRESS,
  type Board,
  CLOSED,
  OPEN,
  OPEN_FLAG,
  PARKED,
  PHASES,
  READER,
  READER_WORDS,
  READS,
  REFUSED,
  SEALED,
  STATE,
  VIOLATIONS,
} from "./revocation-board.js";

const NAP_MS = 100;

function read(board: Board): never {
  const partition = currentPartition();
  const words = new Int32Array(board.words);
  const mine = READER + board.index * READER_WORDS;
  const page = new Uint8Array(board.page);
  const buffer = new Uint8Array(PAGE_BYTES);
  let isFlag = false;
  let refused = 0;

  const violate = (): void => void Atomics.add(words, mine + VIOLATIONS, 1);
  const refuse = (round: number): void => {
    refused = round;
    Atomics.store(words, mine + REFUSED, round);
  };
  /** @returns false when it was refused. */
  const readGranted = (): boolean => {
    try {
      partition.readInto(Atomics.load(words, mine + ADDRESS), buffer);
      return true;
    } catch (error) {
      if (!(error instanceof HcallError) || error.code !== "H_RESCINDED") violate();
      return false;
    }
  };

  while (true) {
    const state = Atomics.load(words, STATE);
    const phase = state % PHASES;
    const round = Math.floor(state / PHASES);
    if (phase === OPEN || phase === OPEN_FLAG) isFlag = phase === OPEN_FLAG;
    if (phase === PARKED || refused === round) {
      Atomics.wait(words, STATE, state, NAP_MS);
      continue;
    }
    // Who looks at a flag does not read after it; who has a grant may try.
    if (isFlag && phase === CLOSED) refuse(round);
    else if (isFlag) buffer.set(page);
    else if (!readGranted()) refuse(round);
    if (refused === round) continue;
    // What it got when nobody could read any more, or what was written afterwards, it must not have got.
    if (phase === CLOSED || buffer.includes(SEALED)) violate();
    Atomics.add(words, mine + READS, 1);
  }
}

read(workerData as Board);
