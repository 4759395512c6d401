/** The four hypercalls and translation. A translation unit of its own, so that no call is folded into the loops. */
#include <stdlib.h>

#include "record.h"
#include "table.h"

static void space_new(space *s, uint32_t pages) {
  s->pages = pages;
  s->entries = calloc(pages, sizeof(uint32_t));
  s->backs = calloc(pages, sizeof(uint32_t));
  for (int level = 0; level < 4; level++) {
    s->map[level] = calloc(((uint64_t)pages >> (6 * (level + 1))) + 1, sizeof(uint64_t));
  }
  map_free(s, 0, pages);
}

table *table_new(uint32_t partitions, uint32_t structures, uint32_t pages) {
  table *t = calloc(1, sizeof(table));
  t->structures = aligned_alloc(64, (structures + 1ull) * sizeof(structure));
  memset(t->structures, 0, (structures + 1ull) * sizeof(structure));
  t->partitions = calloc(partitions + 1, sizeof(partition));
  t->ends = calloc(partitions * 2 + 65, sizeof(end));
  t->structures_max = structures;
  t->structure_fresh = 1;
  t->partitions_max = partitions;
  for (uint32_t lpid = 1; lpid <= partitions; lpid++) {
    t->partitions[lpid].running = 1;
    space_new(&t->partitions[lpid].memory, pages);
  }
  return t;
}

void table_free(table *t) {
  for (uint32_t lpid = 1; lpid <= t->partitions_max; lpid++) {
    space *s = &t->partitions[lpid].memory;
    free(s->entries);
    free(s->backs);
    for (int level = 0; level < 4; level++) free(s->map[level]);
  }
  free(t->structures);
  free(t->partitions);
  free(t->ends);
  free(t);
}

partition *table_partition(table *t, uint32_t lpid) { return &t->partitions[lpid]; }

uint32_t table_connect(table *t, uint32_t a, uint32_t b, uint32_t quota) {
  uint32_t first = t->ends_used + 1;
  t->ends_used += 2;
  t->ends[first] = (end){.open = 1, .owner = a, .partner = first + 1, .quota = quota};
  t->ends[first + 1] = (end){.open = 1, .owner = b, .partner = first, .quota = quota};
  return first;
}

/** Takes a slot, the most recently freed first; 0 when all are in use. */
static structure *take_structure(table *t) {
  uint32_t slot = t->structure_free;
  structure *c = &t->structures[slot];
  if (slot != 0) {
    t->structure_free = c->next_held;
    c->next_held = 0;
  } else {
    c = &t->structures[t->structure_fresh++];
    c->generation = 1;
  }
  t->structures_used++;
  return c;
}

static void take_pages(space *s, uint32_t page, uint32_t count, uint32_t back) {
  map_take(s, page, count);
  for (uint32_t i = 0; i < count; i++) s->backs[page + i] = back;
}

static void set_entry(uint32_t *entry, uint32_t bits) { *entry = ((*entry & 0xff000000u) + 0x1000000u) | bits; }

void table_own(table *t, uint32_t lpid, uint32_t count, uint32_t frame) {
  partition *p = &t->partitions[lpid];
  structure *c = take_structure(t);
  c->state = OWNED;
  c->holder = (uint16_t)lpid;
  c->page_count = count;
  p->owned = (uint32_t)(c - t->structures);
  take_pages(&p->memory, 0, count, p->owned);
  for (uint32_t i = 0; i < count; i++) {
    set_entry(&p->memory.entries[i], (frame + i) | ENTRY_VALID | ENTRY_READ | ENTRY_WRITE);
  }
}

/** The lowest free page at or above `from`, or NONE. */
static uint32_t map_next(const space *s, uint32_t from) {
  uint32_t level = 0, index = from;
  for (;;) {
    uint32_t word = index >> 6;
    if (word <= s->pages >> (6 * (level + 1))) {
      uint64_t rest = s->map[level][word] >> (index & 63);
      if (rest != 0) {
        index += (uint32_t)__builtin_ctzll(rest);
        break;
      }
    }
    if (++level == 4) return NONE;
    index = word + 1;
  }
  while (level != 0) {
    level--;
    index = (index << 6) + (uint32_t)__builtin_ctzll(s->map[level][index]);
  }
  return index;
}

static uint32_t run_end(const space *s, uint32_t from, uint32_t most) {
  uint32_t limit = most > s->pages - from ? s->pages : from + most;
  for (uint32_t at = from; at < limit; at = (at & ~63u) + 64) {
    uint64_t used = ~s->map[0][at >> 6] >> (at & 63);
    if (used == 0) continue;
    uint32_t stop = at + (uint32_t)__builtin_ctzll(used);
    return stop < limit ? stop : limit;
  }
  return limit;
}

