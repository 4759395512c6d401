/**
 * Every number that the core (compiled by asc) and TypeScript (compiled by tsc) must agree on: offsets, sizes, flags,
 * states and statuses. Both compilers read this very file, so it imports nothing, annotates nothing, and keeps to
 * integers below 2^31: beyond that the two languages mean different things (test/layout.test.ts compares every value).
 */

export const LAYOUT_MAGIC = 0x5241504c; // "LPAR", little-endian
export const LAYOUT_VERSION = 13;

export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;

// ---------------------------------------------------------------- statuses (PAPR, hcall return codes)

/** Done. */
export const H_SUCCESS = 0;
/** Part of it is done; the same call goes on with it (G1). */
export const H_BUSY = 1;
/** The partner has no queue, or does not run (CQ3, CQ4). */
export const H_CLOSED = 2;
/** Done with less than was asked; no call answers it. */
export const H_CONSTRAINED = 4;
/** Part of a long work is done; the same call goes on with it (RS5). */
export const H_PARTIAL = 5;
/** A device has no model, or the model failed, or did not answer in time (KI2). */
export const H_HARDWARE = -1;
/** There is no such function; of the batch form. */
export const H_FUNCTION = -2;
/** No call answers it. */
export const H_PRIVILEGE = -3;
/** An argument is wrong, or names nothing that the caller has (G2, G3). */
export const H_PARAMETER = -4;
/** There is nothing of the kind. */
export const H_NOT_FOUND = -7;
/** A quota, a space or the memory is used up. */
export const H_NO_MEM = -9;
/** No call answers it. */
export const H_AUTHORITY = -10;
/** The right is not there (GR5, TR1). */
export const H_PERMISSION = -11;
/** The queue is full; nothing was overwritten (CQ3). */
export const H_DROPPED = -12;
/** It is in use: pins, grants below, a lend (RE2, RE3, RS2). */
export const H_RESOURCE = -16;
/** No call answers it. */
export const H_R_STATE = -45;
/** It was taken back, or is being taken back, or the partition does not run. */
export const H_RESCINDED = -46;
export const H_NEED_ALL = 0x7fff; // inside the core only: the locks that are held do not do
export const H_NEED_COPY = 0x7ffe; // inside the core only: a page must be copied before it is written
export const H_LONG_BUSY_1_MSEC = 9900; // inside the core: a page of the range is being moved
/** H_LongBusyOrder10msec: another thread has a lock that the call needs; nothing was done, try again. */
export const H_LONG_BUSY_10_MSEC = 9901;

// ---------------------------------------------------------------- function tokens of the batch form

export const TOKEN_GRANT = 0x1c4;
export const TOKEN_RESCIND = 0x1c8;
export const TOKEN_ACCEPT = 0x1cc;
export const TOKEN_RETURN = 0x1d0;
export const TOKEN_GET_TCE = 0x1c;
export const TOKEN_PUT_TCE = 0x20;
export const TOKEN_STUFF_TCE = 0x138;
export const TOKEN_PUT_TCE_INDIRECT = 0x13c;

// ---------------------------------------------------------------- flags of H_GRANT_LOGICAL and H_RESCIND_LOGICAL

export const TYPE_MEMORY = 1;
export const TYPE_MMIO = 2;
export const TYPE_INTERRUPT = 4;
export const TYPE_DMA = 5;
export const TYPE_IPI = 6;
export const TYPE_MASK = 0x0f;
export const INHIBIT_READ = 0x80;
export const INHIBIT_WRITE = 0x40;
export const INHIBIT_REGRANT = 0x20;
export const INHIBIT_RESERVED = 0x10;
export const RESCIND_FORCED = 1;

/** Of a grant: owner and sharers have access. */
export const MODE_SHARE = 0;
/** Of a grant: the grantor has no access until it ends. */
export const MODE_LEND = 1;
/** Of a grant: who accepts owns it from then on. */
export const MODE_DONATE = 2;
export const MODE_MASK = 3;
/** Of a lend: what the borrower gives back is zero. */
export const MODE_ZERO = 4;
/** Of a grant, inside the core: the grantee's first write to a page gets it one of its own. */
export const MODE_COPY = 8;

export const NEED_READ = 1;
export const NEED_WRITE = 2;

// ---------------------------------------------------------------- logical spaces, in this order everywhere

export const SPACE_MEMORY = 0;
export const SPACE_MMIO = 1;
export const SPACE_INTERRUPT = 2;
export const SPACE_DMA = 3;
export const SPACE_IPI = 4;
export const SPACE_COUNT = 5;

