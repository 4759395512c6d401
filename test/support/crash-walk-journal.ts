/** What a walk has done: its last calls, for whoever wants to know how it came to a failure, and how often it saw what. */

/** How often what came to pass, over many walks. */
export type Sights = Map<string, number>;

/** Lines that a failure shows. */
const SHOWN = 40;

export class Journal {
  readonly #lines: string[] = [];
  readonly #sights: Sights;

  constructor(sights: Sights) {
    this.#sights = sights;
  }

  note(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > SHOWN) this.#lines.shift();
  }

  saw(sight: string): void {
    this.#sights.set(sight, (this.#sights.get(sight) ?? 0) + 1);
  }

  get last(): string {
    return this.#lines.join("\n");
  }
}
