/** Suite recovery: `recovery client|server <scattered 0|1> <grants> <seed>`. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

enum { SERVER = 1, CLIENT = 2 };

static table *the_table;
static uint32_t grants, unit, *order;
static uint64_t *cookies;
static bool is_client, is_scattered;

static void must(int32_t status) {
  if (status != 0) abort();
}

static void grant_all(void) {
  for (uint32_t i = 0; i < grants; i++) must(h_grant(the_table, SERVER, TYPE_MEMORY, 0, PAGE_BYTES, unit, &cookies[i]));
}

static void build(void) {
  uint64_t address;
  if (is_scattered) {
    grant_all();
    for (uint32_t i = 0; i < grants; i++) must(h_rescind(the_table, SERVER, 0, cookies[order[i]], NULL));
  }
  grant_all();
  for (uint32_t i = 0; i < grants; i++) {
    must(h_accept(the_table, CLIENT, cookies[is_scattered ? order[i] : i], &address));
  }
}

/** The client of a dead server returns what was rescinded. */
static void restart(void) {
  if (!is_client) {
    for (uint32_t i = 0; i < grants; i++) must(h_return(the_table, CLIENT, cookies[grants - 1 - i]));
  }
  table_partition(the_table, is_client ? CLIENT : SERVER)->running = 1;
}

static uint64_t block(uint64_t *ns) {
  build();
  uint64_t start = now_ns();
  table_fail(the_table, is_client ? CLIENT : SERVER);
  *ns += now_ns() - start;
  restart();
  return grants;
}

static void check(FILE *out) {
  uint32_t stale = 0;
  uint64_t unused;
  build();
  table_fail(the_table, is_client ? CLIENT : SERVER);
  const partition *client = table_partition(the_table, CLIENT), *server = table_partition(the_table, SERVER);
  uint32_t rescinded = client->rescinded;
  fprintf(out, "mapped %u, in %u, out %u, rescinded %u", client->pages_mapped, client->grants_in, server->grants_out,
          rescinded);
  restart();
  for (uint32_t i = 0; i < grants; i++) stale += h_accept(the_table, CLIENT, cookies[i], &unused) == H_PARAMETER;
  fprintf(out, ", stale %u", stale);
}

static void end(void) {
  table_free(the_table);
  free(order);
  free(cookies);
}

bool recovery_scenario(int argc, char **argv, scenario *out) {
  if (argc != 4) return false;
  is_client = strcmp(argv[0], "client") == 0;
  is_scattered = atoi(argv[1]) != 0;
  grants = (uint32_t)strtoul(argv[2], NULL, 10);
  uint32_t random = (uint32_t)strtoul(argv[3], NULL, 10);
  the_table = table_new(2, grants + 16, grants + 16);
  table_own(the_table, SERVER, 16, 0);
  unit = table_connect(the_table, SERVER, CLIENT, grants + 16);
  order = malloc(grants * sizeof(uint32_t));
  cookies = malloc(grants * sizeof(uint64_t));
  shuffle(order, grants, &random);
  *out = (scenario){block, check, end};
  return true;
}
