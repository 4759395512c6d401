/** Bugs to seed in the core: each must be caught by the scenario that it names. */
import type { Mutation } from "./schedule-build.js";

export interface SeededBug extends Mutation {
  readonly bug: string;
  readonly scenario: string;
  /** What the failure must say, so that it is not caught for another reason. */
  readonly says: RegExp;
}

export const BUGS: readonly SeededBug[] = [
  {
    bug: "a merged page can be used before the merge has happened (FA5)",
    scenario: "merge of two pages, whose thread dies / read of one, then a write to the other",
    says: /stray/,
    file: "assembly/merge.ts",
    from: "setNewEntry(at, page, sharedEntry(at, page, frame));",
    to: "setOwnEntry(at, page, sharedEntry(at, page, frame));",
  },
  {
    bug: "a copied page can be used before the copy has happened (FA5)",
    scenario: "write to a page that is copied / the same by another thread, and one dies",
    says: /no order|stray/,
    file: "assembly/page.ts",
    from: "setOwnEntry(at, page, isAlone() ? bits : bits | ENTRY_RESCINDED);",
    to: "setOwnEntry(at, page, bits);",
  },
  {
    bug: "an accept of a donation that is undone leaves uses that no rescind waits for (OM4)",
    scenario: "use / accept of a donation whose thread dies, and rescind",
    says: /stray/,
    file: "assembly/job.ts",
    from: "if (stateOf(structureAt(slot)) == STRUCTURE_OWNED) endDonated(lender, lent, count);\n      else settlePages(slot, lpid, SPACE_MEMORY, page, count);",
    to: "if (stateOf(structureAt(slot)) == STRUCTURE_OWNED) endDonated(lender, lent, count);\n      else freePages(spaceAt(partitionAt(lpid), SPACE_MEMORY), page, count);",
  },
  {
    bug: "the locks are given back before the commit (G1, FA5)",
    scenario: "accept / rescind",
    says: /race|no order/,
    file: "assembly/lock.ts",
    from: "export function release(): void {\n  settle();",
    to: `export function release(): void {
      if (BUG) {
        giveLocks(THREAD, 1);
        settle();
        return;
      }
      settle();`,
  },
  {
    bug: "a lock is tested, then set",
    scenario: "kernel: one lock, two threads",
    says: /race|no order/,
    file: "assembly/lock.ts",
    from: "return atomic.cmpxchg<u32>(lock, 0, name) == 0 || takeSlowly(lock, name);",
    to: `if (atomic.load<u32>(lock) != 0) return takeSlowly(lock, name);
      atomic.store<u32>(lock, name);
      return true;`,
  },
  {
    bug: "who has waited takes the lock without the duty to wake the others",
    scenario: "kernel: one lock, three threads",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "const mine = attempt == 0 ? name : name | LOCK_WAITERS;",
    to: "const mine = attempt == 0 || BUG ? name : name | LOCK_WAITERS;",
  },
  {
    bug: "a lock is looked at for waiters, then freed",
    scenario: "kernel: one lock, two threads",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "if ((atomic.xchg<u32>(lock, 0) & LOCK_WAITERS) != 0) atomic.notify(lock, 1);",
    to: `const word = atomic.load<u32>(lock);
      atomic.store<u32>(lock, 0);
      if ((word & LOCK_WAITERS) != 0) atomic.notify(lock, 1);`,
  },
  {
    bug: "a call between two partitions takes one lock",
    scenario: "accept / accept of two grants to one client",
    says: /race|no order/,
    file: "assembly/lock.ts",
    from: "if (high != 0 && !takeLock(partitionAt(high) + PARTITION_LOCK, name)) {",
    to: "if (high != 0 && !BUG && !takeLock(partitionAt(high) + PARTITION_LOCK, name)) {",
  },
  {
    bug: "the dead thread's locks are free before its call is undone (FA5)",
    scenario: "accept / rescind",
    says: /race|audit|no order/,
    file: "assembly/lock.ts",
    from: "  undo(dead);\n",
    to: "  if (BUG) giveLocks(dead, -1);\n  undo(dead);\n",
  },
  {
    bug: "a table is changed before the note of it is there (FA5)",
    scenario: "grant / rescind",
    says: /audit/,
    file: "assembly/slot.ts",
    from: "Notes.end(first4, 12);",
    to: "store<u32>(link, next);\n    Notes.end(first4, 12);",
  },
  {
    bug: "the reaper forgets the use of the dead (G6)",
    scenario: "read / forced rescind",
    says: /waits for ever/,
    file: "assembly/lock.ts",
    from: "endUseOf(dead);",
    to: "",
  },
  {
    bug: "the reaper wakes nobody for the dead (CQ7)",
    scenario: "wait for an event / return",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "wakeLeft(dead);",
    to: "",
  },
  {
    bug: "sleepers are woken before there is a signal (CQ7)",
    scenario: "wait for an event / return",
    says: /lost wake-up/,
    file: "assembly/partition.ts",
    from: `  atomic.add<u32>(partition + PARTITION_SIGNAL, 1);
  if (atomic.xchg<u32>(partition + PARTITION_WAITING, 0) != 0) wakeLater(partition);`,
    to: `if (atomic.xchg<u32>(partition + PARTITION_WAITING, 0) != 0) wakeLater(partition);
      atomic.add<u32>(partition + PARTITION_SIGNAL, 1);`,
  },
  {
    bug: "a revocation does not wait for uses (G6, RS5)",
    scenario: "read / forced rescind",
    says: /stray/,
    file: "assembly/revoke.ts",
    from: "if (spaceOf(structure) != SPACE_MMIO) user = olderUse(epoch);",
    to: "if (spaceOf(structure) != SPACE_MMIO && !BUG) user = olderUse(epoch);",
  },
  {
    bug: "there is one epoch only (G6)",
    scenario: "read / forced rescind of what is granted on",
    says: /stray/,
    file: "assembly/revoke.ts",
    from: "setCursor(root, isComplete ? nextEpoch() : cursor);",
    to: "setCursor(root, isComplete ? nextEpoch() - 2 : cursor);",
  },
  {
    bug: "of many that are marked at once access ends before that has happened (FA5)",
    scenario: "two reads / forced rescind above, whose thread dies",
    says: /no order/,
    file: "assembly/run.ts",
    from: "      keep(load<u32>(entry));",
    to: `      Words.note(entry & ~63);
      atomic.store<u32>(entry, rescindedPlain(load<u32>(entry)));`,
  },
  {
    bug: "a leaf is torn down while it is used (G6)",
    scenario: "read / forced rescind",
    says: /stray/,
    file: "assembly/revoke.ts",
    from: "if (anyUse()) return false;",
    to: "anyUse();",
  },
  {
    bug: "a use of a few bytes is not announced (G6)",
    scenario: "read of a few bytes / forced rescind",
    says: /stray/,
    file: "assembly/access.ts",
    from: "  enterUse();\n  const frame = Few.frame(lpid, page, last, rights);",
    to: "  if (!BUG) enterUse();\n  const frame = Few.frame(lpid, page, last, rights);",
  },
  {
    bug: "a few bytes that the core moves are no use (G6)",
    scenario: "read of a few bytes by the core / forced rescind",
    says: /stray/,
    file: "assembly/access.ts",
    from: "  if (isShared) enterUse();",
    to: "  if (isShared && !BUG) enterUse();",
  },
  {
    bug: "a use begins with a plain store",
    scenario: "read / forced rescind",
    says: /a race at thread/,
    file: "assembly/thread.ts",
    from: "atomic.store<u32>(THREAD, atomic.load<u32>(HEADER_EPOCH), THREAD_EPOCH);",
    to: "store<u32>(THREAD, atomic.load<u32>(HEADER_EPOCH), THREAD_EPOCH);",
  },
  {
    bug: "two page table entries are stored plainly",
    scenario: "kernel: a pair of page entries and epoch",
    says: /a race at entry/,
    file: "assembly/entries.ts",
    from: "  atomic.store<u64>(entry, both);",
    to: "store<u64>(entry, both);",
  },
  {
    bug: "a page table entry is stored plainly",
    scenario: "kernel: page entry and epoch",
    says: /a race at entry/,
    file: "assembly/entries.ts",
    from: "  atomic.store<u32>(entry, value);",
    to: "store<u32>(entry, value);",
  },
  {
    bug: "a use looks at the entries before it says that it runs (G6)",
    scenario: "kernel: page entry and epoch",
    says: /stray/,
    file: "assembly/access.ts",
    from: `    enterUse();
    const status = examine(lpid, address, length, need);`,
    to: `    if (!BUG) enterUse();
    const status = examine(lpid, address, length, need);
    if (BUG) enterUse();`,
  },
  {
    bug: "a page is copied while others may write to it (RS6)",
    scenario: "store by a sharer / forced rescind that moves the page",
    says: /race|no order/,
    file: "assembly/move.ts",
    from: "if (isAlone()) return true;",
    to: "if (isAlone() || BUG) return true;",
  },
  {
    bug: "who moves a page holds it, but does not wait for uses that run (RS6)",
    scenario: "store by a sharer / forced rescind that moves the page",
    says: /race|no order/,
    file: "assembly/move.ts",
    from: "const user = awaitUses();",
    to: "const user = BUG ? NONE : awaitUses();",
  },
  {
    bug: "a grant does not look whether its source is being revoked (RS5, GR10)",
    scenario: "grant on / forced rescind in slices",
    says: /the tree grows/,
    file: "assembly/hcall-logical.ts",
    from: "if (isRevoking(source)) return H_RESCINDED; // GR10",
    to: "",
  },
  {
    bug: "the generation of a cookie is not checked (G3)",
    scenario: "accept of a dead cookie / rescind and grant anew",
    says: /a dead cookie/,
    file: "assembly/hcall-logical.ts",
    from: "if (encodeCookie(generationOf(structure), slot) != cookie) return H_PARAMETER; // AC2",
    to: "",
  },
  {
    bug: "the generation of an adapter is not checked (G4)",
    scenario: "death and restart of the client / grant by its old adapter",
    says: /an old adapter has power/,
    file: "assembly/adapter.ts",
    from: "const unit = endWord(end, END_UNIT) ^ address;",
    to: "const unit: u32 = BUG ? 0 : endWord(end, END_UNIT) ^ address;",
  },
  {
    bug: "who lends does not wait for its own uses (OM2)",
    scenario: "lend / use by the lender",
    says: /stray|frame|forbidden|race/,
    file: "assembly/lend.ts",
    from: "if (isAlone()) return true;\n  const user = awaitUses();",
    to: "if (isAlone() || BUG) return true;\n  const user = awaitUses();",
  },
  {
    bug: "pages are merged while others may write to them",
    scenario: "store / merge with an equal page",
    says: /race|no order/,
    file: "assembly/merge.ts",
    from: "const isQuiet = isAlone() || awaitUses() == NONE;",
    to: "const isQuiet = isAlone() || BUG || awaitUses() == NONE;",
  },
  {
    bug: "a page leaves the frame of others while it is read there (G6)",
    scenario: "read of a merged page / write to it, then by who is left there",
    says: /stray/,
    file: "assembly/cow.ts",
    from: "if (isShared && !isAlone() && !leaveQuietly(at, page)) return false;",
    to: "",
  },
  {
    bug: "a normal rescind does not wait for uses from before the return (RS3)",
    scenario: "use / return in another thread, and rescind",
    says: /stray/,
    file: "assembly/hcall-logical.ts",
    from: "if (cursorOf(structure) != 0 && !isUnused(structure)) {",
    to: "if (!BUG && cursorOf(structure) != 0 && !isUnused(structure)) {",
  },
  {
    bug: "a return notes the epoch before its pages are unmapped (RS3)",
    scenario: "use / return in another thread, and rescind",
    says: /stray/,
    file: "assembly/job.ts",
    from: `    if (count == 1) OnePage.unmap(at, page);
    else freePages(at, page, count);
    // Returned`,
    to: `    if (BUG && state == STRUCTURE_GRANTED) setCursor(structure, anyUse() ? nextEpoch() : 0);
    if (count == 1) OnePage.unmap(at, page);
    else freePages(at, page, count);
    if (BUG) return;
    // Returned`,
  },
  {
    bug: "a return does not look whether a use runs (RS3)",
    scenario: "use / return in another thread, and rescind",
    says: /stray/,
    file: "assembly/job.ts",
    from: "const epoch: u32 = space == SPACE_MMIO || anyUse() ? nextEpoch() : 0;",
    to: "const epoch: u32 = space == SPACE_MMIO || (!BUG && anyUse()) ? nextEpoch() : 0;",
  },
  {
    bug: "an accept that is undone is taken for one that nobody has seen (RS3, FA5)",
    scenario: "use / accept whose thread dies, and rescind",
    says: /stray|race at entry/,
    file: "assembly/hcall-logical.ts",
    from: "((count ^ 1) | threadsBesides()) == 0",
    to: "((count ^ 1) | (BUG ? 0 : threadsBesides())) == 0",
  },
  {
    bug: "an epoch is 0 for a moment (G6)",
    scenario: "kernel: page entry and epoch, which wraps",
    says: /stray/,
    file: "assembly/thread.ts",
    from: "return atomic.add<u32>(HEADER_EPOCH, 2) + 2;",
    to: `const epoch = atomic.add<u32>(HEADER_EPOCH, 1) + 1;
      return epoch != 0 ? epoch : atomic.add<u32>(HEADER_EPOCH, 1) + 1;`,
  },
  {
    bug: "private pages are given back while a use of them runs (G6)",
    scenario: "write to a private page / return of it in another thread",
    says: /stray|race|no order/,
    file: "assembly/hcall-logical.ts",
    from: "const user = awaitOlder(cursorOf(structure));",
    to: "const user: u32 = BUG ? NONE : awaitOlder(cursorOf(structure));",
  },
  {
    bug: "a revocation of a window does not wait for accesses to the device (G6)",
    scenario: "device access / forced rescind of the window",
    says: /stray/,
    file: "assembly/revoke.ts",
    from: "else user = olderModel(epoch, windowOf(structure));",
    to: "else if (!BUG) user = olderModel(epoch, windowOf(structure));",
  },
  {
    bug: "the reaper forgets the access to a device that the dead served (G6)",
    scenario: "device access / forced rescind of the window",
    says: /waits for ever|word \d+ of thread 1/,
    file: "assembly/thread.ts",
    from: "atomic.store<u32>(thread, 0, THREAD_MODEL_EPOCH);",
    to: "if (!BUG) atomic.store<u32>(thread, 0, THREAD_MODEL_EPOCH);",
  },
  {
    bug: "a request is looked at, then taken",
    scenario: "request for a device, withdrawn and made again / its service",
    says: /served|lost or invented|another request|no order/,
    file: "assembly/mailbox.ts",
    from: "if (!exchange(mail, word, taken)) return false;",
    to: "atomic.store<u64>(mail, taken);",
  },
  {
    bug: "an answer is given to whatever waits in the mailbox",
    scenario: "request for a device, withdrawn and made again / its service",
    says: /lost or invented|another request|served/,
    file: "assembly/mailbox.ts",
    from: "if (stateWord(word) != expected || stateIn(word) != MAIL_TAKEN) return H_NOT_FOUND;",
    to: "",
  },
  {
    bug: "pages are migrated without holding them (RS6)",
    scenario: "store by a sharer / compact",
    says: /race|no order/,
    file: "assembly/migrate.ts",
    from: "if (!holdPages(root, page, count)) return false;",
    to: "",
  },
  {
    bug: "a migration copies and switches before the uses that run are over (RS6)",
    scenario: "store by a sharer / compact",
    says: /race|no order|audit/,
    file: "assembly/migrate.ts",
    from: "if (!holdPages(root, page, count)) return false;",
    to: `takeFrames(frame, count);
      addHeader(HEADER_FRAMES_FREE, count);
      addHeader(HEADER_MOVES, count);
      for (let i: u32 = 0; i < count; i++) switchPage(space, page + i, frame + i);
      if (!holdPages(root, page, count)) return false;
      settle();
      return true;`,
  },
  {
    bug: "the sharers of a page that was migrated are not let go (RS8)",
    scenario: "store by a sharer / compact",
    says: /stray|waits for ever|audit|does not end/,
    file: "assembly/job.ts",
    from: "followOwner(structureAt(backOf(at, page)), page, count);",
    to: "",
  },
  {
    bug: "the frames of a migration that was undone keep what was copied to them (TR5, FA5)",
    scenario: "store by a sharer across two pages / migrate",
    says: /audit|no order/,
    file: "assembly/job.ts",
    from: "  else zeroIfFree(frame, count);",
    to: "  else if (!BUG) zeroIfFree(frame, count);",
  },
  {
    bug: "the owner's page is let go before the commit (RS8, FA5)",
    scenario: "store by the owner / compact",
    says: /stray|no order|audit/,
    file: "assembly/page.ts",
    from: "movedEntry(entry, frame) | (entry & ENTRY_RESCINDED)",
    to: "movedEntry(entry, frame) | (BUG ? 0 : entry & ENTRY_RESCINDED)",
  },
  {
    bug: "a word that others read without a lock is put back plainly",
    scenario: "store by the owner / compact",
    says: /a race at entry/,
    file: "assembly/log.ts",
    from: "atomic.store<u32>(<usize>address, load<u32>(log + <usize>top));",
    to: "store<u32>(<usize>address, load<u32>(log + <usize>top));",
  },
  {
    bug: "who has slept for a page that moves keeps the wake-up of who waits for the lock (RS8)",
    scenario: "forced rescind / compact / store by another sharer",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "atomic.notify(HEADER_LOCK, 1);",
    to: "",
  },
  {
    bug: "the reaper passes on no wake-up that the dead has taken along (FA5)",
    scenario: "compact / compact / store by a sharer that may die",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "atomic.notify(HEADER_LOCK, -1);",
    to: "",
  },
  {
    bug: "the end of the last grant does not wake who waits for it (FA7)",
    scenario: "last return / another look of a deferred recovery",
    says: /lost wake-up/,
    file: "assembly/account.ts",
    from: "if (isDeferred(grantor) && partitionWord(grantor, PARTITION_GRANTS_OUT) == 0) signal(grantor);",
    to: "",
  },
  {
    bug: "a return to a server that waits for its borrowers does not end the grant (FA7)",
    scenario: "last return / another look of a deferred recovery",
    says: /lost wake-up/,
    file: "assembly/hcall-logical.ts",
    from: "isLast = isDeferred(grantor);",
    to: "isLast = isDeferred(grantor) && !BUG;",
  },
  {
    bug: "a deferred recovery takes it that a return ends the grant before its first look was over (FA7)",
    scenario: "last return / first look of a deferred recovery",
    says: /lost wake-up/,
    file: "assembly/recover.ts",
    from: "  if (!endServed(partition, left)) return H_PARTIAL;\n",
    to: `  if (BUG) {
        setPartitionWord(partition, PARTITION_DEFERRED, NONE);
        settle();
      } else if (!endServed(partition, left)) return H_PARTIAL;
`,
  },
  {
    bug: "what a failed partition accepted ends at once while it may still be used (FA1)",
    scenario: "read / failure and recovery of the reader",
    says: /a stray access/,
    file: "assembly/recover.ts",
    from: "if (!isDrained(partition)) return H_PARTIAL;\n  let left",
    to: "if (!BUG && !isDrained(partition)) return H_PARTIAL;\n  let left",
  },
  {
    bug: "an event that was not taken outlives the rescind (KI3)",
    scenario: "take and raise / forced rescind",
    says: /an event after the rescind|audit/,
    file: "assembly/account.ts",
    from: "  if (spaceOf(structure) == SPACE_MEMORY) return;\n  endLine(structure);",
    to: "  if (spaceOf(structure) == SPACE_MEMORY) return;\n  if (!BUG) endLine(structure);",
  },
  {
    bug: "a line joins the queue, and nobody is woken (KI5)",
    scenario: "wait for a doorbell / ring",
    says: /lost wake-up/,
    file: "assembly/line.ts",
    from: "  link(partition, index, 0);\n  signal(partition);",
    to: "  link(partition, index, 0);\n  if (!BUG) signal(partition);",
  },
  {
    bug: "who gives its locks back forgets those it has to wake (KI5, CQ7)",
    scenario: "wait for a doorbell / ring",
    says: /lost wake-up/,
    file: "assembly/lock.ts",
    from: "if ((wakes & 1) != 0) wakeSleepers(partitionAt(first));",
    to: "",
  },
  {
    bug: "a TCE is said to be removed while a device still uses it (KI4)",
    scenario: "removal of an entry / DMA",
    says: /stray/,
    file: "assembly/dma.ts",
    from: "return awaitUses() == NONE ? H_SUCCESS : H_BUSY;",
    to: "return H_SUCCESS;",
  },
  {
    bug: "a device looks at the first word of an entry only, after it has looked at all (KI4)",
    scenario: "DMA / entries put again, and the pane in other hands",
    says: /stray/,
    file: "assembly/dma.ts",
    from: "if (!isSame || tceWord(tce, TCE_STRUCTURE_GENERATION) != generation) return H_LONG_BUSY_1_MSEC;",
    to: "if (BUG) return status;\n  if (!isSame || tceWord(tce, TCE_STRUCTURE_GENERATION) != generation) return H_LONG_BUSY_1_MSEC;",
  },
  {
    bug: "a device does not look whether the pane still gives access (KI4)",
    scenario: "forced rescind of the pane / DMA",
    says: /stray/,
    file: "assembly/dma.ts",
    from: "if (!isOpen(partitionAt(holder), pageNow(pane))) return H_RESCINDED;",
    to: "",
  },
];
