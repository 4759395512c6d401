/** What main.c asks of a scenario, and the random numbers that it shares with bench/random.ts. */
#ifndef LPAR_BENCH_SCENARIO_H
#define LPAR_BENCH_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

typedef struct {
  /** One block of operations: adds the nanoseconds that count to *ns, answers how many operations it did. */
  uint64_t (*block)(uint64_t *ns);
  /** Writes what it computes, for comparison with the others. */
  void (*check)(FILE *out);
  void (*end)(void);
} scenario;

/** Each reads its own arguments and fills `out`; false if they are wrong. */
bool translate_scenario(int argc, char **argv, scenario *out);
bool grant_scenario(int argc, char **argv, scenario *out);
bool tree_scenario(int argc, char **argv, scenario *out);
bool recovery_scenario(int argc, char **argv, scenario *out);
bool access_scenario(int argc, char **argv, scenario *out);
bool churn_scenario(int argc, char **argv, scenario *out);

/** The numbers that were loaded for this setup, which are the caller's now; NULL if there are none of so many bytes. */
void *take_loaded(size_t bytes);

static inline uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/** mulberry32. */
static inline uint32_t next_random(uint32_t *state) {
  uint32_t z = *state += 0x6d2b79f5u;
  z = (z ^ z >> 15) * (z | 1);
  z ^= z + (z ^ z >> 7) * (z | 61);
  return z ^ z >> 14;
}

/** 0 to limit - 1. */
static inline uint32_t next_below(uint32_t *state, uint32_t limit) {
  return (uint32_t)(((uint64_t)next_random(state) * limit) >> 32);
}

static inline void shuffle(uint32_t *numbers, uint32_t count, uint32_t *state) {
  for (uint32_t i = 0; i < count; i++) numbers[i] = i;
  for (uint32_t i = count; i > 1; i--) {
    uint32_t j = next_below(state, i), kept = numbers[i - 1];
    numbers[i - 1] = numbers[j];
    numbers[j] = kept;
  }
}

#endif
