/** The partition of the owner's own thread: it waits for everybody, so that it knows whether waits end as they must. */
import type { VirtualAdapter } from "../adapter.js";
import { HcallError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Partition } from "../partition.js";
import type { ResourceTable } from "../resource-table.js";
import { Mail } from "./mail.js";
import { Notices } from "./notices.js";
import { Violation } from "./records.js";

export class Home {
  readonly partition: Partition;
  readonly notices: Notices = new Notices();
  readonly #mails: Map<number, Mail> = new Map();
  readonly #fail: (error: unknown) => void;
  #hasEnded = false;

  /** @param fail is told of the first violation. */
  constructor(table: ResourceTable, memory: number, fail: (error: unknown) => void) {
    this.partition = table.createPartition({ name: "home", memory });
    this.#fail = fail;
    // The page at 0 is where the workers copy to.
    this.partition.allocate(PAGE_BYTES);
    this.#listen().catch(fail);
  }

  async #listen(): Promise<void> {
    for await (const event of this.partition.events()) this.notices.take(event);
    this.#hasEnded = true;
  }

  /** Waits for messages of a new incarnation. Offers are not accepted, so that their grants stand untouched. */
  welcome(adapter: VirtualAdapter): void {
    const mail = new Mail(this.partition, adapter);
    this.#mails.set(adapter.unitAddress, mail);
    mail
      .listen(
        () => {},
        () => true,
      )
      .catch(this.#fail);
  }

  /** Sends what it owes, and looks whether every wait ends. @param isOpen whether an adapter still stands. */
  tend(isOpen: (adapter: VirtualAdapter) => boolean): void {
    const now = performance.now();
    for (const [unit, mail] of this.#mails) {
      const isThere = isOpen(mail.adapter);
      mail.check(isThere, now);
      if (mail.isOver) this.#mails.delete(unit);
      else if (isThere) this.#answer(mail);
    }
  }

  #answer(mail: Mail): void {
    try {
      mail.answer();
    } catch (error) {
      const refusals = ["H_CLOSED", "H_DROPPED", "H_PARAMETER", "H_LongBusyOrder10msec"];
      if (!(error instanceof HcallError) || !refusals.includes(error.code)) throw error;
    }
  }

  /** Waits that have not ended. */
  get waits(): number {
    const open = [...this.#mails.values()].filter(({ hasEnded }) => !hasEnded);
    return open.length + (this.#hasEnded ? 0 : 1);
  }

  /** @throws Violation unless a partition's failures and recoveries were told exactly so often. */
  checkNotices(lpid: number, deaths: number): void {
    // The ring has room for more than can die before this thread looks.
    if (!this.notices.isComplete) throw new Violation("notices were lost that the owner's thread waited for");
    const failures = this.notices.failures(lpid);
    const recoveries = this.notices.recoveries(lpid);
    if (failures === deaths && recoveries === deaths) return;
    throw new Violation(
      `partition ${lpid} died ${deaths} times: ${failures} notices, ${recoveries} recoveries told`,
    );
  }
}
