/**
 * Requests for accesses to devices, which threads of a walk post, take, answer and give up, or leave behind: what is taken was posted
 * to who takes it, as it says, and once; an answer is that to the request that stands, and is refused otherwise; what was given up,
 * or whose thread is gone, is neither served nor answered any more; who waits is rung for.
 *
 * There are no locks, and nothing to mend: of a call that was stopped the exchange has happened or it has not. So a mailbox has a few
 * states that it may be in, of which each answer leaves those that agree with it.
 */
import {
  H_BUSY,
  H_CLOSED,
  H_HARDWARE,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_THREADS_MAX,
  LOCK_SLOT_MASK,
  MAIL_ADDRESS,
  MAIL_LPID,
  MAIL_NEED_SHIFT,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_VALUE,
  MAIL_WHAT,
  MAILS,
  NEED_READ,
  NEED_WRITE,
  THREAD_BELL,
  THREAD_NAME,
  THREAD_TAKEN,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";
import type { Journal } from "./crash-walk-journal.js";
import { OWNER } from "./crash-walk-threads.js";
import type { Draw } from "./draw.js";

/** What a thread asks for, and of whom, by that one's name. */
interface Request {
  readonly server: number;
  readonly lpid: number;
  readonly address: number;
  readonly what: number;
  readonly value: number;
}

interface Answer {
  readonly status: number;
  readonly value: number;
}

/** Of an idle one there is no request; one without an answer that is not taken is posted. */
interface State {
  readonly request?: Request;
  readonly isTaken?: boolean;
  readonly answer?: Answer;
}

interface Box {
  states: readonly State[];
  /** The bell of its thread when it last looked and found no answer, and went to sleep. */
  slept: number | undefined;
}

/** What a thread has taken and has not answered: its number, its state, and which request it is. */
interface Taken {
  readonly ticket: number;
  readonly state: number;
  readonly request: Request;
}

interface Party {
  readonly name: number;
  readonly boxes: readonly Box[];
  taken: readonly Taken[];
}

const IDLE: State = {};
const STATUSES: readonly number[] = [H_SUCCESS, H_SUCCESS, H_HARDWARE, H_RESCINDED, H_LONG_BUSY_10_MSEC];
/** Stores of one call, at most. */
const STORES = 10;
const NEVER = 2 ** 30;

function isPosted({ request, isTaken, answer }: State): boolean {
  return request !== undefined && isTaken !== true && answer === undefined;
}

/** Whether it is this request, as its server has taken it: each has a value of its own. */
function isTakenStill({ request, isTaken, answer }: State, taken: Taken): boolean {
  return request?.value === taken.request.value && isTaken === true && answer === undefined;
}

export class Mail {
  readonly #rig: Rig;
  readonly #draw: Draw;
  readonly #journal: Journal;
  /** By the slot. */
  readonly #parties = new Map<number, Party>();
  #asked = 0;

  constructor(rig: Rig, draw: Draw, journal: Journal) {
    this.#rig = rig;
    this.#draw = draw;
    this.#journal = journal;
  }

  #name(slot: number): number {
    return this.#rig.word(this.#rig.threadAt(slot) + THREAD_NAME);
  }

  #bell(slot: number): number {
    return this.#rig.word(this.#rig.threadAt(slot) + THREAD_BELL);
  }

  #isGone(name: number): boolean {
    return this.#name((name & LOCK_SLOT_MASK) - 1) !== name;
  }

  #party(slot: number): Party {
    const name = this.#name(slot);
    const known = this.#parties.get(slot);
    if (known?.name === name) return known;
    // What the slot's last thread has left is withdrawn before another one has it.
    const boxes = Array.from({ length: MAILS }, () => ({ states: [IDLE], slept: undefined }));
    const party: Party = { name, boxes, taken: [] };
    this.#parties.set(slot, party);
    return party;
  }

  #slots(): number[] {
    return Array.from({ length: this.#rig.word(HEADER_THREADS_MAX) }, (_, slot) => slot);
  }

  /** A thread has died: whoever reaps it withdraws what it has asked for, sooner or later. */
  #mayBeWithdrawn(living: readonly number[]): void {
    for (const slot of this.#slots()) {
      if (living.includes(slot)) continue;
      for (const box of this.#party(slot).boxes)
        if (!box.states.includes(IDLE)) box.states = [...box.states, IDLE];
    }
  }

  /** Makes a call. Answers its status, undefined if it was stopped. */
  #call(slot: number, told: string, call: () => number): number | undefined {
    let status: number | undefined;
    const make = (): void => {
      status = call();
    };
    const isStopped = this.#rig.crash(make, this.#draw.once(4) ? 1 + this.#draw.below(STORES) : NEVER);
    this.#journal.note(`${slot}: ${told} ${isStopped ? "STOPS" : `= ${status}`}`);
    this.#journal.saw(`${told.slice(0, told.indexOf("("))} ${isStopped ? "stops" : status}`);
    return isStopped ? undefined : status;
  }

  /** Only those states stay that agree with an answer. */
  #expect(box: Box, what: string, fits: (state: State) => boolean): void {
    const before = box.states;
    box.states = before.filter(fits);
    if (box.states.length === 0) throw new Error(`${what}, and its mailbox is ${JSON.stringify(before)}`);
  }

  /** A thread that is in no call does something. Answers whether it was stopped. @param living all that are not dead. */
  turn(slot: number, living: readonly number[]): boolean {
    this.#mayBeWithdrawn(living);
    const party = this.#party(slot);
    const taken = this.#draw.pick(party.taken);
    const index = this.#draw.below(MAILS);
    switch (this.#draw.below(4)) {
      case 0:
        return this.#post(slot, index, living);
      case 1:
        return this.#take(slot, party);
      case 2:
        return taken === undefined ? this.#take(slot, party) : this.#answer(slot, party, taken);
      default:
        return this.#collect(slot, index, party.boxes[index] as Box);
    }
  }

  // ---------------------------------------------------------------- who asks

  #post(slot: number, index: number, living: readonly number[]): boolean {
    const to = this.#draw.pick(this.#slots()) as number;
    const value = ++this.#asked;
    const request: Request = {
      server: this.#name(to),
      lpid: 1 + this.#draw.below(4),
      address: value * 4,
      what: 4 | ((this.#draw.pick([NEED_READ, NEED_WRITE]) as number) << MAIL_NEED_SHIFT),
      value,
    };
    const { server, lpid, address, what } = request;
    const bell = this.#bell(to);
    const status = this.#call(slot, `postRequest(${index}, to ${to}, ${value})`, () =>
      this.#rig.core(slot).postRequest(index, server, lpid, address, what, value),
    );
    const box = this.#party(slot).boxes[index] as Box;
    box.slept = undefined;
    if (status === undefined) box.states = [...box.states, IDLE, { request }];
    if (status === H_NOT_FOUND && to !== slot && living.includes(to))
      throw new Error(`thread ${to}, which is there, is not found`);
    if (status !== H_SUCCESS) return status === undefined;
    box.states = [{ request }];
    if (this.#bell(to) === bell) throw new Error(`thread ${to} was asked, and its bell is not rung`);
    return false;
  }

  #collect(slot: number, index: number, box: Box): boolean {
    const givesUp = this.#draw.once(4) ? 1 : 0;
    const bell = this.#bell(slot);
    const status = this.#call(slot, `collectRequest(${index}, ${givesUp})`, () =>
      this.#rig.core(slot).collectRequest(index, givesUp),
    );
    if (status === undefined) {
      box.states = [...box.states, IDLE];
      return true;
    }
    const value = this.#rig.result(slot);
    this.#expect(box, `collectRequest() answers ${status}, R4 ${value}`, (state) =>
      this.#mayAnswer(state, givesUp === 1, status, value),
    );
    if (status === H_BUSY) {
      box.slept = bell;
      return false;
    }
    // Who reaps its server may have been stopped, and rings when it goes on.
    const isReaping = this.#rig.inCall.includes(OWNER);
    const isToBeRung =
      givesUp === 0 && !isReaping && box.states.every(({ request }) => request !== undefined);
    if (isToBeRung && box.slept === bell)
      throw new Error(`thread ${slot} is answered ${status} in its sleep, and its bell is not rung`);
    box.states = [IDLE];
    box.slept = undefined;
    return false;
  }

  #mayAnswer(state: State, givesUp: boolean, status: number, value: number): boolean {
    const { request, isTaken, answer } = state;
    if (answer !== undefined)
      return status === answer.status && (status === H_LONG_BUSY_10_MSEC || value === answer.value);
    // Who was asked last by a mailbox that is idle may be gone, too.
    if (request === undefined) return status === H_NOT_FOUND || status === H_CLOSED;
    if (this.#isGone(request.server)) return status === H_CLOSED;
    if (!givesUp) return status === H_BUSY;
    return status === (isTaken === true ? H_PARTIAL : H_NOT_FOUND);
  }

  // ---------------------------------------------------------------- who serves

  #take(slot: number, party: Party): boolean {
    const status = this.#call(slot, "takeRequest()", () => this.#rig.core(slot).takeRequest());
    const isForIt = (state: State): boolean => isPosted(state) && state.request?.server === party.name;
    if (status !== H_SUCCESS) {
      for (const asker of this.#slots()) {
        if (asker === slot) continue;
        for (const [index, box] of this.#party(asker).boxes.entries()) {
          const { states } = box;
          if (status === undefined)
            box.states = states.flatMap((each) =>
              isForIt(each) ? [each, { ...each, isTaken: true }] : each,
            );
          else
            this.#expect(
              box,
              `thread ${slot} overlooks request ${index} of ${asker}`,
              (each) => !isForIt(each),
            );
        }
      }
      return status === undefined;
    }
    const copy = this.#rig.threadAt(slot) + THREAD_TAKEN;
    const ticket = this.#rig.word(copy + MAIL_SERVER);
    const asker = Math.floor(ticket / MAILS);
    const request: Request = {
      server: party.name,
      lpid: this.#rig.word(copy + MAIL_LPID),
      address: this.#rig.floats[(copy + MAIL_ADDRESS) / 8] as number,
      what: this.#rig.word(copy + MAIL_WHAT),
      value: this.#rig.word(copy + MAIL_VALUE),
    };
    const box = this.#party(asker).boxes[ticket % MAILS] as Box;
    const told = JSON.stringify(request);
    this.#expect(
      box,
      `thread ${slot} takes ${told} of thread ${asker}`,
      (state) => isPosted(state) && JSON.stringify(state.request) === told,
    );
    box.states = [{ request, isTaken: true }];
    party.taken = [...party.taken, { ticket, state: this.#rig.word(copy + MAIL_STATE), request }];
    return false;
  }

  #answer(slot: number, party: Party, taken: Taken): boolean {
    const { ticket, state } = taken;
    const asker = Math.floor(ticket / MAILS);
    const answer: Answer = { status: this.#draw.pick(STATUSES) as number, value: this.#draw.word() };
    const bell = this.#bell(asker);
    const status = this.#call(slot, `answerRequest(${ticket}, ${JSON.stringify(answer)})`, () =>
      this.#rig.core(slot).answerRequest(ticket, state, answer.status, answer.value),
    );
    party.taken = party.taken.filter((each) => each !== taken);
    const box = this.#party(asker).boxes[ticket % MAILS] as Box;
    const isStill = (each: State): boolean => isTakenStill(each, taken);
    if (status === undefined) {
      box.states = box.states.flatMap((each) => (isStill(each) ? [each, { ...each, answer }] : each));
      // One that lives on has answered, and not rung: who waits for it looks when its time is over.
      box.slept = undefined;
      return true;
    }
    const what = `thread ${slot} answers request ${ticket % MAILS} of ${asker}: ${status}`;
    if (status !== H_SUCCESS) {
      this.#expect(box, what, (each) => !isStill(each));
      return false;
    }
    this.#expect(box, what, isStill);
    box.states = box.states.map((each) => ({ ...each, answer }));
    if (this.#bell(asker) === bell) throw new Error(`thread ${asker} is answered, and its bell is not rung`);
    return false;
  }
}