// ---------------------------------------------------------------- limits

export const FRAMES_LIMIT = 0x100000; // a page table entry has 20 bits of frame
export const SPACE_PAGES_LIMIT = 0x1000000; // four levels of 64 in the free map
export const PARTITIONS_LIMIT = 4096;
export const STRUCTURES_LIMIT = 0xffffff; // a cookie has 24 bits of slot
export const ENDS_LIMIT = 0xffff; // a structure has 16 bits for its end
export const GENERATION_LIMIT = 0x1fffffff; // a cookie has 29 bits of generation
export const PINS_LIMIT = 0x7fff; // of one structure and of one frame
export const COOKIE_SLOTS = 0x1000000;

// ---------------------------------------------------------------- work

export const POOL_REFILL = 32; // structures that a partition fetches at once
export const POOL_MAX = 256; // and the most that it keeps
export const POOL_SPILL = 64; // and gives back at once
export const DEFAULT_BUDGET = 3072; // steps of one slice: 0.02 ms in cache, 0.5 ms when every step misses
export const ZERO_PAGE_STEPS = 8; // zeroing one page counts as so many steps
export const TELL_STEPS = 24; // telling a partner through one adapter counts as so many: its record and its ring are far away
export const CUT_PAGES_PER_STEP = 64; // changing so many page table entries counts as one step
export const RETURN_PAGES = 65536; // pages that one return unmaps and frees at once

// ---------------------------------------------------------------- header, at byte 0 of the memory

export const HEADER_BYTES = 512;
export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
export const HEADER_PARTITIONS_MAX = 8; // lpids are 1 .. max
export const HEADER_STRUCTURES_MAX = 12; // slots are 1 .. max
export const HEADER_ENDS_MAX = 16; // slots are 1 .. max
export const HEADER_FRAMES_MAX = 20;
export const HEADER_STAGING_PAGES = 24;
export const HEADER_EVENTS_MAX = 28; // entries of one event ring, a power of two
export const HEADER_SPACE_PAGES = 32; // 5 words, one per space
export const HEADER_THREADS_MAX = 52; // slots are 0 (the owner) .. max - 1
export const HEADER_PARTITIONS_AT = 64; // byte offsets of the regions
export const HEADER_ENDS_AT = 72;
export const HEADER_TABLES_AT = 76;
export const HEADER_ARENAS_AT = 80;
export const HEADER_EVENTS_AT = 84;
export const HEADER_FRAME_MAP_AT = 88;
export const HEADER_FRAME_PINS_AT = 92;
export const HEADER_AUDIT_AT = 96;
export const HEADER_STAGING_MAP_AT = 100;
export const HEADER_STAGING_AT = 104;
export const HEADER_FRAMES_AT = 108;
export const HEADER_TABLE_BYTES = 112; // page tables of one partition
export const HEADER_ARENA_BYTES = 116; // arena maps of one partition
export const HEADER_END_AT = 120; // end of the last region
export const HEADER_ENDS_OWNED_MAX = 124; // ends that partitions can have; the other slots are room for orphans
export const HEADER_POOL = 116; // the free list is a pool, too, as if of a partition here
export const HEADER_STRUCTURE_FREE = 128; // head of the free list
export const HEADER_STRUCTURES_LISTED = 132; // how many it has
export const HEADER_STRUCTURE_FRESH = 136; // from here on slots were never used yet
export const HEADER_STRUCTURES_RETIRED = 140;
export const HEADER_END_FREE = 144;
export const HEADER_END_FRESH = 148;
export const HEADER_ENDS_USED = 152; // ends that partitions have
export const HEADER_FRAMES_FREE = 156;
export const HEADER_FRAMES_QUARANTINED = 160;
export const HEADER_QUARANTINE_MAX = 220; // frames that forced rescinds may put into quarantine
export const HEADER_MARKING = 164; // revocations whose subtree is not marked to the end
export const HEADER_REVOCATIONS = 168; // revocations not complete
export const HEADER_FAILURES = 172; // serial number of the last failure, even
export const HEADER_LPIDS_USED = 176; // the highest lpid that was ever in use
export const HEADER_BUDGET = 180; // steps of one slice of return and rescind
export const HEADER_MOVES = 184; // pages moved so far, wraps
export const HEADER_PARTITIONS_USED = 188;
export const HEADER_ENDS_RETIRED = 192;
export const HEADER_AUDIT_CHECKED = 196;
export const HEADER_AUDIT_PROBLEMS = 200;
export const HEADER_END_ORPHANS = 204; // list of ends whose owner is gone, and whose partner has not returned all
export const HEADER_THREADS_AT = 208;
export const HEADER_THREADS_USED = 212; // slots below this may be in use
export const HEADER_STAGING_OWNERS_AT = 216;
export const HEADER_PINS_AT = 224;
export const HEADER_PINS_MAX = 228; // slots are 1 .. max
export const HEADER_PIN_FREE = 232;
export const HEADER_PIN_FRESH = 236;
export const HEADER_PINS_USED = 240;
export const HEADER_ENDS_ORPHANED = 244; // how many it has
export const HEADER_FRAMES_SAVED = 256; // references to frames beyond the first of each
export const HEADER_MERGES = 260; // pages merged so far, saturates: 0 while none ever was
export const HEADER_COPIES = 264; // private pages of copy-on-write mappings
export const HEADER_AUDIT_SAVED = 284;
export const HEADER_COPIED = 280; // 1 once there was a copy-on-write grant
export const HEADER_TORN_DOWN = 248; // structures torn down by revocations so far, wraps
export const HEADER_TELLER = 252; // lpid of the partition whose partners are being told, 0: none's are
export const HEADER_TELLER_END = 276; // the adapter end through which that goes on, 0: all have been told
export const HEADER_PAGES_LENT = 500; // of all partitions
// In a line of their own: what every call reads of the header stays in every thread's cache while these change.
export const HEADER_LOCK = 320; // taken first by who takes all locks: name of the thread that holds it, 0 if nobody does
export const HEADER_EPOCH = 324; // counts revocations whose marking is complete, by twos; odd, so never 0
export const HEADER_LINES_AT = 268; // interrupt and port lines, partition by partition
export const HEADER_LINES_BYTES = 272; // lines of one partition

