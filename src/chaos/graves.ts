/** Pages that nobody else has access to any more: what a partner could still write goes nowhere, what it could still read is rubbish. */
import { areAll } from "./bytes.js";
import type { Desk } from "./desk.js";
import { Violation } from "./records.js";

/** Whoever reads it has kept an access that is over. */
export const RUBBISH = 0xee;

/** Pages of its own, back from everybody, are used again some milliseconds later, if nobody has been at them. */
export function bury(desk: Desk, address: number, bytes: number): void {
  if (!desk.try("write", [], () => desk.partition.fill(address, bytes, RUBBISH))) return;
  desk.later(() => {
    desk.try("free", [], () => {
      if (!areAll(desk.partition.read(address, bytes), RUBBISH))
        throw new Violation("somebody wrote to pages after they were back from everybody");
      desk.partition.free(address);
    });
  });
}
