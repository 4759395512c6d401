/** Turns of the event loop, in which what goes on by itself goes on. */

/** Lets what goes on by itself go on a little; whoever waits a moment for a frame waits a millisecond. */
export function turnOf(index: number): Promise<void> {
  return new Promise((resolve) => {
    if (index % 8 === 7) setTimeout(resolve, 1);
    else setImmediate(resolve);
  });
}