// ---------------------------------------------------------------- thread record: who may change the table, and how far it is

export const THREAD_BYTES = 5120;
export const THREAD_NAME = 0; // what it writes into the lock, 0: the slot is free
export const THREAD_GENERATION = 4; // survives the release of the slot
export const THREAD_LPID = 8; // the partition that it is, 0: the owner
export const THREAD_LOG_TOP = 12; // bytes of notes since the last commit
export const THREAD_JOB = 16; // what is half done if it dies now, 0: nothing
export const THREAD_JOB_SLOT = 20;
export const THREAD_JOB_LPID = 24;
export const THREAD_JOB_SPACE = 28;
export const THREAD_JOB_PAGE = 32;
export const THREAD_JOB_COUNT = 36;
export const THREAD_REAPING = 40; // slot + 1 of a dead thread whose work it is undoing
export const THREAD_STARTING = 44; // lpid of a partition that it is starting, START_CREATED: for the first time
export const THREAD_RESULT = 48; // f64: the second result of its last call (register R4)
export const THREAD_JOB_LENDER = 56; // lpid whose pages the job is about too, 0: none
export const THREAD_JOB_LENT_PAGE = 60;
export const THREAD_EPOCH = 64; // the epoch in which its running use began, 0: no use runs
export const THREAD_BEHIND = 96; // the slots of the last AHEAD_MOST structures that its slice of a revocation has walked over; touch.ts
export const THREAD_ENTRY = 128; // 16 bytes: the queue entry or event last taken
export const THREAD_BUDGET_LEFT = 144; // steps that its last slice of a revocation did not use
export const THREAD_TOUCHED = 148; // means nothing: what was read only to have it in the cache
/** Structures in use up to which nothing is touched before its time: all of them, a megabyte, are in a near cache. */
export const TOUCH_NEAR = 16384;
/** Structures from one to what it names as ahead of it: four misses are under way at once, as a core can look so far ahead. */
export const AHEAD_MOST = 8;
export const AHEAD_STEP = 0x1000000; // in STRUCTURE_AHEAD, above the slot
export const THREAD_WAITS_FOR = 152; // lpid whose use holds up its last slice of a revocation, plus 1; 0: none
export const THREAD_STUCK_ON = 172; // lpid whose views stand where no page can be moved away, plus 1; 0: none
export const THREAD_SIGNALS = 156; // counts what it signalled, to any partition, wraps
export const THREAD_LOCK_A = 160; // lpids whose locks it takes, holds or gives back, LOCK_ALL; 0: none
export const THREAD_LOCK_B = 164;
export const THREAD_POKE = 168; // counts how often others asked it to look whether it left the table locked
export const THREAD_COPY_LPID = 180; // the page that its last use of a bus must copy first
export const THREAD_COPY_PAGE = 184;
export const THREAD_WALKED = 188; // structures that it walked over to move its last pages
export const THREAD_WAKES = 176; // for whose sleepers it has still to call, 1: those of lock A, 2: those of lock B
export const THREAD_RUNS = 192; // two of RUN_BYTES: what its running commit tears down, by holder and end; means nothing after it
export const THREAD_LOG = 256; // notes, each behind what it notes
export const THREAD_MAIL = 4352; // MAILS requests to device models of other threads that it waits for
export const THREAD_TAKEN = 4480; // a copy of the request that it last took from another thread's mailbox
export const THREAD_BELL = 4512; // counts requests to its models and answers to its own requests, wraps
export const THREAD_MODEL_EPOCH = 4516; // the epoch in which its running access to a device began, 0: none runs
export const THREAD_MODEL_ROOT = 4520; // the window whose model it runs, MODEL_ANY; 0: none
export const THREAD_DEVICE = 4524; // the window that its last beginDevice() found
export const THREAD_SIGNALLED = 4528; // offsets of the last SIGNALLED partitions that it signalled, each at its count
export const THREAD_TRAY = 4544; // a few bytes on their way between a partition's memory and an array; means nothing between two calls
export const THREAD_TRAY_BYTES = 576;
export const SIGNALLED = 4;

