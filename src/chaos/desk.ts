/**
 * What all dealings of one actor have in common: its partition, what it draws from, whom it can speak to, what it counts, and the
 * forced rescinds and migrations that it waits for.
 */
import { HcallError } from "../errors.js";
import type { GrantOptions } from "../grant-options.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Board, Operation } from "./board.js";
import type { Mail, Offer } from "./mail.js";
import type { Random } from "./random.js";
import { Violation } from "./records.js";

/** One kind of dealings: what an actor does by itself, and what it does about what it is told. */
export interface Dealings {
  /** The kinds of offers that it accepts. */
  readonly offers: readonly number[];
  /** One operation. */
  step(): void;
  /** A partner offers something of those kinds. */
  receive(offer: Offer, mail: Mail): void;
  /** A mapping was rescinded, perhaps one of this kind. */
  lose(cookie: Cookie): void;
}

/** A grant that it has made. */
export interface Granted {
  readonly cookie: Cookie;
  /** Whether it is being rescinded by force: it gives nothing any more. */
  isForced: boolean;
}

/** What goes on beside the steps. */
interface Pending {
  readonly what: string;
  readonly since: number;
}

/** What takes longer than this beside the steps hangs. */
const PENDING_MS = 10_000;
/** The partner has failed, the quota is used up, or what is granted on is being rescinded. */
const GRANT_REFUSALS: readonly string[] = ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED"];

export class Desk {
  readonly partition: Partition;
  readonly random: Random;
  /** Is told of what goes wrong beside the steps. */
  readonly fail: (error: unknown) => void;
  /** By unit address. */
  readonly mails: Map<number, Mail> = new Map();
  readonly #board: Board;
  readonly #pending: Set<Pending> = new Set();
  #isInjured = false;

  constructor(partition: Partition, board: Board, random: Random, fail: (error: unknown) => void) {
    this.partition = partition;
    this.#board = board;
    this.random = random;
    this.fail = fail;
  }

  /** From here on some of what comes may be lost in JavaScript: the call that takes it is interrupted. */
  injure(): void {
    this.#isInjured = true;
  }

  get isInjured(): boolean {
    return this.#isInjured;
  }

  /** Whoever is being failed by the owner is refused everything. */
  get isDying(): boolean {
    return this.partition.state !== "running";
  }

  count(operation: Operation): void {
    this.#board.count(operation);
  }

  /** Calls what may be refused for these reasons. Answers whether it was done. */
  try(operation: Operation, refusals: readonly string[], call: () => void): boolean {
    return this.attempt(operation, refusals, call) === undefined;
  }

  /** As try(). Answers the reason, undefined if it was done. */
  attempt(operation: Operation, refusals: readonly string[], call: () => void): string | undefined {
    this.count(operation);
    try {
      call();
      return undefined;
    } catch (error) {
      return this.refused(error, refusals);
    }
  }

  /** Answers the reason. @throws what is not a refusal for one of these reasons. */
  refused(error: unknown, refusals: readonly string[]): string {
    if (!(error instanceof HcallError)) throw error;
    if (!refusals.includes(error.code)) this.accuse(`refused: ${error.message}`);
    this.count("refused");
    return error.code;
  }

  /** @throws Violation unless it is no more than the end of this partition. */
  accuse(what: string): void {
    if (!this.isDying) throw new Violation(what);
  }

  /** Does something some milliseconds later. */
  later(call: () => void): void {
    setTimeout(() => {
      try {
        call();
      } catch (error) {
        this.fail(error);
      }
    }, this.random.below(4));
  }

  /** Somebody to speak to. */
  mail(): Mail | undefined {
    return this.random.pick([...this.mails.values()]);
  }

  /** Pages of its own memory. Answers the address, undefined if there are none. */
  allocate(pages: number): number | undefined {
    let address: number | undefined;
    this.try("allocate", ["H_NO_MEM"], () => {
      address = this.partition.allocate(pages * PAGE_BYTES);
    });
    return address;
  }

  /** Answers the cookie, undefined if it was refused. @param refusals beside those of every grant. */
  grant(
    operation: Operation,
    { adapter }: Mail,
    what: Omit<GrantOptions, "to">,
    refusals: readonly string[] = [],
  ): Cookie | undefined {
    let cookie: Cookie | undefined;
    this.try(operation, [...GRANT_REFUSALS, ...refusals], () => {
      cookie = this.partition.grant({ ...what, to: adapter });
    });
    return cookie;
  }

  /** Answers the mapping, undefined if the grant has ended. */
  accept(cookie: Cookie): Mapping | undefined {
    let mapping: Mapping | undefined;
    this.try("accept", ["H_PARAMETER", "H_RESCINDED", "H_NO_MEM"], () => {
      mapping = this.partition.accept(cookie);
    });
    return mapping;
  }

  /** Without the message nobody accepts it; it is rescinded some day. @param detail from 0 to 15. */
  announce(mail: Mail, kind: number, cookie: Cookie, detail: number = 0): void {
    this.try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => mail.send(kind, cookie, detail));
  }

  /** Rescinds, by force what is accepted, unless that goes on already. `done` follows when the grant has ended. */
  takeBack(granted: Granted, done: () => void): void {
    const { cookie } = granted;
    const why = this.attempt("rescind", ["H_RESOURCE", "H_PARAMETER", "H_RESCINDED"], () =>
      this.partition.rescind(cookie),
    );
    if (why === undefined || why === "H_PARAMETER") done();
    if (why !== "H_RESOURCE" || granted.isForced) return;
    granted.isForced = true;
    this.force(cookie, done);
  }

  /** Rescinds by force; `done` follows when that is over, or there was nothing to be done. */
  force(cookie: Cookie, done: () => void): void {
    this.count("rescindForced");
    // The client has failed, and its grants went with it; or what was granted on was of somebody who has failed.
    const refusals = ["H_PARAMETER", "H_RESCINDED"];
    this.#await("a forced rescind", this.partition.rescindForced(cookie), refusals, done);
  }

  /** Moves pages of its own to other frames, while everybody goes on using them. */
  migrate(address: number, pages: number): void {
    this.count("migrate");
    // It has given some of them away; a view stands on one; no run of frames is free.
    const refusals = ["H_PARAMETER", "H_RESOURCE", "H_NO_MEM"];
    this.#await("a migration", this.partition.migrate(address, pages * PAGE_BYTES), refusals, () => {});
  }

  #await(what: string, work: Promise<unknown>, refusals: readonly string[], done: () => void): void {
    const pending = { what, since: performance.now() };
    this.#pending.add(pending);
    work
      .catch((error) => this.refused(error, refusals))
      .then(() => {
        this.#pending.delete(pending);
        done();
      })
      .catch(this.fail);
  }

  /** Milliseconds for which something has been due. @throws Violation if it hangs. */
  due(now: number): number {
    let most = 0;
    for (const { what, since } of this.#pending) {
      const due = now - since;
      if (due > PENDING_MS) throw new Violation(`${what} takes ${Math.round(due)} ms`);
      most = Math.max(most, due);
    }
    return most;
  }
}
