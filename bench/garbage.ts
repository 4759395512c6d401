/** What one contender has left behind must not be collected, at no time of its own choosing, while another one is measured. */
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