export const MODEL_ANY = 0x1000000; // more than one window, or none found yet; no structure has this number
export const MAILS = 4; // so deep can device models that wait for each other be nested in one thread
export const MAIL_BYTES = 32;
export const MAIL_VALUE = 0; // to write, or as read; with the state one double word
export const MAIL_STATE = 4; // | sequence 24 | status 6 | state 2 |
export const MAIL_ADDRESS = 8; // f64
export const MAIL_SERVER = 16; // name of the thread that is to answer; in a copy: slot * MAILS + index of the mailbox
export const MAIL_LPID = 20; // whose access it is
export const MAIL_WHAT = 24; // | need | size 8 |
export const MAIL_NEED_SHIFT = 8;
export const MAIL_IDLE = 0;
export const MAIL_POSTED = 1;
export const MAIL_TAKEN = 2;
export const MAIL_ANSWERED = 3;
export const MAIL_STATE_MASK = 3;
export const MAIL_STATUS_SHIFT = 2;
export const MAIL_STATUS_MASK = 63; // the status without its sign; all ones: H_LongBusyOrder10msec
export const MAIL_SEQUENCE_SHIFT = 8;
export const THREAD_TCES = 2304; // in the upper half of the log, 512 words: TCEs that a call puts; what a batch touches
export const THREAD_CUTS = 3840; // at the end of the log, 128 words: entries of what its run has marked

export const RUN_BYTES = 32;
export const RUN_WHOSE = 0; // u64: holder and end as in a structure, or the holder alone; 0: nobody's
export const RUN_GRANTEE = 8; // byte offset of the holder's record
export const RUN_GRANTOR = 12; // lpid
export const RUN_ROOM = 16; // events that the holder's ring takes
export const RUN_COUNT = 20; // grants so far
export const RUN_ENTRIES = 24; // byte offset of the holder's page table

export const START_CREATED = 0x10000;
export const LOG_BYTES = 4096;
export const LOG_WORD_BYTES = 8; // old value, address
export const LOG_LINE_BYTES = 80; // 64 old bytes, 12 unused, address + 1
export const LINE_BYTES = 64;
export const LOCK_ALL = 0xffff;
export const LOCK_WAITERS = 0x40000000; // somebody sleeps on the lock
export const LOCK_SLOT_MASK = 0x3ff;
export const LOCK_GENERATION_SHIFT = 10;
export const LOCK_GENERATION_LIMIT = 0xfffff;
export const THREADS_LIMIT = 1023;

export const JOB_PAGES = 1; // the page table of a structure's range may be half written
export const JOB_STAGING = 2; // a run of staging may be half taken or half freed
export const JOB_ARENA = 3; // a run of a partition's own memory may be half taken or half freed
export const JOB_PIN = 4; // a pin may be half taken or half released
export const JOB_MOVE = 5; // the mappings of a page may not have followed the owner's
export const JOB_MIGRATE = 6; // the same, and the frames that the pages left or did not reach may not be free
export const JOB_SPLIT = 8; // a free frame may have been written to, and a page be held
export const JOB_ELEMENTAL = 7; // the page table of an elemental resource may be half written, its frames half taken
export const JOB_LENT = 24; // the entries of a lender may not be what its lend says
export const JOB_DONATE = 25; // a donated resource may stand in two page tables, or in none as a whole
export const JOB_RAISE = 20; // a raise may have reached a part of those who have the interrupt source
export const JOB_CUTS = 17; // the pages of what a run has marked, which the thread record lists, may not be cut yet
export const JOB_TCES = 16; // some of the TCEs that the thread record lists may not be put

