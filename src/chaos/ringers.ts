/**
 * Who may raise a source, or ring a doorbell, of one actor. What was raised by right is told also after a rescind, once; what comes
 * after that was not.
 */
export class Ringers {
  /** Grants that stand, by partition. */
  readonly #grants: Map<number, number> = new Map();
  /** Partitions whose last grant has ended, and in which round that was. */
  readonly #ended: Map<number, number> = new Map();

  begin(lpid: number): void {
    this.#grants.set(lpid, (this.#grants.get(lpid) ?? 0) + 1);
    this.#ended.delete(lpid);
  }

  end(lpid: number, round: number): void {
    const left = (this.#grants.get(lpid) ?? 0) - 1;
    if (left > 0) this.#grants.set(lpid, left);
    else {
      this.#grants.delete(lpid);
      this.#ended.set(lpid, round);
    }
  }

  /** Takes an event that names who was the first. Answers whether it may be. */
  hear(lpid: number, round: number): boolean {
    const isRight = this.#grants.has(lpid) || this.#ended.has(lpid);
    // Of what was raised before the end nothing is left. In the round of the end some may be on its way.
    for (const [one, since] of this.#ended) if (since < round) this.#ended.delete(one);
    return isRight;
  }
}
