/** Turns of the event loop, in which what goes on by itself goes on. */
import { isBusy } from "../../src/errors.js";
import { sleep } from "./remote.js";

/** Lets what goes on by itself go on a little; whoever waits a moment for a frame waits a millisecond. */
export function turnOf(index: number): Promise<void> {
  return new Promise((resolve) => {
    if (index % 8 === 7) setTimeout(resolve, 1);
    else setImmediate(resolve);
  });
}

/** So many tries, a millisecond apart at least, until what holds a call up is a fault. */
const TRIES = 1000;

/**
 * Makes a call until nothing of another thread holds it up. A thread that holds a lock may be kept from running for longer
 * than the owner waits for it: on a busy machine any call of the owner can answer so.
 */
export async function patiently<T>(call: () => T): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return call();
    } catch (error) {
      if (!isBusy(error) || attempt === TRIES) throw error;
    }
    await sleep(1);
  }
}
