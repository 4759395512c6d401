/** What an actor of the chaos writes into pages that it has lent, to see that it is refused. */
import { expect, test } from "vitest";
import { type Lendable, Lender } from "../src/chaos/lender.js";
import { Mail } from "../src/chaos/mail.js";
import { differenceOf, faultOf, makeSheet, readSheet, writeSheet } from "../src/chaos/sheets.js";
import type { Partition } from "../src/index.js";
import { openDesk } from "./support/chaos-desk.js";
import { auditedAfterEach, openRow, PAGE } from "./support/world.js";

auditedAfterEach();

const NONCE = 77;
const SHEET = makeSheet(NONCE, PAGE);

class Killed extends Error {}

/** The partition dies when one of its next writes has been done. */
function dieAfter(partition: Partition, way: "write" | "fill" | "store32"): void {
  const done = partition[way].bind(partition) as (...args: unknown[]) => void;
  Object.assign(partition, {
    [way]: (...args: unknown[]) => {
      done(...args);
      throw new Killed();
    },
  });
}

/** A sheet of the first partition's, lent to the second. */
function lend() {
  const { table, row } = openRow(3);
  const [server, middle, last] = row as [Partition, Partition, Partition];
  writeSheet(server, 0, SHEET);
  const cookie = server.grant({ to: middle, address: 0, length: PAGE, mode: "lend" });
  return { table, server, middle, last, cookie, mapping: middle.accept(cookie) };
}

/** What it lends on, and the actor that does. */
function lendOn(middle: Partition, address: number, seed: number) {
  const lender = new Lender(openDesk(middle, seed));
  const found: (Uint32Array | undefined)[] = [];
  const what: Lendable = {
    ...{ address, words: SHEET.slice(), isBorrowed: true, isZero: false },
    back: (words) => void found.push(words),
  };
  const [adapter] = middle.adapters.filter(({ partner }) => partner.name === "p2");
  if (adapter === undefined) throw new Error("the last of the row is no partner");
  const lent = lender.lend(what, new Mail(middle, adapter));
  if (lent === undefined) throw new Error("the lend was refused");
  return { lender, lent, found };
}

/** Answers whether it died. */
function stepUntilOver(lender: Lender, found: readonly unknown[]): boolean {
  for (let steps = 0; steps < 100 && found.length === 0; steps++) {
    try {
      lender.step();
    } catch (error) {
      if (error instanceof Killed) return true;
      throw error;
    }
  }
  return false;
}

test.each(["write", "fill", "store32"] as const)(
  "who lends on and dies right after a %s leaves its lender a sheet",
  (way) => {
    let deaths = 0;
    for (let seed = 1; seed <= 80; seed++) {
      const { table, server, middle, last, mapping } = lend();
      const { lender, lent, found } = lendOn(middle, mapping.address, seed);
      last.accept(lent.cookie).return();
      dieAfter(middle, way);
      if (!stepUntilOver(lender, found)) continue;
      deaths++;
      table.fail(middle);
      expect(faultOf(readSheet(server, 0, PAGE), NONCE)).toBeUndefined();
    }
    expect(deaths).toBeGreaterThan(2);
  },
);

test("who lends on and lives leaves its lender what it was lent", () => {
  for (let seed = 1; seed <= 80; seed++) {
    const { server, middle, last, cookie, mapping } = lend();
    const { lender, lent, found } = lendOn(middle, mapping.address, seed);
    last.accept(lent.cookie).return();
    expect(stepUntilOver(lender, found)).toBe(false);
    expect(found.map((words) => words && differenceOf(words, SHEET))).toEqual([undefined]);
    mapping.return();
    server.rescind(cookie);
    expect(differenceOf(readSheet(server, 0, PAGE), SHEET)).toBeUndefined();
  }
});

test("a write into what is lent on that should have been refused shows to who borrows it", () => {
  let writes = 0;
  for (let seed = 1; seed <= 80; seed++) {
    const { middle, last, mapping } = lend();
    const { lender, lent, found } = lendOn(middle, mapping.address, seed);
    const borrowed = last.accept(lent.cookie);
    // As if the table did not look: what the lender writes arrives, and then it is refused.
    const store = middle.store32.bind(middle);
    middle.store32 = (address, word) => {
      last.store32(borrowed.address + address - mapping.address, word);
      writes++;
      store(address, word);
    };
    const before = writes;
    for (let steps = 0; steps < 20 && writes === before; steps++) lender.step();
    if (writes === before) continue;
    expect(differenceOf(readSheet(last, borrowed.address, PAGE), SHEET)).toMatch(/^word 1 is /);
    expect(found).toEqual([]);
  }
  expect(writes).toBeGreaterThan(20);
});