/** The lowest run of `count` free pages, or NONE. */
static uint32_t lowest_free(const space *s, uint32_t count) {
  uint32_t start = map_next(s, 0);
  if (count == 1) return start;
  while (start != NONE) {
    if (count > s->pages - start) return NONE;
    uint32_t stop = run_end(s, start, count);
    if (stop - start == count) return start;
    start = map_next(s, stop);
  }
  return NONE;
}

static structure *decode_structure(table *t, uint64_t cookie) {
  uint32_t slot = cookie & 0xffffff;
  if (cookie >> 53 != 0 || slot == 0 || slot > t->structures_max || cookie >> 24 == 0) return NULL;
  structure *c = &t->structures[slot];
  return c->generation == cookie >> 24 && c->state > OWNED ? c : NULL;
}

static bool any_rescinded(const space *s, uint32_t page, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if ((s->entries[page + i] & ENTRY_RESCINDED) != 0) return true;
  }
  return false;
}

int32_t h_grant(table *t, uint32_t lpid, uint32_t flags, uint64_t address, uint64_t length, uint32_t unit, uint64_t *r4) {
  if (lpid == 0 || lpid > t->partitions_max) return H_PARAMETER;
  partition *grantor = &t->partitions[lpid];
  if (!grantor->running) return H_RESCINDED;
  if (flags > 0xff || (flags & INHIBIT_RESERVED) != 0 || (flags & 0xf) != TYPE_MEMORY) return H_PARAMETER;
  uint32_t inhibits = flags & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
  if (((address | length) & (PAGE_BYTES - 1)) != 0 || length == 0) return H_PARAMETER;
  uint64_t first = address / PAGE_BYTES, pages = length / PAGE_BYTES;
  space *s = &grantor->memory;
  if (first >= s->pages || pages > s->pages - first) return H_PARAMETER;
  uint32_t page = (uint32_t)first, count = (uint32_t)pages;
  structure *source = &t->structures[s->backs[page]];
  bool live = source->state == OWNED || source->state == SHARED;
  if (!live || (uint64_t)(page - source->page) + count > source->page_count) {
    return grantor->rescinded != 0 && any_rescinded(s, page, count) ? H_RESCINDED : H_PARAMETER;
  }
  if (source->revoking) return H_RESCINDED;
  if ((source->inhibits & INHIBIT_REGRANT) != 0 || (source->inhibits & ~inhibits) != 0) return H_PERMISSION;
  if (unit == 0 || unit > t->ends_used) return H_PARAMETER;
  end *e = &t->ends[unit];
  if (!e->open || e->owner != lpid) return H_PARAMETER;
  uint32_t to = t->ends[e->partner].owner;
  partition *grantee = &t->partitions[to];
  if (!grantee->running) return H_PARAMETER;
  if (e->used >= e->quota || (uint64_t)e->used + e->unreturned >= 2ull * e->quota) return H_NO_MEM;
  if (t->structures_used == t->structures_max) return H_NO_MEM;

  structure *c = take_structure(t);
  uint32_t slot = (uint32_t)(c - t->structures);
  c->state = GRANTED;
  c->inhibits = (uint8_t)inhibits;
  c->holder = (uint16_t)to;
  c->source_page = page;
  c->page_count = count;
  c->end = unit;
  c->parent = (uint32_t)(source - t->structures);
  c->next = source->child;
  if (c->next != 0) t->structures[c->next].previous = slot;
  source->child = slot;
  c->next_held = grantee->held;
  if (c->next_held != 0) t->structures[c->next_held].previous_held = slot;
  grantee->held = slot;
  e->used++;
  grantor->grants_out++;
  grantee->grants_in++;
  *r4 = (uint64_t)c->generation << 24 | slot;
  return H_SUCCESS;
}

