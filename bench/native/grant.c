/** Suite grant: `grant <live> <pages> <seed>`. A cycle returns and rescinds one of the live grants and makes it anew. */
#include <stdbool.h>
#include <stdlib.h>

#include "scenario.h"
#include "table.h"

#define BLOCK 250
enum { SERVER = 1, CLIENT = 2 };

static table *the_table;
static uint32_t live, pages, unit, position, *order;
static uint64_t *cookies;
static uint64_t length, address_sum, stale;

static int32_t make(uint32_t k) {
  uint64_t cookie, address;
  int32_t status = h_grant(the_table, SERVER, TYPE_MEMORY, k * length, length, unit, &cookie);
  status |= h_accept(the_table, CLIENT, cookie, &address);
  cookies[k] = cookie;
  address_sum += address;
  return status;
}

static int32_t cycle(uint32_t k) {
  int32_t status = h_return(the_table, CLIENT, cookies[k]);
  status |= h_rescind(the_table, SERVER, 0, cookies[k], NULL);
  return status | make(k);
}

static uint64_t block(uint64_t *ns) {
  int32_t status = 0;
  uint64_t start = now_ns();
  for (uint32_t i = 0; i < BLOCK; i++) status |= cycle(order[position + i]);
  *ns += now_ns() - start;
  position = (position + BLOCK) % live;
  if (status != 0) abort();
  return BLOCK;
}

/** One pass over all; then where each grant leads. */
static void check(FILE *out) {
  uint32_t sum = 0;
  address_sum = stale = 0;
  for (uint32_t i = 0; i < live; i++) {
    uint64_t old = cookies[order[i]], unused;
    if (cycle(order[i]) != 0) abort();
    stale += h_accept(the_table, CLIENT, old, &unused) == H_PARAMETER;
  }
  const space *s = &table_partition(the_table, CLIENT)->memory;
  for (uint32_t page = 0; page < live * pages; page++) {
    double physical = 0;
    if (translate_one(s, ENTRY_VALID | ENTRY_WRITE, page * (double)PAGE_BYTES, &physical) != 0) abort();
    sum += (uint32_t)(physical / PAGE_BYTES);
  }
  const partition *client = table_partition(the_table, CLIENT);
  fprintf(out, "addresses %.0f, stale %u, frames %u, mapped %u, grants %u", (double)address_sum, (uint32_t)stale, sum,
          client->pages_mapped, client->grants_in);
}

static void end(void) {
  table_free(the_table);
  free(order);
  free(cookies);
}

bool grant_scenario(int argc, char **argv, scenario *out) {
  if (argc != 3) return false;
  live = (uint32_t)strtoul(argv[0], NULL, 10);
  pages = (uint32_t)strtoul(argv[1], NULL, 10);
  uint32_t random = (uint32_t)strtoul(argv[2], NULL, 10);
  length = (uint64_t)pages * PAGE_BYTES;
  position = 0;
  the_table = table_new(2, live * 2 + 16, live * pages * 2);
  table_own(the_table, SERVER, live * pages, 0);
  unit = table_connect(the_table, SERVER, CLIENT, live * 2);
  order = malloc(live * sizeof(uint32_t));
  cookies = malloc(live * sizeof(uint64_t));
  shuffle(order, live, &random);
  for (uint32_t k = 0; k < live; k++) {
    if (make(k) != 0) abort();
  }
  *out = (scenario){block, check, end};
  return true;
}
