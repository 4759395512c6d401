/**
 * The limit that the machine allows: the grant table of the core, written in C over flat arrays. The same records, the
 * same lists, the same checks in the same order; what it leaves out is what a benchmark never reaches (four of the five kinds of
 * resource, pins, queues), and what the core does beside: the events that tell of a return or a rescind, locks and the undo log.
 */
#ifndef LPAR_BENCH_TABLE_H
#define LPAR_BENCH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES 4096u
#define NONE 0xffffffffu

enum { H_SUCCESS = 0, H_PARAMETER = -4, H_NO_MEM = -9, H_PERMISSION = -11, H_RESOURCE = -16, H_RESCINDED = -46 };
enum { TYPE_MEMORY = 1, INHIBIT_READ = 0x80, INHIBIT_WRITE = 0x40, INHIBIT_REGRANT = 0x20, INHIBIT_RESERVED = 0x10 };
enum { ENTRY_FRAME = 0xfffff, ENTRY_VALID = 0x100000, ENTRY_READ = 0x200000, ENTRY_WRITE = 0x400000 };
enum { ENTRY_RESCINDED = 0x800000 };

/** Page tables of one partition, and the map of its free pages: four levels of 64-bit words, as in bitmap.ts. */
typedef struct {
  uint32_t *entries;
  uint32_t *backs;
  uint64_t *map[4];
  uint32_t pages;
} space;

typedef struct {
  uint32_t running, held, owned, pages_mapped, grants_out, grants_in, rescinded;
  space memory;
} partition;

typedef struct table table;

/** Partitions 1 to `partitions`, each with `pages` logical pages, and room for so many control structures. */
table *table_new(uint32_t partitions, uint32_t structures, uint32_t pages);
void table_free(table *t);
/** An LMB of `count` pages at logical page 0, frames from `frame` on. */
void table_own(table *t, uint32_t lpid, uint32_t count, uint32_t frame);
/** A virtual adapter; the unit address of b in a's eyes. That of a in b's eyes is one more. */
uint32_t table_connect(table *t, uint32_t a, uint32_t b, uint32_t quota);
partition *table_partition(table *t, uint32_t lpid);

/** The four hypercalls. The second result goes to *r4. Addresses and lengths are bytes. */
int32_t h_grant(table *t, uint32_t lpid, uint32_t flags, uint64_t address, uint64_t length, uint32_t unit, uint64_t *r4);
int32_t h_accept(table *t, uint32_t lpid, uint64_t cookie, uint64_t *r4);
int32_t h_return(table *t, uint32_t lpid, uint64_t cookie);
int32_t h_rescind(table *t, uint32_t lpid, uint32_t flags, uint64_t cookie, uint64_t *torn_down);

/** What h_rescind does by force: marks the whole subtree, then tears it down, leaves first. Answers the structures. */
uint64_t revoke(table *t, uint32_t root);
/** A failed partition: what it accepted is returned, what it granted is rescinded by force. */
void table_fail(table *t, uint32_t lpid);

int32_t translate_one(const space *s, uint32_t need, double address, double *physical);
void translate_batch(const space *s, uint32_t need, const double *addresses, double *physical, int32_t *statuses,
                     uint32_t count);

#endif
