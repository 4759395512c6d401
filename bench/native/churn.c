/**
 * Suite churn: `churn <pages> <live> <events>`. Loaded are the pages that are live at the begin of a round, then the use of
 * each event, then its victim, as bench/churn-events.ts works them out.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "scenario.h"
#include "table.h"

#define BLOCK 1000
#define FAULT 0x80000000u
#define WRITE 0x40000000u
#define PAGE_MASK 0x3fffffffu
enum { SERVER = 1, CLIENT = 2 };

static table *the_table;
static uint32_t *numbers, *uses, *victims, count, unit, position;
static uint64_t *cookies, *addresses;
static volatile uint32_t sink;

static void must(int32_t status) {
  if (status != H_SUCCESS) abort();
}

static void make(uint32_t page) {
  must(h_grant(the_table, SERVER, TYPE_MEMORY, page * (uint64_t)PAGE_BYTES, PAGE_BYTES, unit, &cookies[page]));
  must(h_accept(the_table, CLIENT, cookies[page], &addresses[page]));
}

static uint32_t step(uint32_t index) {
  uint32_t use = uses[index], page = use & PAGE_MASK, victim = victims[index];
  double physical = 0;
  if (victim != NONE) {
    must(h_return(the_table, CLIENT, cookies[victim]));
    must(h_rescind(the_table, SERVER, 0, cookies[victim], NULL));
  }
  if ((use & FAULT) != 0) make(page);
  uint32_t need = ENTRY_VALID | ((use & WRITE) != 0 ? ENTRY_WRITE : ENTRY_READ);
  must(translate_one(&table_partition(the_table, CLIENT)->memory, need, (double)addresses[page], &physical));
  return (uint32_t)(physical / PAGE_BYTES);
}

static uint32_t run(uint32_t steps) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < steps; i++) {
    sum += step(position);
    position = position + 1 == count ? 0 : position + 1;
  }
  return sum;
}

static uint64_t block(uint64_t *ns) {
  uint64_t start = now_ns();
  sink = run(BLOCK);
  *ns += now_ns() - start;
  return BLOCK;
}

static void check(FILE *out) {
  uint32_t sum = run(count);
  const partition *client = table_partition(the_table, CLIENT);
  fprintf(out, "frames %u, mapped %u, grants %u", sum, client->pages_mapped, client->grants_in);
}

static void end(void) {
  table_free(the_table);
  free(numbers);
  free(cookies);
  free(addresses);
}

bool churn_scenario(int argc, char **argv, scenario *out) {
  if (argc != 3) return false;
  uint32_t pages = (uint32_t)strtoul(argv[0], NULL, 10), live = (uint32_t)strtoul(argv[1], NULL, 10);
  count = (uint32_t)strtoul(argv[2], NULL, 10);
  numbers = take_loaded((live + 2ull * count) * sizeof(uint32_t));
  if (numbers == NULL) return false;
  uses = numbers + live;
  victims = uses + count;
  position = 0;
  the_table = table_new(2, live + 16, pages);
  table_own(the_table, SERVER, pages, 0);
  unit = table_connect(the_table, SERVER, CLIENT, live + 16);
  cookies = calloc(pages, sizeof(uint64_t));
  addresses = calloc(pages, sizeof(uint64_t));
  for (uint32_t i = 0; i < live; i++) make(numbers[i]);
  *out = (scenario){block, check, end};
  return true;
}