int32_t h_accept(table *t, uint32_t lpid, uint64_t cookie, uint64_t *r4) {
  if (lpid == 0 || lpid > t->partitions_max) return H_PARAMETER;
  partition *holder = &t->partitions[lpid];
  if (!holder->running) return H_RESCINDED;
  structure *c = decode_structure(t, cookie);
  if (c == NULL || c->holder != lpid) return H_PARAMETER;
  if (c->state == RESCINDED || c->revoking) return H_RESCINDED;
  if (c->state != GRANTED) return H_PARAMETER;
  partition *grantor = &t->partitions[t->structures[c->parent].holder];
  if (!grantor->running) return H_RESCINDED;
  space *s = &holder->memory;
  uint32_t count = c->page_count, page = lowest_free(s, count);
  if (page == NONE) return H_NO_MEM;

  take_pages(s, page, count, (uint32_t)(c - t->structures));
  uint32_t rights = ENTRY_VALID;
  if ((c->inhibits & INHIBIT_READ) == 0) rights |= ENTRY_READ;
  if ((c->inhibits & INHIBIT_WRITE) == 0) rights |= ENTRY_WRITE;
  const uint32_t *sources = grantor->memory.entries + c->source_page;
  for (uint32_t i = 0; i < count; i++) set_entry(&s->entries[page + i], (sources[i] & ENTRY_FRAME) | rights);
  c->page = page;
  c->state = SHARED;
  holder->pages_mapped += count;
  *r4 = (uint64_t)page * PAGE_BYTES;
  return H_SUCCESS;
}

int32_t h_return(table *t, uint32_t lpid, uint64_t cookie) {
  if (lpid == 0 || lpid > t->partitions_max) return H_PARAMETER;
  partition *holder = &t->partitions[lpid];
  if (!holder->running) return H_RESCINDED;
  structure *c = decode_structure(t, cookie);
  if (c == NULL || c->holder != lpid || c->state == GRANTED) return H_PARAMETER;
  space *s = &holder->memory;
  if (c->state == RESCINDED) {
    unmap_pages(s, c->page, c->page_count, 0);
    free_pages(s, c->page, c->page_count);
    t->ends[c->end].unreturned--;
    holder->rescinded--;
    unlink_held(t, holder, c);
    release_structure(t, c);
    return H_SUCCESS;
  }
  if (c->revoking) return H_RESCINDED;
  if (c->child != 0 || c->pins != 0) return H_RESOURCE;

  unmap_pages(s, c->page, c->page_count, 0);
  holder->pages_mapped -= c->page_count;
  free_pages(s, c->page, c->page_count);
  c->page = 0;
  c->state = GRANTED;
  return H_SUCCESS;
}

int32_t h_rescind(table *t, uint32_t lpid, uint32_t flags, uint64_t cookie, uint64_t *torn_down) {
  if (lpid == 0 || lpid > t->partitions_max) return H_PARAMETER;
  if (!t->partitions[lpid].running) return H_RESCINDED;
  if (flags > 1) return H_PARAMETER;
  structure *c = decode_structure(t, cookie);
  if (c == NULL || c->state == RESCINDED || t->structures[c->parent].holder != lpid) return H_PARAMETER;
  if (flags == 1) {
    *torn_down = revoke(t, (uint32_t)(c - t->structures));
    return H_SUCCESS;
  }
  if (c->revoking) return H_RESCINDED;
  if (c->state != GRANTED || c->child != 0) return H_RESOURCE;
  become_unknown(t, c);
  return H_SUCCESS;
}

static int32_t fault_of(uint32_t entry) {
  if ((entry & ENTRY_RESCINDED) != 0) return H_RESCINDED;
  return (entry & ENTRY_VALID) != 0 ? H_PERMISSION : H_PARAMETER;
}

int32_t translate_one(const space *s, uint32_t need, double address, double *physical) {
  if (!(address >= 0 && address < s->pages * (double)PAGE_BYTES)) return H_PARAMETER;
  uint64_t whole = (uint64_t)(int64_t)address;
  if ((double)(int64_t)whole != address) return H_PARAMETER;
  uint32_t entry = s->entries[whole / PAGE_BYTES];
  if ((entry & need) != need) return fault_of(entry);
  *physical = (double)(int64_t)((uint64_t)(entry & ENTRY_FRAME) * PAGE_BYTES + whole % PAGE_BYTES);
  return H_SUCCESS;
}

void translate_batch(const space *s, uint32_t need, const double *addresses, double *physical, int32_t *statuses,
                     uint32_t count) {
  const uint32_t *entries = s->entries;
  double limit = s->pages * (double)PAGE_BYTES;
  for (uint32_t i = 0; i < count; i++) {
    double address = addresses[i];
    bool inside = address >= 0 && address < limit;
    uint64_t whole = inside ? (uint64_t)(int64_t)address : 0;
    bool known = inside && (double)(int64_t)whole == address;
    uint32_t entry = entries[whole / PAGE_BYTES];
    int32_t status = H_SUCCESS;
    double result = (double)(int64_t)((uint64_t)(entry & ENTRY_FRAME) * PAGE_BYTES + whole % PAGE_BYTES);
    if (!known || (entry & need) != need) {
      status = known ? fault_of(entry) : H_PARAMETER;
      result = __builtin_nan("");
    }
    physical[i] = result;
    statuses[i] = status;
  }
}
