/**
 * Suite access: `access read|write <bytes> <bytes of the memory> <places> <seed> drawn|loaded`, memcpy at the same places as
 * bench/access.ts.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

#define FEW_PLACES 64
#define MARGIN 16384

static uint8_t *memory, *buffer;
static uint32_t bytes, memory_bytes, count, *places;
static bool is_read;
/** Called through a variable, so that no copy is folded away. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static void all(void) {
  for (uint32_t i = 0; i < count; i++) {
    if (is_read) copy(buffer, memory + places[i], bytes);
    else copy(memory + places[i], buffer, bytes);
  }
}

static uint64_t block(uint64_t *ns) {
  // Short copies are repeated, so that the clock does not count.
  uint32_t rounds = bytes < 1024 && count <= FEW_PLACES ? 64 : 1;
  uint64_t start = now_ns();
  for (uint32_t i = 0; i < rounds; i++) all();
  *ns += now_ns() - start;
  return (uint64_t)rounds * count;
}

static uint32_t digest(const uint8_t *from, uint32_t length) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < length; i++) sum = sum * 31 + from[i];
  return sum;
}

static void check(FILE *out) {
  all();
  fprintf(out, "memory %u, buffer %u", digest(memory, memory_bytes), digest(buffer, bytes));
}

static void end(void) {
  free(memory);
  free(buffer);
  free(places);
}

bool access_scenario(int argc, char **argv, scenario *out) {
  if (argc != 6) return false;
  is_read = strcmp(argv[0], "read") == 0;
  uint32_t *sizes[] = {&bytes, &memory_bytes, &count};
  for (int i = 0; i < 3; i++) *sizes[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
  uint32_t random = (uint32_t)strtoul(argv[4], NULL, 10);
  bool drawn = strcmp(argv[5], "drawn") == 0;
  places = drawn ? malloc(count * sizeof(uint32_t)) : take_loaded(count * sizeof(uint32_t));
  if (places == NULL) return false;
  memory = aligned_alloc(4096, (memory_bytes / 4096 + 1) * 4096ull);
  buffer = malloc(bytes);
  for (uint32_t i = 0; i < memory_bytes; i++) memory[i] = (uint8_t)next_random(&random);
  for (uint32_t i = 0; i < bytes; i++) buffer[i] = (uint8_t)next_random(&random);
  for (uint32_t i = 0; drawn && i < count; i++) places[i] = next_below(&random, MARGIN);
  *out = (scenario){block, check, end};
  return true;
}
