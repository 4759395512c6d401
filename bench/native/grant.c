/**
 * Suite grant: `grant <live> <pages> <ranges> <clients> <cycles> <seed> drawn|loaded`. A cycle returns and rescinds one of
 * the live grants and makes it anew, in the order that the seed or the caller gives.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

#define BLOCK 250
enum { SERVER = 1, CLIENTS = 2 };

static table *the_table;
static uint32_t live, pages, ranges, clients, cycles, position, *order, *units;
static uint64_t *cookies;
static uint64_t length, address_sum, stale;
static bool is_drawn;

static int32_t make(uint32_t k) {
  uint64_t cookie, address;
  uint32_t to = k % clients;
  int32_t status = h_grant(the_table, SERVER, TYPE_MEMORY, k % ranges * length, length, units[to], &cookie);
  status |= h_accept(the_table, CLIENTS + to, cookie, &address);
  cookies[k] = cookie;
  address_sum += address;
  return status;
}

static int32_t cycle(uint32_t k) {
  int32_t status = h_return(the_table, CLIENTS + k % clients, cookies[k]);
  status |= h_rescind(the_table, SERVER, 0, cookies[k], NULL);
  return status | make(k);
}

static uint64_t block(uint64_t *ns) {
  int32_t status = 0;
  uint64_t start = now_ns();
  for (uint32_t i = 0; i < BLOCK; i++) status |= cycle(order[position + i]);
  *ns += now_ns() - start;
  position = (position + BLOCK) % cycles;
  if (status != 0) abort();
  return BLOCK;
}

/** One pass over all; then where each grant leads. Addresses are compared where each grant has its turn once. */
static void check(FILE *out) {
  uint32_t sum = 0, mapped = 0, grants = 0;
  address_sum = stale = 0;
  for (uint32_t i = 0; i < cycles; i++) {
    uint64_t old = cookies[order[i]], unused;
    if (cycle(order[i]) != 0) abort();
    stale += h_accept(the_table, CLIENTS + order[i] % clients, old, &unused) == H_PARAMETER;
  }
  for (uint32_t to = 0; to < clients; to++) {
    const partition *client = table_partition(the_table, CLIENTS + to);
    uint32_t count = (live - to + clients - 1) / clients * pages;
    for (uint32_t page = 0; page < count; page++) {
      double physical = 0;
      if (translate_one(&client->memory, ENTRY_VALID | ENTRY_WRITE, page * (double)PAGE_BYTES, &physical) != 0) abort();
      sum += (uint32_t)(physical / PAGE_BYTES);
    }
    mapped += client->pages_mapped;
    grants += client->grants_in;
  }
  fprintf(out, "addresses %.0f, stale %u, frames %u, mapped %u, grants %u", is_drawn ? (double)address_sum : 0,
          (uint32_t)stale, sum, mapped, grants);
}

static void end(void) {
  table_free(the_table);
  free(order);
  free(units);
  free(cookies);
}

/** The order of the cycles, its first ones once more at its end, so that a block may begin anywhere. */
static bool make_order(uint32_t random) {
  uint32_t *once = is_drawn ? malloc(cycles * sizeof(uint32_t)) : take_loaded(cycles * sizeof(uint32_t));
  if (once == NULL) return false;
  if (is_drawn) shuffle(once, live, &random);
  order = malloc((cycles + BLOCK) * sizeof(uint32_t));
  for (uint32_t i = 0; i < cycles + BLOCK; i++) order[i] = once[i % cycles];
  free(once);
  return true;
}

bool grant_scenario(int argc, char **argv, scenario *out) {
  if (argc != 7) return false;
  uint32_t *sizes[] = {&live, &pages, &ranges, &clients, &cycles};
  for (int i = 0; i < 5; i++) *sizes[i] = (uint32_t)strtoul(argv[i], NULL, 10);
  is_drawn = strcmp(argv[6], "drawn") == 0;
  if (!make_order((uint32_t)strtoul(argv[5], NULL, 10))) return false;
  length = (uint64_t)pages * PAGE_BYTES;
  position = 0;
  uint32_t mapped = (live + clients - 1) / clients * pages * 2;
  the_table = table_new(1 + clients, live * 2 + 16, mapped > ranges * pages ? mapped : ranges * pages);
  table_own(the_table, SERVER, ranges * pages, 0);
  units = malloc(clients * sizeof(uint32_t));
  for (uint32_t to = 0; to < clients; to++) units[to] = table_connect(the_table, SERVER, CLIENTS + to, live * 2);
  cookies = malloc(live * sizeof(uint64_t));
  for (uint32_t k = 0; k < live; k++) {
    if (make(k) != 0) abort();
  }
  *out = (scenario){block, check, end};
  return true;
}
