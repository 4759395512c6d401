/**
 * Suite tree: `tree <shape> <scattered 0|1> <nodes> <fanout> <seed>`, a forced rescind of a tree of accepted grants. The shapes
 * and the orders in which slots are used are those of bench/trees.ts.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

enum { SERVER = 1, EVEN = 2, ODD = 3 };
#define CHAIN 1000

static table *the_table;
static uint32_t nodes, *parents, *depths, *accepts, *returns;
static uint64_t *cookies, *places;
static uint32_t unit_root, unit_even, unit_odd;
static uint64_t torn_down;
static bool is_wide;

static void shape(const char *name, bool scattered, uint32_t fanout, uint32_t *random) {
  uint32_t chains = (nodes - 1 + CHAIN - 1) / CHAIN;
  uint32_t *tips = calloc(chains + 1, sizeof(uint32_t));
  for (uint32_t i = 1; i < nodes; i++) {
    if (is_wide) parents[i] = 0;
    else if (strcmp(name, "mixed") == 0) parents[i] = next_below(random, i);
    else if (strcmp(name, "even") == 0) parents[i] = (i - 1) / fanout;
    else if (!scattered) parents[i] = (i - 1) % CHAIN == 0 ? 0 : i - 1;
    else {
      uint32_t chain = next_below(random, chains);
      parents[i] = tips[chain];
      tips[chain] = i;
    }
    depths[i] = depths[parents[i]] + 1;
  }
  free(tips);
  for (uint32_t i = 0; i < nodes; i++) accepts[i] = i, returns[i] = nodes - 1 - i;
  if (!scattered) return;
  shuffle(returns, nodes, random);
  if (is_wide) shuffle(accepts + 1, nodes - 1, random);
  for (uint32_t i = 1; is_wide && i < nodes; i++) accepts[i]++;
}

static uint32_t holder(uint32_t i) { return depths[i] % 2 == 0 ? EVEN : ODD; }

static void must(int32_t status) {
  if (status != 0) abort();
}

static void grant(uint32_t i) {
  uint32_t lpid = i == 0 ? SERVER : holder(parents[i]);
  uint32_t unit = i == 0 ? unit_root : lpid == EVEN ? unit_even : unit_odd;
  uint64_t address = i == 0 ? 0 : places[parents[i]];
  must(h_grant(the_table, lpid, TYPE_MEMORY, address, PAGE_BYTES, unit, &cookies[i]));
}

static void accept(uint32_t i) { must(h_accept(the_table, holder(i), cookies[i], &places[i])); }

static void build(void) {
  if (!is_wide) {
    for (uint32_t i = 0; i < nodes; i++) grant(i), accept(i);
    return;
  }
  grant(0);
  accept(0);
  for (uint32_t i = 1; i < nodes; i++) grant(i);
  for (uint32_t i = 1; i < nodes; i++) accept(accepts[i]);
}

static void clear(void) {
  for (uint32_t i = 0; i < nodes; i++) must(h_return(the_table, holder(returns[i]), cookies[returns[i]]));
}

static uint64_t block(uint64_t *ns) {
  build();
  uint64_t start = now_ns();
  must(h_rescind(the_table, SERVER, 1, cookies[0], &torn_down));
  *ns += now_ns() - start;
  clear();
  return nodes;
}

static void check(FILE *out) {
  uint32_t rescinded = 0, stale = 0;
  double physical;
  uint64_t unused;
  build();
  must(h_rescind(the_table, SERVER, 1, cookies[0], &torn_down));
  for (uint32_t i = 0; i < nodes; i++) {
    const space *s = &table_partition(the_table, holder(i))->memory;
    rescinded += translate_one(s, ENTRY_VALID, (double)places[i], &physical) == H_RESCINDED;
  }
  int32_t owner = translate_one(&table_partition(the_table, SERVER)->memory, ENTRY_VALID | ENTRY_WRITE, 0, &physical);
  clear();
  for (uint32_t i = 0; i < nodes; i++) stale += h_accept(the_table, holder(i), cookies[i], &unused) == H_PARAMETER;
  fprintf(out, "torn down %u, rescinded %u, stale %u, owner %d", (uint32_t)torn_down, rescinded, stale, owner);
}

static void end(void) {
  table_free(the_table);
  free(parents);
  free(depths);
  free(accepts);
  free(returns);
  free(cookies);
  free(places);
}

bool tree_scenario(int argc, char **argv, scenario *out) {
  if (argc != 5) return false;
  is_wide = strcmp(argv[0], "wide") == 0;
  nodes = (uint32_t)strtoul(argv[2], NULL, 10);
  uint32_t fanout = (uint32_t)strtoul(argv[3], NULL, 10), random = (uint32_t)strtoul(argv[4], NULL, 10);
  the_table = table_new(3, nodes + 16, nodes + 16);
  table_own(the_table, SERVER, 1, 0);
  unit_root = table_connect(the_table, SERVER, EVEN, nodes + 16);
  unit_even = table_connect(the_table, EVEN, ODD, nodes + 16);
  unit_odd = unit_even + 1;
  parents = calloc(nodes, sizeof(uint32_t));
  depths = calloc(nodes, sizeof(uint32_t));
  accepts = calloc(nodes, sizeof(uint32_t));
  returns = calloc(nodes, sizeof(uint32_t));
  cookies = calloc(nodes, sizeof(uint64_t));
  places = calloc(nodes, sizeof(uint64_t));
  shape(argv[0], atoi(argv[1]) != 0, fanout, &random);
  // The order of the free slots comes from the tree before.
  uint64_t unused = 0;
  block(&unused);
  *out = (scenario){block, check, end};
  return true;
}
