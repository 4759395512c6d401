/**
 * The other side of the clients: the server, which owns every page and grants it on demand, and the relay, through which
 * some of the common pages go.
 *
 * The relay accepts a page when the first client needs it, grants it on to each that does, and gives it back after the
 * last. It may hold a quarter of what a client may; for one more the server takes the relay's least recently faulted page
 * back by force, whatever the clients have below it.
 *
 * Each page begins with two words: a stamp, which the server writes before it grants the page for the first time, and a
 * count, to which everyone who is given the right to write adds one. Everyone who is given the page reads both.
 */
import { HcallError } from "../errors.js";
import type { Hcalls } from "../hcall.js";
import type { Partition } from "../index.js";
import {
  H_PARTIAL,
  H_SUCCESS,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  PAGE_BYTES,
  RESCIND_FORCED,
  TYPE_MEMORY,
} from "../layout.js";
import type { Client } from "./client.js";
import type { Ledger } from "./ledger.js";
import { LruList } from "./lru.js";
import type { SharingPlan } from "./plan.js";

const COUNT_OFFSET = 4;
/** One client's use of a page is its own: only the relay grants on. */
const CLIENT_FLAGS = TYPE_MEMORY | INHIBIT_REGRANT;

/** A call that cannot fail here, whatever the trace. @throws HcallError if it does. */
export function expectSuccess(hcall: string, status: number): void {
  if (status !== H_SUCCESS) throw new HcallError(hcall, status);
}

export class Pager {
  readonly #h: Hcalls;
  readonly #ledger: Ledger;
  readonly #server: Partition;
  readonly #relay: Partition;
  readonly #clients: readonly Client[];
  readonly #firstCommon: number;
  /** Of each page of the server: what it should begin with. A stamp of 0 means that it was never granted. */
  readonly #stamps: Uint32Array;
  readonly #counts: Uint32Array;
  /** Of each common page: the relay's mapping, and how many clients have it from there. */
  readonly #relayOrder: LruList;
  readonly #relayLimit: number;
  readonly #relayCookies: Float64Array;
  readonly #relayAddresses: Float64Array;
  readonly #relayUsers: Uint32Array;
  #relayUnit = 0;
  #isOpen = false;

  constructor(
    hcalls: Hcalls,
    ledger: Ledger,
    plan: SharingPlan,
    partitions: {
      readonly server: Partition;
      readonly relay: Partition;
      readonly clients: readonly Client[];
    },
    resident: number | undefined,
  ) {
    this.#h = hcalls;
    this.#ledger = ledger;
    this.#server = partitions.server;
    this.#relay = partitions.relay;
    this.#clients = partitions.clients;
    this.#firstCommon = plan.serverPages - plan.commonPages;
    this.#stamps = new Uint32Array(plan.serverPages);
    this.#counts = new Uint32Array(plan.serverPages);
    this.#relayOrder = new LruList(plan.commonPages);
    this.#relayLimit = resident === undefined ? plan.commonPages : Math.max(1, Math.floor(resident / 4));
    this.#relayCookies = new Float64Array(plan.commonPages);
    this.#relayAddresses = new Float64Array(plan.commonPages);
    this.#relayUsers = new Uint32Array(plan.commonPages);
  }

  /** Whether the server runs and is connected: faults are served only then. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Pages that the relay has mapped. */
  get relayed(): number {
    return this.#relayOrder.size;
  }

  /** The server runs, anew or again: by these adapters, with memory that is zero. */
  open(relayUnit: number): void {
    this.#relayUnit = relayUnit;
    this.#stamps.fill(0);
    this.#counts.fill(0);
    this.#isOpen = true;
  }

  /** The server has failed: what it granted will be lost, and no fault is served. */
  close(): void {
    this.#isOpen = false;
  }