// ---------------------------------------------------------------- partition record

export const PARTITION_BYTES = 256;
// Up to 64 what a grant, its accept, return and rescind change: one cache line, which passes between two threads.
export const PARTITION_STATE = 0;
export const PARTITION_LOCK = 4; // name of the thread that holds it, 0 if nobody does
export const PARTITION_HELD = 8; // list of the grants that it received
export const PARTITION_POOL = 12; // free structures for its next grants
export const PARTITION_POOL_COUNT = 16;
export const PARTITION_GRANTS_OUT = 20; // granted and shared, by it
export const PARTITION_GRANTS_IN = 24; // granted and shared, to it
export const PARTITION_PAGES_MAPPED = 28; // pages of others, reachable now
export const PARTITION_DEFERRED = 32; // where the walk over what it granted stands, all ones: over; 0: not begun (FA7)
export const PARTITION_RESCINDED = 36; // rescinded and not returned
export const PARTITION_EVENT_HEAD = 40; // next to take
export const PARTITION_EVENT_TAIL = 44; // next to put
export const PARTITION_EVENTS_LOST = 48;
export const PARTITION_EVENT_RING = 52; // byte offset
export const PARTITION_SIGNAL = 56; // counts events and queue entries for it, wraps
export const PARTITION_WAITING = 60; // non-zero: some thread sleeps until PARTITION_SIGNAL changes
export const PARTITION_INCARNATION = 64;
export const PARTITION_OWNED = 68; // list of its elemental resources
export const PARTITION_ENDS = 72; // list of its adapter ends
export const PARTITION_NOTICE = 76; // serial number of the notice that it heard last
export const PARTITION_PAGES_OWNED = 80;
export const PARTITION_PINS = 84;
export const PARTITION_QUARANTINED = 88;
export const PARTITION_MEMORY_PAGES = 92;
export const PARTITION_LMB_PAGES = 96;
export const PARTITION_ARENA_MAP = 100; // byte offset: free pages of its own memory
export const PARTITION_ARENA_ENDS = 104; // byte offset: last pages of allocations
export const PARTITION_PIN_LIST = 108;
export const PARTITION_SERIAL = 112; // of its failure
export const PARTITION_DRAIN = 116; // the epoch before which a use of what it had may have begun, 0: not known yet
export const PARTITION_DEFERRED_GENERATION = 120; // of the structure where it stands; of who does not wait: the slot at which it looks for rescinds that it had begun
export const PARTITION_PAGES_LENT = 124; // that it has lent or offers for donation
export const PARTITION_SPACES = 128; // 5 records of 16 bytes
export const PARTITION_TELLING = 208; // transport code of its failure until all partners have been told, else 0
export const PARTITION_COPIES = 212; // private pages of its copy-on-write mappings
export const PARTITION_AUDIT = 216; // scratch words of audit, 8 of them
export const PARTITION_AUDIT_LENT = 248; // scratch of audit
export const PARTITION_AUDIT_COPIES = 252; // scratch of audit
export const SPACE_BYTES = 16;
export const SPACE_ENTRIES = 0; // byte offset of the page table entries, u32 each
export const SPACE_BACKS = 4; // byte offset of the control structure of each page, u32 each
export const SPACE_MAP = 8; // byte offset of the map of free pages
export const SPACE_PAGES = 12;

export const PARTITION_FREE = 0;
export const PARTITION_RUNNING = 1;
export const PARTITION_FAILED = 2; // its partners are told, then grace may run
export const PARTITION_RECOVERING = 3; // grace is over
export const PARTITION_STOPPED = 4; // holds nothing; may start again

// ---------------------------------------------------------------- control structure

