/**
 * Interrupt sources and doorbells: raised and rung, masked, armed and ended, granted, returned and taken back. What an actor has
 * raised it must hear; what is masked, in service, returned or rescinded it must not hear, nor what comes from somebody without the right.
 *
 * Between two rounds of the thread's loop no event is on its way from the table: so there is one operation a round, at its start, and
 * what is heard is checked exactly.
 */
import type { PartitionEvent } from "../events.js";
import type { Cookie, Mapping } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Dealings, Desk, Granted } from "./desk.js";
import { PORTS, SOURCES } from "./equipment.js";
import { DOORBELL, type Mail, type Offer, SOURCE } from "./mail.js";
import { Ringers } from "./ringers.js";

type Kind = "interrupt" | "ipi";

/** A source that it hears, or a port that it rings. */
interface Line {
  readonly kind: Kind;
  readonly number: number;
  /** Undefined of its own. */
  readonly mapping: Mapping | undefined;
  /** Who may raise it; undefined of somebody else's. */
  readonly ringers: Ringers | undefined;
  /** Whose it is; the incarnation from which it was accepted. */
  readonly owner: Partition;
  readonly incarnation: number;
  isArmed: boolean;
  isMasked: boolean;
  /** Whether an event of it was taken while it was armed, and has not been ended. */
  isTaken: boolean;
  /** Whether it was raised while that could not be told. */
  isPending: boolean;
  /** Since when an event of it must come. */
  due: number | undefined;
  isLost: boolean;
}

interface GrantedLine extends Granted {
  readonly line: Line;
  readonly lpid: number;
}

const HELD_MOST = 6;
const GRANTED_MOST = 8;
/** Most events come sooner than this. */
const LATE_MS = 20;
/** An event that takes longer than this is lost. */
const HEAR_MS = 10_000;