  /** The grants of the failed server are gone: the relay returns its mappings at once, the clients as they find out. */
  lose(): void {
    for (const client of this.#clients) this.#ledger.lost += client.loseAll();
    for (const common of this.#relayOrder) {
      this.#ledger.lost++;
      this.#returnRescinded(common);
    }
    this.#relayUsers.fill(0);
  }

  /** Grants the client a page as the plan says, and lets it accept. */
  give(client: Client, page: number): void {
    const common = client.commonOf(page);
    const isWritable = !client.isReadOnly(page);
    const home = common < 0 ? client.privateOf(page) : this.#firstCommon + common;
    const flags = isWritable ? CLIENT_FLAGS : CLIENT_FLAGS | INHIBIT_WRITE;
    const { lpid } = client.partition;
    this.#stamp(home);
    if (common >= 0 && client.isRelayed(page)) {
      this.#holdInRelay(common, home);
      const address = this.#relayAddresses[common] as number;
      const status = this.#h.grantLogical(this.#relay.lpid, flags, 0, address, PAGE_BYTES, client.relayUnit);
      expectSuccess("H_GRANT_LOGICAL", status);
      this.#relayUsers[common] = (this.#relayUsers[common] as number) + 1;
      this.#ledger.regrants++;
    } else {
      const { lpid: server } = this.#server;
      const status = this.#h.grantLogical(server, flags, 0, home * PAGE_BYTES, PAGE_BYTES, client.serverUnit);
      expectSuccess("H_GRANT_LOGICAL", status);
      this.#ledger.directGrants++;
    }
    const cookie = this.#h.r4;
    expectSuccess("H_ACCEPT_LOGICAL", this.#h.acceptLogical(lpid, cookie));
    const address = this.#h.r4;
    this.#ledger.countAccept();
    this.#check(client.partition, address, home, isWritable);
    client.map(page, cookie, address, this.#server.translate(home * PAGE_BYTES));
  }

  /** The client has returned a mapping that stood: whoever granted it rescinds it. */
  take(client: Client, page: number, cookie: number): void {
    const common = client.commonOf(page);
    const isRelayed = common >= 0 && client.isRelayed(page);
    const grantor = isRelayed ? this.#relay : this.#server;
    expectSuccess("H_RESCIND_LOGICAL", this.#h.rescindLogical(grantor.lpid, 0, cookie));
    this.#ledger.rescinds++;
    if (!isRelayed) return;
    const users = (this.#relayUsers[common] as number) - 1;
    this.#relayUsers[common] = users;
    if (users > 0) return;
    const held = this.#relayCookies[common] as number;
    expectSuccess("H_RETURN_LOGICAL", this.#h.returnLogical(this.#relay.lpid, held));
    this.#ledger.returns++;
    expectSuccess("H_RESCIND_LOGICAL", this.#h.rescindLogical(this.#server.lpid, 0, held));
    this.#ledger.rescinds++;
    this.#relayOrder.remove(common);
  }

  /** Copies a common page to the client's private one, before that is granted for the first time. */
  copy(client: Client, page: number): void {
    const from = this.#firstCommon + client.commonOf(page);
    const to = client.privateOf(page);
    this.#stamp(to);
    this.#server.copy(from * PAGE_BYTES, this.#server, to * PAGE_BYTES, PAGE_BYTES);
    this.#expectWord(this.#server, to * PAGE_BYTES, this.#stamps[from] as number, "the copy's stamp");
    this.#counts[to] = this.#counts[from] as number;
    this.#server.store32(to * PAGE_BYTES, this.#stamps[to] as number);
    this.#ledger.copies++;
  }

  /** The owner looks at each page that was ever granted: it must hold what it and its clients wrote. */
  checkPages(): void {
    for (let home = 0; home < this.#stamps.length; home++) {
      if (this.#stamps[home] !== 0) this.#check(this.#server, home * PAGE_BYTES, home, false);
    }
  }

  /** Writes the stamp of a page that is granted for the first time. It must be zero until then (TR5, FA4). */
  #stamp(home: number): void {
    if (this.#stamps[home] !== 0) return;
    const address = home * PAGE_BYTES;
    this.#expectWord(this.#server, address, 0, "a page never used");
    this.#expectWord(this.#server, address + COUNT_OFFSET, 0, "a page never used");
    const stamp = (Math.imul(home + 1, 0x9e3779b1) ^ this.#server.incarnation) >>> 0 || 1;
    this.#stamps[home] = stamp;
    this.#server.store32(address, stamp);
  }

  /** Reads both words of a page through a mapping of it, and adds to the count if that is allowed. */
  #check(reader: Partition, address: number, home: number, isWritable: boolean): void {
    const count = this.#counts[home] as number;
    this.#expectWord(reader, address, this.#stamps[home] as number, "the stamp");
    this.#expectWord(reader, address + COUNT_OFFSET, count, "the count of writers");
    if (!isWritable) return;
    reader.add32(address + COUNT_OFFSET, 1);
    this.#counts[home] = count + 1;
  }

  #expectWord(reader: Partition, address: number, expected: number, what: string): void {
    const word = reader.load32(address);
    if (word !== expected)
      this.#ledger.noteFault(`"${reader.name}" reads ${word} at ${address}, ${what} is ${expected}`);
  }

  #holdInRelay(common: number, home: number): void {
    if (this.#relayOrder.has(common)) {
      this.#relayOrder.touch(common);
      return;
    }
    if (this.#relayOrder.size === this.#relayLimit) this.#takeFromRelay(this.#relayOrder.oldest);
    const { lpid } = this.#relay;
    const address = home * PAGE_BYTES;
    const status = this.#h.grantLogical(
      this.#server.lpid,
      TYPE_MEMORY,
      0,
      address,
      PAGE_BYTES,
      this.#relayUnit,
    );
    expectSuccess("H_GRANT_LOGICAL", status);
    const cookie = this.#h.r4;
    this.#ledger.relayGrants++;
    expectSuccess("H_ACCEPT_LOGICAL", this.#h.acceptLogical(lpid, cookie));
    this.#relayCookies[common] = cookie;
    this.#relayAddresses[common] = this.#h.r4;
    this.#ledger.countAccept();
    this.#relayOrder.touch(common);
  }

  /** The server takes a page back from the relay and from all that have it from there. */
  #takeFromRelay(common: number): void {
    const cookie = this.#relayCookies[common] as number;
    let status: number;
    do status = this.#h.rescindLogical(this.#server.lpid, RESCIND_FORCED, cookie);
    while (status === H_PARTIAL);
    expectSuccess("H_RESCIND_LOGICAL", status);
    this.#ledger.forcedRescinds++;
    this.#ledger.tornDown++;
    for (const client of this.#clients) if (client.loseCommon(common)) this.#ledger.tornDown++;
    this.#relayUsers[common] = 0;
    this.#returnRescinded(common);
  }

  #returnRescinded(common: number): void {
    const cookie = this.#relayCookies[common] as number;
    expectSuccess("H_RETURN_LOGICAL", this.#h.returnLogical(this.#relay.lpid, cookie));
    this.#ledger.rescindedReturns++;
    this.#relayOrder.remove(common);
  }
}
