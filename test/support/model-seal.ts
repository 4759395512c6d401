/**
 * Sealed records in the naive model: it knows no checksum, only which content was sealed and what seal it got. A record is
 * complete if its content was sealed before, anywhere in the table, and the seal behind it is the one that it got then.
 */
import { H_SUCCESS } from "../../src/layout.js";
import type { Model } from "./model.js";
import { read, write } from "./model-access.js";
import { type Answer, answer, ensure } from "./model-records.js";

const SEAL = 16;

export class Seals {
  /** Seals by content. */
  readonly #seals = new Map<string, string>();

  /** `seal` is what the real table has put behind the payload, if it did. */
  seal(model: Model, lpid: number, address: number, length: number, seal: () => Uint8Array): Answer {
    const payload = read(model, lpid, address, length - SEAL);
    // An empty payload is not read, so that it needs no right to be.
    if (length > SEAL && payload.bytes === undefined) return payload.answer;
    const target = address + (length - SEAL);
    const written = write(model, lpid, target, new Uint8Array(SEAL));
    if (written.status !== H_SUCCESS) return written;
    const bytes = seal();
    write(model, lpid, target, bytes);
    const content = hex(payload.bytes ?? new Uint8Array(0));
    const known = this.#seals.get(content);
    ensure(known === undefined || known === hex(bytes), () => "the same content got another seal");
    for (const [other, its] of this.#seals)
      ensure(other === content || its !== hex(bytes), () => "another content got the same seal");
    this.#seals.set(content, hex(bytes));
    return answer(H_SUCCESS);
  }

  /** The payload, if the record is complete. */
  sealed(
    model: Model,
    lpid: number,
    address: number,
    length: number,
  ): { answer: Answer; payload?: Uint8Array } {
    const record = read(model, lpid, address, length);
    if (record.bytes === undefined) return record;
    const payload = record.bytes.slice(0, length - SEAL);
    const isComplete = this.#seals.get(hex(payload)) === hex(record.bytes.slice(length - SEAL));
    return isComplete ? { answer: record.answer, payload } : { answer: record.answer };
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