export const STRUCTURES_AT = 512; // right behind the header, so that it is a constant of the core
export const STRUCTURE_BYTES = 64;
export const STRUCTURE_STATE = 0; // u8
export const STRUCTURE_SPACE = 1; // u8
export const STRUCTURE_INHIBITS = 2; // u8, effective along the chain; its lowest bit is HINT_SHARED
export const STRUCTURE_FLAGS = 3; // u8
export const STRUCTURE_GENERATION = 4; // survives the release of the slot
export const STRUCTURE_HOLDER = 8; // u16: owner or grantee
export const STRUCTURE_PINS = 10; // u16
export const STRUCTURE_END = 12; // u16: the grantor's adapter end
export const STRUCTURE_ENTRIES = 14; // u16: TCEs that name this memory, or that were put through this pane
export const STRUCTURE_PARENT = 16;
export const STRUCTURE_CHILD = 20;
export const STRUCTURE_NEXT = 24;
export const STRUCTURE_PREVIOUS = 28;
export const STRUCTURE_NEXT_HELD = 32; // also links free slots
export const STRUCTURE_PREVIOUS_HELD = 36;
export const STRUCTURE_SOURCE_PAGE = 40; // first page in the grantor's space
export const STRUCTURE_PAGE_COUNT = 44;
export const STRUCTURE_PAGE = 48; // first page in the holder's space
export const STRUCTURE_CURSOR = 52; // where a revocation or a release stands
export const STRUCTURE_REMAINING = 56; // bound of its remaining steps
export const STRUCTURE_AHEAD = 56; // of what is no root of a revocation: | steps 8 | slot 24 | of what a walk soon comes to; touch.ts
export const STRUCTURE_LIOBN = 60; // of a DMA window pane; under revocation its pages whose TCEs have been ended
export const STRUCTURE_COPIES = 60; // of a copy-on-write grant: pages that are private
export const STRUCTURE_WINDOW = 60; // of MMIO: name of the thread that serves an elemental window; of a grant, its window
export const STRUCTURE_ZEROED = 60; // of a lend that ends: ZEROING, and pages that are zero already
export const STRUCTURE_MOVED = 60; // of memory: pages from the first that a forced rescind is done with, while it moves them

export const STRUCTURE_FREE = 0;
export const STRUCTURE_OWNED = 1; // elemental resource
export const STRUCTURE_GRANTED = 2;
export const STRUCTURE_SHARED = 3;
export const STRUCTURE_RESCINDED = 4;
export const STRUCTURE_RETURNING = 5; // unmapped, addresses not free yet (H_BUSY)
export const STRUCTURE_RETIRED = 6; // its generations are used up

/** In the byte of the inhibits: some grant of it may be a share, so that who lends looks for one. */
export const HINT_SHARED = 1;
export const ZEROING = 0x40000000;

export const FLAG_REVOKING = 1; // no new use may start
export const FLAG_ROOT = 2; // a revocation started here
export const FLAG_FREEING = 4; // the revocation has marked all and frees
export const FLAG_LENT = 16; // the grantor has no access to the pages
export const FLAG_DONATED = 32; // the same, and who accepts becomes their owner; of an owned one: it was donated
export const FLAG_ZERO = 64; // what the borrower gives back is zero
export const FLAG_COPY_ON_WRITE = 128; // a write gets the holder a page of its own
export const FLAG_DRAINING = 8; // the revocation has marked all and waits for running uses; the cursor is the epoch

// ---------------------------------------------------------------- page table entry: u32

export const ENTRY_FRAME = 0xfffff;
export const ENTRY_VALID = 0x100000;
export const ENTRY_READ = 0x200000;
export const ENTRY_WRITE = 0x400000;
export const ENTRY_RESCINDED = 0x800000;
/** A page that is being moved: nobody may begin to use it, and nobody is refused. */
export const ENTRY_HELD = 0x900000; // valid and rescinded at once
export const ENTRY_GENERATION_SHIFT = 24; // these 5 bits change with every mapping
export const ENTRY_PRIVATE = 0x20000000; // the frame is the mapping's own, not its source's
export const ENTRY_COPY_ON_WRITE = 0x40000000; // a write gets the page a frame of its own first
export const ENTRY_LENT_SHIFT = 31; // valid, but neither read nor written by its holder, who has lent it

// ---------------------------------------------------------------- virtual adapter end

export const END_BYTES = 64;
export const END_STATE = 0;
export const END_UNIT = 4; // its unit address; of a free one, the next; survives the release of the slot
export const END_OWNER = 8;
export const END_PARTNER = 12; // slot of the other end
export const END_QUOTA = 16;
export const END_PAIR = 16; // of an orphan: | former owner 16 | partner 16 |
export const END_USED = 20; // granted and shared through this end
export const END_UNRETURNED = 24; // rescinded, not returned by the partner
export const END_NEXT = 28; // in the owner's list, among orphans, or free
export const END_PREVIOUS = 32;
export const END_QUEUE_PAGE = 36;
export const END_QUEUE_PAGES = 40; // 0: not registered
export const END_QUEUE_HEAD = 44; // entry that the receiver takes next
export const END_QUEUE_TAIL = 48; // entry that the sender puts next
export const END_PENDING = 52; // transport events that found the ring full of events, bit per code
export const END_AUDIT_USED = 56;
export const END_AUDIT_UNRETURNED = 60;