export class Lines implements Dealings {
  readonly offers: readonly number[] = [SOURCE, DOORBELL];
  readonly #desk: Desk;
  readonly #partition: Partition;
  /** Its own first. */
  readonly #lines: Line[] = [];
  readonly #granted: GrantedLine[] = [];
  #round = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#partition = desk.partition;
    for (let number = 0; number < SOURCES; number++) this.#own("interrupt", number);
    for (let number = 0; number < PORTS; number++) this.#own("ipi", number);
  }

  #own(kind: Kind, number: number): void {
    const { incarnation } = this.#partition;
    this.#add(kind, number, undefined, this.#partition, incarnation, new Ringers());
  }

  #add(
    kind: Kind,
    number: number,
    mapping: Mapping | undefined,
    owner: Partition,
    incarnation: number,
    ringers: Ringers | undefined,
  ): void {
    const is = { isArmed: false, isMasked: false, isTaken: false, isPending: false, isLost: false };
    this.#lines.push({ kind, number, mapping, owner, incarnation, ringers, due: undefined, ...is });
  }

  /** At the start of a round. @returns milliseconds for which an event has been due. */
  tend(now: number): number {
    this.#round++;
    this.step();
    return this.#dueAt(now);
  }

  step(): void {
    const { random } = this.#desk;
    const late = performance.now() - LATE_MS;
    const lost = this.#lines.find(({ isLost }) => isLost);
    const line = random.pick(this.#lines);
    const choice = random.below(16);
    if (lost !== undefined && random.once(2)) this.#useLost(lost);
    // What is late is left alone until it has come.
    else if (line === undefined || line.isLost || (line.due ?? late) < late) return;
    else if (choice < 4) this.#grant();
    else if (choice < 8 && line.kind === "ipi") this.#ring(line);
    else if (choice < 8) this.#raise(line);
    else if (choice < 9) this.#takeBack();
    else if (choice < 10) this.#return(line);
    else if (line.kind === "interrupt") this.#turn(line);
  }

  // -------------------------------------------------------------- what is heard

  hear({ type, address = 0, partner }: PartitionEvent): void {
    if (type !== "interrupt" && type !== "doorbell") return;
    const kind = type === "interrupt" ? "interrupt" : "ipi";
    const line = this.#lines.find((one) => one.kind === kind && one.number === address);
    // What an injury has interrupted may have been on its way.
    if (this.#desk.isInjured) return;
    const why = line === undefined ? "which it does not have" : this.#whyNot(line, partner);
    if (why !== undefined) this.#desk.accuse(`${type} ${address} from partition ${partner}, ${why}`);
    if (line === undefined) return;
    line.due = undefined;
    line.isTaken = line.isArmed;
  }

  /** Why an event of a line cannot be, undefined if it can. */
  #whyNot(line: Line, partner: number): string | undefined {
    if (line.isLost) return "which was rescinded";
    if (line.isMasked) return "which is masked";
    if (line.isTaken) return "which is in service";
    if (line.kind === "ipi" && line.mapping !== undefined) return "whose doorbell is somebody else's";
    const isRight = partner === this.#partition.lpid || (line.ringers?.hear(partner, this.#round) ?? true);
    return isRight ? undefined : "which has no right to it";
  }

  #dueAt(now: number): number {
    let most = 0;
    for (const line of this.#lines) {
      if (line.due === undefined || this.#desk.isInjured) continue;
      most = Math.max(most, now - line.due);
      if (now - line.due <= HEAR_MS) continue;
      // That it was rescinded may have been told where no event had room.
      if (this.#try("line", line, () => this.#partition.translate(line.number, { type: line.kind })))
        this.#desk.accuse(`${line.kind} ${line.number} was raised ${HEAR_MS} ms ago, and not heard`);
    }
    return most;
  }

  /** Calls what can be refused only because the line was rescinded; then it is lost. Answers whether it was done. */
  #try(operation: "raise" | "ring" | "line", line: Line, call: () => void): boolean {
    const refusals = line.mapping === undefined ? [] : ["H_RESCINDED"];
    const isDone = this.#desk.try(operation, refusals, call);
    if (!isDone) this.#lose(line);
    return isDone;
  }

  lose(cookie: Cookie): void {
    const line = this.#lines.find(({ mapping }) => mapping?.cookie === cookie);
    if (line !== undefined) this.#lose(line);
  }

  #lose(line: Line): void {
    line.isLost = true;
    line.due = undefined;
  }

  // -------------------------------------------------------------- raising and masking

  #raise(line: Line): void {
    const refusals = ["H_PARTIAL", ...(line.mapping === undefined ? [] : ["H_RESCINDED"])];
    const why = this.#desk.attempt("raise", refusals, () => this.#partition.raise(line.number));
    if (why === "H_RESCINDED") this.#lose(line);
    if (why !== undefined) return;
    line.isPending = true;
    this.#tell(line);
  }

  #ring(line: Line): void {
    const { number, mapping, owner, incarnation } = line;
    const refusals = mapping === undefined ? [] : ["H_RESCINDED", "H_CLOSED"];
    const why = this.#desk.attempt("ring", refusals, () => this.#partition.ring(number));
    if (why === "H_RESCINDED") this.#lose(line);
    if (why === "H_CLOSED" && owner.state === "running" && owner.incarnation === incarnation)
      this.#desk.accuse(`the doorbell of "${owner.name}", which runs, does not answer`);
    // That it rings elsewhere is told there.
    if (why === undefined && mapping === undefined) line.due ??= performance.now();
  }

  /** What was raised is due, if it can be told. */
  #tell(line: Line): void {
    if (!line.isPending || line.isMasked || line.isTaken) return;
    line.isPending = false;
    line.due ??= performance.now();
  }

  /** Masks or unmasks, arms or disarms, or ends a source. */
  #turn(line: Line): void {
    const { interrupts } = this.#partition;
    const { number } = line;
    if (line.isTaken && this.#desk.random.once(2)) {
      if (!this.#try("line", line, () => interrupts.end(number))) return;
      line.isTaken = false;
    } else if (this.#desk.random.once(2)) {
      if (
        !this.#try("line", line, () => (line.isMasked ? interrupts.unmask(number) : interrupts.mask(number)))
      )
        return;
      line.isMasked = !line.isMasked;
      if (line.isMasked && line.due !== undefined) line.isPending = true;
      if (line.isMasked) line.due = undefined;
    } else {
      if (!this.#try("line", line, () => (line.isArmed ? interrupts.disarm(number) : interrupts.arm(number))))
        return;
      line.isArmed = !line.isArmed;
      line.isTaken = false;
    }
    this.#tell(line);
  }

  // -------------------------------------------------------------- grants

  #grant(): void {
    const mail = this.#desk.mail();
    const line = this.#desk.random.pick(this.#lines.filter(({ mapping }) => mapping === undefined));
    if (mail === undefined || line === undefined || this.#granted.length >= GRANTED_MOST) return;
    const { kind: type, number: address } = line;
    const cookie = this.#desk.grant("grant", mail, { type, address, length: 1, regrant: false });
    if (cookie === undefined) return;
    const { lpid } = mail.adapter.partner;
    line.ringers?.begin(lpid);
    this.#granted.push({ cookie, line, lpid, isForced: false });
    this.#desk.announce(mail, type === "ipi" ? DOORBELL : SOURCE, cookie);
  }

  #takeBack(): void {
    const granted = this.#desk.random.pick(this.#granted);
    if (granted === undefined || granted.isForced) return;
    this.#desk.takeBack(granted, () => {
      this.#granted.splice(this.#granted.indexOf(granted), 1);
      granted.line.ringers?.end(granted.lpid, this.#round);
    });
  }

  receive({ kind, cookie }: Offer, { adapter: { partner } }: Mail): void {
    if (this.#lines.length >= SOURCES + PORTS + HELD_MOST) return;
    this.#accept(kind === SOURCE ? "interrupt" : "ipi", cookie, partner);
  }

  #accept(kind: Kind, cookie: Cookie, owner: Partition): void {
    // Before the accept: of who has failed since nothing is accepted.
    const { incarnation } = owner;
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    if (mapping.type !== kind || mapping.length !== 1)
      this.#desk.accuse(`a source of "${owner.name}" is ${mapping.length} of ${mapping.type}`);
    this.#add(kind, mapping.address, mapping, owner, incarnation, undefined);
  }

  /** An armed source cannot be returned, unless it was rescinded; then its cookie is dead. What was returned may be accepted again. */
  #return(line: Line): void {
    const { mapping, isArmed, kind, owner } = line;
    if (mapping === undefined) return;
    const refusals = ["H_RESCINDED", ...(isArmed ? ["H_RESOURCE"] : [])];
    const why = this.#desk.attempt("return", refusals, () => mapping.return());
    if (why === "H_RESCINDED") this.#lose(line);
    if (why !== undefined) return;
    this.#lines.splice(this.#lines.indexOf(line), 1);
    if (isArmed || this.#desk.random.once(2)) this.#accept(kind, mapping.cookie, owner);
    if (isArmed && this.#lines.some((other) => other.mapping?.cookie === mapping.cookie))
      this.#desk.accuse(`the armed source ${line.number} of "${owner.name}" was returned`);
  }

  /** A line that was rescinded does nothing any more, and can be returned. */
  #useLost(line: Line): void {
    const { mapping, kind, number } = line;
    const isDone = this.#desk.try(kind === "ipi" ? "ring" : "raise", ["H_RESCINDED"], () => {
      if (kind === "ipi") this.#partition.ring(number);
      else this.#partition.raise(number);
    });
    if (isDone) this.#desk.accuse(`${kind} ${number} was raised after it was rescinded`);
    if (!this.#desk.try("return", ["H_RESCINDED"], () => mapping?.return())) return;
    this.#lines.splice(this.#lines.indexOf(line), 1);
  }
}
