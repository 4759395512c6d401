/**
 * A call in the middle of a walk, stopped at one of its stores and mended at once: it has happened or it has not, and of a call
 * of several commits what had been committed has. As the net of crash-net.ts has it, which knows its states beforehand; here the
 * call is made to its end first, from the very state that it is stopped in.
 */
import type { Rig } from "./crash-rig.js";
import { type Leave, State } from "./crash-state.js";
import type { Draw } from "./draw.js";

/** Commits of one call up to which it is stopped. */
const COMMITS = 10;

/** The states of the table that a call leaves behind it, one after the other. */
export class Halves {
  readonly #rig: Rig;
  readonly #now: State;
  readonly #states: State[] = [];
  #count = 0;
  /** For each store, which state was the last to stand before it. */
  #stands: number[] = [];
  #leave: Leave = {};

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#now = new State(rig);
  }

  #keep(): void {
    const next = this.#states[this.#count] ?? new State(this.#rig);
    this.#states[this.#count] = next;
    next.take(this.#leave);
    const last = this.#states[this.#count - 1];
    if (last === undefined || !last.isEqual(next)) this.#count++;
  }

  /**
   * Makes a call, stops it before a store that is drawn, and leaves the table so. Answers that store, 0 if the call makes none: then
   * it has not been made.
   */
  stop(slot: number, call: () => number, leave: Leave, draw: Draw): number {
    const rig = this.#rig;
    this.#count = 0;
    this.#stands = [];
    this.#leave = leave;
    const before = rig.save();
    const woken = new Map(rig.woken);
    this.#keep();
    let wasBusy = true;
    rig.run(call, () => {
      const isBusy = !rig.isQuiescent(slot);
      if (!isBusy && wasBusy && this.#count <= COMMITS) this.#keep();
      wasBusy = isBusy;
      if (this.#count <= COMMITS) this.#stands.push(this.#count - 1);
    });
    this.#keep();
    rig.restore(before);
    rig.woken = woken;
    if (this.#stands.length === 0) return 0;
    // As often near the end, where it commits and gives its locks back, as anywhere.
    const last = Math.min(this.#stands.length, 16);
    const at = draw.once(3) ? this.#stands.length - draw.below(last) : 1 + draw.below(this.#stands.length);
    if (!rig.crash(call, at)) throw new Error("a call that is made again has fewer stores");
    return at;
  }

  /** How the table differs, after the mending, from what it was around that store; "" if it does not. */
  difference(at: number): string {
    const stood = this.#stands[at - 1] as number;
    this.#now.take(this.#leave);
    const around = this.#states.slice(stood, Math.min(stood + 2, this.#count));
    if (around.some((state) => this.#now.isEqual(state))) return "";
    const [before, after = "there is none"] = around.map((state) => this.#now.difference(state));
    return `neither wholly undone (${before}) nor wholly done (${after})`;
  }
}
