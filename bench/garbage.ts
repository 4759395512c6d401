/** What one contender has left behind is collected before the next one's turn, not in the middle of it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

function collector(): () => void {
  // The engine gives the function to contexts that are made while the flag is set.
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("gc") as () => void;
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}

/** Collects all garbage of this thread, which takes some milliseconds. */
export const collectGarbage: () => void = collector();