export const END_FREE = 0;
export const END_OPEN = 1;
export const END_CLOSED = 2; // one of the partitions failed; freed when nothing counts on it; without an owner an orphan
export const END_RETIRED = 3;

// ---------------------------------------------------------------- queue (CRQ), in the receiver's memory

export const QUEUE_ENTRY_BYTES = 16;
export const QUEUE_ENTRIES_PER_PAGE = 256;
export const QUEUE_FREE = 0;
export const QUEUE_VALID = 0x80;
export const QUEUE_INITIALISATION = 0xc0;
export const QUEUE_TRANSPORT = 0xff;
export const TRANSPORT_FAILED = 1;
export const TRANSPORT_DEREGISTERED = 2;
export const TRANSPORT_SUSPENDED = 6;

// ---------------------------------------------------------------- event ring of a partition

export const EVENT_BYTES = 16; // u32 type, u32 lpid of the partner, f64 value
export const EVENT_TYPE = 0;
export const EVENT_LPID = 4;
export const EVENT_VALUE = 8;
export const EVENT_PARTNER_FAILED = 1;
export const EVENT_PARTNER_RECOVERED = 2;
export const EVENT_RESCINDED = 3;
export const EVENT_RETURNED = 4;
export const EVENT_INTERRUPT = 5;
export const EVENT_DOORBELL = 6;
export const EVENT_RESCIND_REQUESTED = 8; // the milliseconds that are left stand above it
export const EVENT_TYPE_MASK = 0xff;
export const EVENT_MS_SHIFT = 8;
export const EVENT_MS_LIMIT = 0xffffff;
export const EVENTS_LOST = 7;

// ---------------------------------------------------------------- line: one number of a partition's interrupt or port space

export const LINE_RECORD_BYTES = 12;
export const LINE_STATE = 0; // bits as below, and who raised it
export const LINE_NEXT = 4; // of a queued line: the index of the next one; of line 0: the first
export const LINE_PREVIOUS = 8; // of a queued line: the index of the one before; of line 0: the last
export const LINE_PENDING = 1; // raised, and not taken since
export const LINE_QUEUED = 2; // waits to be taken
export const LINE_IN_SERVICE = 4; // taken, and its end was not said yet
export const LINE_MASKED = 8;
export const LINE_ARMED = 16; // taking is not its end
export const LINE_FROM_SHIFT = 8; // of a pending line: lpid of who raised it first, 0: the manager

// ---------------------------------------------------------------- pin record: one zero-copy view

export const PIN_BYTES = 32;
export const PIN_GENERATION = 0;
export const PIN_LPID = 4; // 0: free, PIN_ORPHAN: the incarnation that took it is gone
export const PIN_STRUCTURE = 8; // slot, and its generation at that time
export const PIN_STRUCTURE_GENERATION = 12;
export const PIN_FRAME = 16;
export const PIN_FRAME_COUNT = 20;
export const PIN_NEXT = 24; // in the partition's list, or free
export const PIN_PREVIOUS = 28;
export const PIN_ORPHAN = 0xffff;
export const PIN_SLOTS = 0x200000; // a view's number: 21 bits of slot below the 32 of the generation, 0 when those are used up

// ---------------------------------------------------------------- TCE: one for each page of a DMA space, behind its page tables

export const TCE_BYTES = 16;
export const TCE_WORD = 0; // sequence 6, rights 2, page 24 of the holder's memory; without rights there is no entry
export const TCE_STRUCTURE = 4; // slot of the memory, and its generation when the entry was put
export const TCE_STRUCTURE_GENERATION = 8;
export const TCE_PANE = 12; // sequence 8, slot 24 of the pane through which it was put
export const TCE_SLOT_MASK = 0xffffff;
export const TCE_RIGHTS_SHIFT = 24;
export const TCE_SEQUENCE_SHIFT = 26;
export const TCE_SEQUENCE_MASK = 0x3f;
export const TCE_READ = 1; // rights in a caller's value, beside the logical address
export const TCE_WRITE = 2;
export const TCES_MAX = 512; // that one call puts
export const TCE_ENTRIES_LIMIT = 0xffff; // of one pane, and of one resource of memory

