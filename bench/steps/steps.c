/*
 * Runs a program, and counts how often its first thread executes each instruction between two signals SIGUSR2 that it sends itself.
 * Linux on x86-64. Between the second and the third signal nothing is counted, and so on: each pair is a section.
 *
 *     steps OUTPUT PROGRAM ARGUMENT ...
 *
 * OUTPUT gets "section", then a line "address count" for each instruction, in hexadecimal; OUTPUT.maps what is mapped where.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT_BITS 20
#define SLOTS (1u << SLOT_BITS)

static uint64_t addresses[SLOTS], counts[SLOTS];

static void count(uint64_t address) {
  uint32_t slot = (uint32_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SLOT_BITS));
  while (addresses[slot] != 0 && addresses[slot] != address) slot = (slot + 1) & (SLOTS - 1);
  addresses[slot] = address;
  counts[slot]++;
}

static void print_section(FILE *output) {
  fprintf(output, "section\n");
  for (uint32_t slot = 0; slot < SLOTS; slot++) {
    if (addresses[slot] != 0) fprintf(output, "%" PRIx64 " %" PRIx64 "\n", addresses[slot], counts[slot]);
    addresses[slot] = counts[slot] = 0;
  }
}

static int copy_maps(pid_t pid, const char *output) {
  char from[64], to[4096];
  snprintf(from, sizeof from, "/proc/%d/maps", (int)pid);
  snprintf(to, sizeof to, "%s.maps", output);
  FILE *source = fopen(from, "r"), *target = fopen(to, "w");
  if (source == NULL || target == NULL) return -1;
  for (int c = getc(source); c != EOF; c = getc(source)) putc(c, target);
  fclose(source);
  return fclose(target);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  FILE *output = fopen(argv[1], "w");
  int status;
  if (pid < 0 || output == NULL || waitpid(pid, &status, 0) < 0) return 1;
  int counting = 0, signal = 0;
  while (1) {
    ptrace(counting ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, (void *)(intptr_t)signal);
    signal = 0;
    if (waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status)) break;
    if (WSTOPSIG(status) == SIGUSR2) {
      counting = !counting;
      if (!counting) {
        print_section(output);
        if (copy_maps(pid, argv[1]) != 0) return 1;
      }
    } else if (WSTOPSIG(status) != SIGTRAP) {
      signal = WSTOPSIG(status);
    } else if (counting) {
      count((uint64_t)ptrace(PTRACE_PEEKUSER, pid, (void *)offsetof(struct user_regs_struct, rip), NULL));
    }
  }
  fclose(output);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
