/** Forced revocation in two phases, mark all and then free leaves first, without recursion; and recovery. */
#include "record.h"

static void mark(table *t, structure *c) {
  c->revoking = 1;
  if (c->state != SHARED) return;
  partition *holder = &t->partitions[c->holder];
  unmap_pages(&holder->memory, c->page, c->page_count, ENTRY_RESCINDED);
  holder->pages_mapped -= c->page_count;
}

/** Ends a marked structure without children. */
static void tear_down(table *t, structure *c) {
  partition *holder = &t->partitions[c->holder];
  if (c->state == SHARED && holder->running) {
    uncount_grant(t, c, holder);
    t->ends[c->end].unreturned++;
    holder->rescinded++;
    unlink_child(t, c);
    c->state = RESCINDED;
    c->revoking = 0;
    return;
  }
  if (c->state == SHARED) {
    unmap_pages(&holder->memory, c->page, c->page_count, 0);
    free_pages(&holder->memory, c->page, c->page_count);
  }
  become_unknown(t, c);
}

/** Marks in pre-order: a first child, else a next sibling, else the next sibling of the nearest one above. */
static void mark_all(table *t, uint32_t root) {
  uint32_t cursor = root;
  for (;;) {
    structure *c = &t->structures[cursor];
    if (cursor == root || !c->revoking) mark(t, c);
    uint32_t next = c->child;
    while (next == 0) {
      if (cursor == root) return;
      next = t->structures[cursor].next;
      if (next == 0) cursor = t->structures[cursor].parent;
    }
    cursor = next;
  }
}

/** Tears down everything below `root`, which stays. */
static uint64_t free_below(table *t, uint32_t root) {
  uint64_t torn_down = 0;
  uint32_t cursor = root;
  for (;;) {
    structure *c = &t->structures[cursor];
    if (c->child != 0) {
      cursor = c->child;
      continue;
    }
    if (cursor == root) return torn_down;
    cursor = c->parent;
    tear_down(t, c);
    torn_down++;
  }
}

uint64_t revoke(table *t, uint32_t root) {
  structure *c = &t->structures[root];
  t->revocations++;
  mark_all(t, root);
  uint64_t torn_down = free_below(t, root);
  t->revocations--;
  if (c->state == OWNED) {
    c->revoking = 0;
    return torn_down;
  }
  tear_down(t, c);
  return torn_down + 1;
}

void table_fail(table *t, uint32_t lpid) {
  partition *p = &t->partitions[lpid];
  p->running = 0;
  while (p->held != 0) revoke(t, p->held);
  if (p->owned != 0) revoke(t, p->owned);
}
