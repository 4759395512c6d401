/** The records of the table and what every part of it does with them. */
#ifndef LPAR_BENCH_RECORD_H
#define LPAR_BENCH_RECORD_H

#include <string.h>

#include "table.h"

enum { FREE, OWNED, GRANTED, SHARED, RESCINDED };

typedef struct {
  uint8_t state, space, inhibits, revoking;
  uint32_t generation;
  uint16_t holder, pins;
  uint32_t end, parent, child, next, previous, next_held, previous_held;
  uint32_t source_page, page_count, page, cursor, remaining, liobn;
} structure;

_Static_assert(sizeof(structure) == 64, "a record is one cache line");

typedef struct {
  uint32_t open, owner, partner, quota, used, unreturned;
} end;

struct table {
  structure *structures;
  partition *partitions;
  end *ends;
  uint32_t structures_max, structures_used, structure_free, structure_fresh;
  uint32_t partitions_max, ends_used, revocations;
};

static inline uint64_t mask_of(uint32_t from, uint32_t to) {
  return (to == 64 ? ~0ull : (1ull << to) - 1) & ~((1ull << from) - 1);
}

static inline void map_free(space *s, uint32_t from, uint32_t count) {
  for (uint32_t at = from, stop = from + count; at < stop;) {
    uint32_t word = at >> 6, last = stop - (word << 6) < 64 ? stop - (word << 6) : 64;
    uint64_t old = s->map[0][word];
    s->map[0][word] = old | mask_of(at & 63, last);
    for (uint32_t level = 1, index = word; level < 4 && old == 0; level++, index >>= 6) {
      old = s->map[level][index >> 6];
      s->map[level][index >> 6] = old | 1ull << (index & 63);
    }
    at = (word << 6) + last;
  }
}

static inline void map_take(space *s, uint32_t from, uint32_t count) {
  for (uint32_t at = from, stop = from + count; at < stop;) {
    uint32_t word = at >> 6, last = stop - (word << 6) < 64 ? stop - (word << 6) : 64;
    uint64_t left = s->map[0][word] & ~mask_of(at & 63, last);
    s->map[0][word] = left;
    for (uint32_t level = 1, index = word; level < 4 && left == 0; level++, index >>= 6) {
      left = s->map[level][index >> 6] & ~(1ull << (index & 63));
      s->map[level][index >> 6] = left;
    }
    at = (word << 6) + last;
  }
}

static inline void unmap_pages(space *s, uint32_t page, uint32_t count, uint32_t bits) {
  for (uint32_t i = 0; i < count; i++) s->entries[page + i] = (s->entries[page + i] & 0xff000000u) | bits;
}

static inline void free_pages(space *s, uint32_t page, uint32_t count) {
  memset(s->backs + page, 0, count * sizeof(uint32_t));
  map_free(s, page, count);
}

static inline void unlink_child(table *t, structure *c) {
  if (c->next != 0) t->structures[c->next].previous = c->previous;
  if (c->previous != 0) t->structures[c->previous].next = c->next;
  else t->structures[c->parent].child = c->next;
  c->parent = c->next = c->previous = 0;
}

static inline void unlink_held(table *t, partition *holder, structure *c) {
  if (c->next_held != 0) t->structures[c->next_held].previous_held = c->previous_held;
  if (c->previous_held != 0) t->structures[c->previous_held].next_held = c->next_held;
  else holder->held = c->next_held;
  c->next_held = c->previous_held = 0;
}

static inline void release_structure(table *t, structure *c) {
  uint32_t generation = c->generation, slot = (uint32_t)(c - t->structures);
  memset(c, 0, sizeof(structure));
  c->generation = generation + 1;
  c->next_held = t->structure_free;
  t->structure_free = slot;
  t->structures_used--;
}

/** Takes a grant off the counts of its end, its grantor and its holder. */
static inline void uncount_grant(table *t, structure *c, partition *holder) {
  t->ends[c->end].used--;
  t->partitions[t->structures[c->parent].holder].grants_out--;
  holder->grants_in--;
}

/** A granted structure without children ends. */
static inline void become_unknown(table *t, structure *c) {
  partition *holder = &t->partitions[c->holder];
  uncount_grant(t, c, holder);
  unlink_child(t, c);
  unlink_held(t, holder, c);
  release_structure(t, c);
}

#endif
