/** Suite translate: `translate batch|single <pages> <addresses> <seed> drawn|loaded`. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

/** Pages at the end of the space that nothing is mapped at. */
#define UNMAPPED 64

static table *the_table;
static double *addresses, *faulty, *physical;
static int32_t *statuses;
static uint32_t count;
static bool single;
static volatile double sink;

/** Of 64 pages one lacks the right to read, one is rescinded. */
static void map_all(space *s, uint32_t pages, uint32_t *random) {
  uint32_t *frames = malloc(pages * sizeof(uint32_t));
  shuffle(frames, pages, random);
  for (uint32_t page = 0; page < pages; page++) {
    s->entries[page] = (frames[page] & ENTRY_FRAME) | ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;
    if (page % 64 == 63) s->entries[page] &= ~(uint32_t)ENTRY_READ;
    if (page % 64 == 62) s->entries[page] = ENTRY_RESCINDED;
  }
  free(frames);
}

static double good_address(uint32_t pages, uint32_t *random) {
  uint32_t page;
  do page = next_below(random, pages);
  while (page % 64 >= 62);
  return page * (double)PAGE_BYTES + next_below(random, PAGE_BYTES);
}

static double faulty_address(uint32_t pages, uint32_t *random) {
  // Two statements, because C leaves the order of two calls in one open.
  double address = next_below(random, pages + UNMAPPED * 2) * (double)PAGE_BYTES;
  address += next_below(random, PAGE_BYTES);
  switch (next_below(random, 16)) {
    case 0: return address + 0.5;
    case 1: return -1 - address;
    case 2: return address * 1048576;
    case 3: return NAN;
    default: return address;
  }
}

static uint64_t block(uint64_t *ns) {
  const space *s = &table_partition(the_table, 1)->memory;
  uint64_t start = now_ns();
  if (single) {
    double sum = 0, result = 0;
    for (uint32_t i = 0; i < count; i++) {
      if (translate_one(s, ENTRY_VALID | ENTRY_READ, addresses[i], &result) == H_SUCCESS) sum += result;
    }
    sink = sum;
  } else {
    translate_batch(s, ENTRY_VALID | ENTRY_READ, addresses, physical, statuses, count);
  }
  *ns += now_ns() - start;
  return count;
}

/** The same mixture of every status and every physical address as bench/translate.ts makes. */
static uint32_t digest(const double *list) {
  const space *s = &table_partition(the_table, 1)->memory;
  uint32_t sum = 0;
  if (!single) translate_batch(s, ENTRY_VALID | ENTRY_READ, list, physical, statuses, count);
  for (uint32_t i = 0; i < count; i++) {
    double result = NAN;
    int32_t status = single ? translate_one(s, ENTRY_VALID | ENTRY_READ, list[i], &result) : statuses[i];
    if (!single) result = physical[i];
    sum = sum * 31 + (uint32_t)status;
    sum = sum * 31 + (status == H_SUCCESS ? (uint32_t)(uint64_t)result : isnan(result));
  }
  return sum;
}

static void check(FILE *out) {
  uint32_t good = digest(addresses);
  fprintf(out, "good %u, faulty %u", good, digest(faulty));
}

static void end(void) {
  table_free(the_table);
  free(addresses);
  free(faulty);
  free(physical);
  free(statuses);
}

bool translate_scenario(int argc, char **argv, scenario *out) {
  if (argc != 5) return false;
  single = strcmp(argv[0], "single") == 0;
  uint32_t pages = (uint32_t)strtoul(argv[1], NULL, 10), random = (uint32_t)strtoul(argv[3], NULL, 10);
  count = (uint32_t)strtoul(argv[2], NULL, 10);
  the_table = table_new(1, 1, pages + UNMAPPED);
  bool drawn = strcmp(argv[4], "drawn") == 0;
  addresses = drawn ? malloc(count * sizeof(double)) : take_loaded(count * sizeof(double));
  if (addresses == NULL) return false;
  faulty = malloc(count * sizeof(double));
  physical = malloc(count * sizeof(double));
  statuses = malloc(count * sizeof(int32_t));
  map_all(&table_partition(the_table, 1)->memory, pages, &random);
  for (uint32_t i = 0; drawn && i < count; i++) addresses[i] = good_address(pages, &random);
  for (uint32_t i = 0; i < count; i++) faulty[i] = faulty_address(pages, &random);
  *out = (scenario){block, check, end};
  return true;
}
