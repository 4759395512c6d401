/**
 * Suite access: `access read|write <bytes> <bytes of the memory> <places> <seed> drawn|loaded whole|pages`, memcpy at the same
 * places as bench/access.ts: of a memory in one piece, or page by page of one whose frames lie in reverse.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "table.h"

#define FEW_PLACES 64
#define MARGIN 16384

static uint8_t *memory, *buffer;
static uint32_t bytes, memory_bytes, count, *places;
static bool is_read;
/** The page table; NULL where the memory is in one piece. */
static uint32_t *entries;
/** Called through a variable, so that no copy is folded away. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static uint8_t *byte_at(uint32_t address) {
  if (entries == NULL) return memory + address;
  return memory + (uint64_t)(entries[address / PAGE_BYTES] & ENTRY_FRAME) * PAGE_BYTES + address % PAGE_BYTES;
}

/** Nothing moves before all of it is known to be there, as in the core. */
static void by_pages(uint32_t place) {
  uint32_t need = ENTRY_VALID | (is_read ? ENTRY_READ : ENTRY_WRITE);
  for (uint32_t page = place / PAGE_BYTES; page <= (place + bytes - 1) / PAGE_BYTES; page++) {
    if ((entries[page] & (need | ENTRY_RESCINDED)) != need) abort();
  }
  for (uint32_t done = 0; done < bytes;) {
    uint32_t size = PAGE_BYTES - (place + done) % PAGE_BYTES;
    if (size > bytes - done) size = bytes - done;
    if (is_read) copy(buffer + done, byte_at(place + done), size);
    else copy(byte_at(place + done), buffer + done, size);
    done += size;
  }
}

static void all(void) {
  for (uint32_t i = 0; i < count; i++) {
    if (entries != NULL) by_pages(places[i]);
    else if (is_read) copy(buffer, memory + places[i], bytes);
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

static void check(FILE *out) {
  all();
  uint32_t of_memory = 0, of_buffer = 0;
  for (uint32_t i = 0; i < memory_bytes; i++) of_memory = of_memory * 31 + *byte_at(i);
  for (uint32_t i = 0; i < bytes; i++) of_buffer = of_buffer * 31 + buffer[i];
  fprintf(out, "memory %u, buffer %u", of_memory, of_buffer);
}

static void end(void) {
  free(memory);
  free(buffer);
  free(places);
  free(entries);
}

bool access_scenario(int argc, char **argv, scenario *out) {
  if (argc != 7) return false;
  is_read = strcmp(argv[0], "read") == 0;
  uint32_t *sizes[] = {&bytes, &memory_bytes, &count};
  for (int i = 0; i < 3; i++) *sizes[i] = (uint32_t)strtoul(argv[i + 1], NULL, 10);
  uint32_t random = (uint32_t)strtoul(argv[4], NULL, 10);
  bool drawn = strcmp(argv[5], "drawn") == 0;
  places = drawn ? malloc(count * sizeof(uint32_t)) : take_loaded(count * sizeof(uint32_t));
  if (places == NULL) return false;
  uint32_t pages = (memory_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
  memory = aligned_alloc(PAGE_BYTES, (uint64_t)pages * PAGE_BYTES);
  buffer = malloc(bytes);
  entries = strcmp(argv[6], "pages") == 0 ? malloc(pages * sizeof(uint32_t)) : NULL;
  for (uint32_t i = 0; entries != NULL && i < pages; i++) {
    entries[i] = (pages - 1 - i) | ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;
  }
  for (uint32_t i = 0; i < memory_bytes; i++) *byte_at(i) = (uint8_t)next_random(&random);
  for (uint32_t i = 0; i < bytes; i++) buffer[i] = (uint8_t)next_random(&random);
  for (uint32_t i = 0; drawn && i < count; i++) places[i] = next_below(&random, MARGIN);
  *out = (scenario){block, check, end};
  return true;
}
