/** Suite recovery: `recovery client|server <scattered 0|1> <grants> <partners> <seed>`. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

enum { DEAD = 1, PARTNERS = 2 };

static table *the_table;
static uint32_t grants, partners, *units, *order;
static uint64_t *cookies;
static bool is_client, is_scattered;

static void must(int32_t status) {
  if (status != 0) abort();
}

static uint32_t server(uint32_t i) { return is_client ? PARTNERS + i % partners : DEAD; }
static uint32_t client(uint32_t i) { return is_client ? DEAD : PARTNERS + i % partners; }

static void grant_all(void) {
  for (uint32_t i = 0; i < grants; i++) {
    must(h_grant(the_table, server(i), TYPE_MEMORY, 0, PAGE_BYTES, units[i % partners], &cookies[i]));
  }
}

static void build(void) {
  uint64_t address;
  if (is_scattered) {
    grant_all();
    for (uint32_t i = 0; i < grants; i++) must(h_rescind(the_table, server(order[i]), 0, cookies[order[i]], NULL));
  }
  grant_all();
  for (uint32_t at = 0; at < grants; at++) {
    uint32_t i = is_scattered ? order[at] : at;
    must(h_accept(the_table, client(i), cookies[i], &address));
  }
}

/** The client of a dead server returns what was rescinded. */
static void restart(void) {
  if (!is_client) {
    for (uint32_t i = grants; i-- > 0;) must(h_return(the_table, client(i), cookies[i]));
  }
  table_partition(the_table, DEAD)->running = 1;
}

static uint64_t block(uint64_t *ns) {
  build();
  uint64_t start = now_ns();
  table_fail(the_table, DEAD);
  *ns += now_ns() - start;
  restart();
  return grants;
}

static void check(FILE *out) {
  uint32_t stale = 0;
  uint64_t unused;
  build();
  table_fail(the_table, DEAD);
  // Servers have mapped nothing and clients granted nothing, so all may be added up.
  uint32_t mapped = 0, in = 0, granted = 0, rescinded = 0;
  for (uint32_t lpid = DEAD; lpid < PARTNERS + partners; lpid++) {
    const partition *p = table_partition(the_table, lpid);
    mapped += p->pages_mapped, in += p->grants_in, granted += p->grants_out, rescinded += p->rescinded;
  }
  fprintf(out, "mapped %u, in %u, out %u, rescinded %u", mapped, in, granted, rescinded);
  restart();
  for (uint32_t i = 0; i < grants; i++) stale += h_accept(the_table, client(i), cookies[i], &unused) == H_PARAMETER;
  fprintf(out, ", stale %u", stale);
}

static void end(void) {
  table_free(the_table);
  free(order);
  free(units);
  free(cookies);
}

bool recovery_scenario(int argc, char **argv, scenario *out) {
  if (argc != 5) return false;
  is_client = strcmp(argv[0], "client") == 0;
  is_scattered = atoi(argv[1]) != 0;
  grants = (uint32_t)strtoul(argv[2], NULL, 10);
  partners = (uint32_t)strtoul(argv[3], NULL, 10);
  uint32_t random = (uint32_t)strtoul(argv[4], NULL, 10);
  uint32_t servers = is_client ? partners : 1;
  the_table = table_new(1 + partners, grants + 16 + servers, grants + 16);
  units = malloc(partners * sizeof(uint32_t));
  for (uint32_t i = 0; i < servers; i++) table_own(the_table, server(i), 16, i * 16);
  for (uint32_t i = 0; i < partners; i++) units[i] = table_connect(the_table, server(i), client(i), grants + 16);
  order = malloc(grants * sizeof(uint32_t));
  cookies = malloc(grants * sizeof(uint64_t));
  shuffle(order, grants, &random);
  *out = (scenario){block, check, end};
  return true;
}