// ---------------------------------------------------------------- pin word of a frame: u32

export const FRAME_PINS = 0x7fff;
export const FRAME_QUARANTINED = 0x8000;
export const FRAME_LPID_SHIFT = 16; // who is charged for the quarantine, 0: nobody who still is
export const FRAME_SHARES_SHIFT = 16; // of a frame not in quarantine: references beyond the first
export const FRAME_SHARES_LIMIT = 0xffff;

// ---------------------------------------------------------------- request of the batch form, in staging

export const REQUEST_BYTES = 64;
export const REQUEST_TOKEN = 0; // u32, one of the function tokens
export const REQUEST_STATUS = 4; // i32, written by the core
export const REQUEST_LPID = 8; // f64, as all that follow
export const REQUEST_ARGUMENTS = 16; // five, in the order of the call
export const REQUEST_RESULT = 56; // f64: R4, written by the core

/** In the token of a call on grants: its numbers are words. The lpid is one, at its place, and of the rest all but a cookie. */
export const REQUEST_WORDS = 0x10000;
export const REQUEST_FLAGS = 12;
export const REQUEST_COOKIE = 16; // f64; of a grant three words instead
export const REQUEST_LOGICAL = 16;
export const REQUEST_LENGTH = 20;
export const REQUEST_UNIT = 24;

// ---------------------------------------------------------------- audit reports: u32 code, u32 a, u32 b, u32 unused

export const PROBLEM_BYTES = 16;
export const PROBLEMS_MAX = 256;

export const PROBLEM_PARTITION_COUNTER = 1; // a: lpid, b: byte offset of the counter
export const PROBLEM_PARTITION_STATE = 2; // a: lpid, b: state
export const PROBLEM_PARTITION_HOLDS = 3; // a: lpid that should hold nothing
export const PROBLEM_HELD_LINK = 4; // a: structure, b: neighbour
export const PROBLEM_TREE_LINK = 5; // a: structure, b: neighbour
export const PROBLEM_STRUCTURE_STATE = 6; // a: structure, b: state
export const PROBLEM_STRUCTURE_RANGE = 7; // a: structure
export const PROBLEM_STRUCTURE_RIGHTS = 8; // a: structure, b: parent
export const PROBLEM_STRUCTURE_END = 9; // a: structure, b: end
export const PROBLEM_STRUCTURE_COUNT = 10; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_STRUCTURE_FLAGS = 11; // a: structure
export const PROBLEM_ENTRY = 12; // a: structure, b: page
export const PROBLEM_BACK = 13; // a: lpid * 8 + space, b: page
export const PROBLEM_FREE_MAP = 14; // a: lpid * 8 + space, b: page
export const PROBLEM_FRAME_OWNER = 15; // a: frame, b: structure
export const PROBLEM_FRAME_FREE = 16; // a: frame
export const PROBLEM_FRAME_COUNT = 17; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_FRAME_DIRTY = 18; // a: frame
export const PROBLEM_END_COUNTER = 19; // a: end, b: byte offset of the counter
export const PROBLEM_END_LINK = 20; // a: end
export const PROBLEM_END_QUEUE = 21; // a: end
export const PROBLEM_END_COUNT = 22; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_PIN = 23; // a: pin
export const PROBLEM_PIN_COUNT = 24; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_REVOCATIONS = 25; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_FREE_LIST = 26; // a: slot
export const PROBLEM_EVENTS = 27; // a: lpid
export const PROBLEM_LOST_FRAME = 28; // a: frame that nobody owns and that is not free
export const PROBLEM_THREAD = 29; // a: slot, b: byte offset of the word that should be 0
export const PROBLEM_MAP = 30; // a: lpid * 8 + space or MAP_, b: place
export const MAP_ARENA = 5;
export const MAP_FRAMES = 6; // with lpid 0
export const MAP_STAGING = 7;
export const PROBLEM_LENT_COUNT = 70; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_LINE = 40; // a: lpid * 8 + space, b: number
export const PROBLEM_LINE_QUEUE = 41; // a: lpid, b: index of the line where it breaks
export const PROBLEM_COPIES = 80; // a: structure, 0 for the header, b: private pages counted
export const PROBLEM_SHARES = 81; // a: counted, b: header; of those used up, or free and in no pool
export const PROBLEM_WINDOW = 60; // a: structure of a window, b: the window or thread that it names
export const PROBLEM_TCE = 50; // a: lpid of the window's owner, b: page of its DMA space
export const PROBLEM_TCE_COUNT = 51; // a: counted, b: in the structures
