/**
 * The native baselines as one process that is told line by line what to do, so that its measurements can be interleaved
 * with those in JavaScript:
 *
 *   load <bytes>, and so many bytes -> ok    numbers for the next setup
 *   setup <suite> <arguments...>   -> ok
 *   measure <milliseconds>         -> nanoseconds per operation
 *   check                          -> what was computed
 *   end                            -> ok
 *
 * It ends with its input.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

static const struct {
  const char *name;
  bool (*make)(int argc, char **argv, scenario *out);
} SUITES[] = {
    {"translate", translate_scenario}, {"grant", grant_scenario},   {"tree", tree_scenario},
    {"recovery", recovery_scenario},   {"access", access_scenario},
    {"churn", churn_scenario},
};

static void *loaded;
static size_t loaded_bytes;

/** Numbers come in the byte order of this machine, which both ends run on. */
static bool load(size_t bytes) {
  free(loaded);
  loaded = malloc(bytes);
  loaded_bytes = bytes;
  return loaded != NULL && fread(loaded, 1, bytes, stdin) == bytes;
}

void *take_loaded(size_t bytes) {
  if (loaded == NULL || loaded_bytes != bytes) return NULL;
  void *taken = loaded;
  loaded = NULL;
  return taken;
}

static bool setup(int argc, char **argv, scenario *current) {
  for (size_t i = 0; argc > 0 && i < sizeof SUITES / sizeof *SUITES; i++) {
    if (strcmp(SUITES[i].name, argv[0]) == 0) return SUITES[i].make(argc - 1, argv + 1, current);
  }
  return false;
}

static void measure(const scenario *current, uint64_t limit_ns) {
  uint64_t start = now_ns(), spent = 0, operations = 0;
  do operations += current->block(&spent);
  while (now_ns() - start < limit_ns);
  printf("%.6f\n", (double)spent / (double)operations);
}

int main(void) {
  // Ctrl-C is for the benchmark; this process ends when its input does.
  signal(SIGINT, SIG_IGN);
  char line[256];
  scenario current = {0};
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *words[16];
    int count = 0;
    for (char *word = strtok(line, " \n"); word != NULL && count < 16; word = strtok(NULL, " \n")) words[count++] = word;
    if (count == 0) continue;
    if (strcmp(words[0], "load") == 0 && count == 2) {
      puts(load(strtoul(words[1], NULL, 10)) ? "ok" : "error");
    } else if (strcmp(words[0], "setup") == 0 && current.end == NULL) {
      puts(setup(count - 1, words + 1, &current) ? "ok" : "error");
    } else if (current.end == NULL) {
      puts("error");
    } else if (strcmp(words[0], "measure") == 0 && count == 2) {
      measure(&current, (uint64_t)(atof(words[1]) * 1e6));
    } else if (strcmp(words[0], "check") == 0) {
      current.check(stdout);
      putchar('\n');
    } else if (strcmp(words[0], "end") == 0) {
      current.end();
      current = (scenario){0};
      puts("ok");
    } else {
      puts("error");
    }
    fflush(stdout);
  }
  return 0;
}
