/** What `lpar bench --help` says below the options. */

import { SCAN_VALUES_MAX } from "../../bench/scan.js";

export const BENCH_HELP: string = `
Suites:
  translate   batches and single look-ups, 2^12 to 2^22 pages; from which size on batches pay
  grant       grant + accept + return + rescind, through objects, raw hypercalls and batches of requests
  tree        forced rescind of trees up to a million grants: per node, and the longest slice
  recovery    of a partition with many grants, from fail() until recovered()
  access      checked reads, writes and views
  churn       a recorded program, or a distribution, uses pages that are granted and taken back around it
  boundary    what one crossing into Wasm costs; from which size on batches of hypercalls pay
  moves       pages that move under live mappings: forced rescinds under views, compaction
  guest       checked reads and writes that a Wasm guest makes
  modes       grant + accept + return + rescind as a lend, with and without zero, against the same as a share
  copies      first writes to copy-on-write pages, and merging of equal pages
  dma         entries of a DMA window pane, one by one and 512 at once; a device's read through the window
  contention  what locks, undo log and epochs cost; two workers against one; checked reads in a worker
  handoff     memory from worker to worker and back, by grants and a doorbell
  death       from a worker's exit until recovered; from a forced rescind until no other thread can read (p50, p99)
  mmio        a load from a device model in the same thread and in another one; ring, spin: a bare question and answer
  kinds       the other kinds of resource: a doorbell there and back between two workers

All contenders must compute the same: the command fails (exit code 1) when results differ, never because of
times, unless --assert sets a limit. Baselines:
  native      C at -O3, compiled on the spot if there is cc
  typed       typed arrays in JavaScript
  map         a Map of objects
  copy        Uint8Array.set() without checks
  engine      the same out of shared memory or into it, as a table's is
  wasm        memory.copy within one Wasm memory, without checks
  share       the same as a share
  bare        the core without locks, undo log and epochs, compiled on the spot in the repository if assemblyscript is installed
  alone       one worker instead of two
  apart       as many workers, each with a table of its own: what the machine allows
  single      the same by single calls
  ring        a hand-written ring in a SharedArrayBuffer, asleep with Atomics while it is empty
  spin        the same ring, which spins first
  transfer    postMessage() of an ArrayBuffer that is given away
  clone       postMessage() of an ArrayBuffer that is copied
  flag        a hand-written flag that readers look at before they read
  idle        the same revocation while nobody reads

Scans: --scan name=a,b,c or --scan name=lo..hixF (from lo on, each F times the one before, up to hi; at most
  ${SCAN_VALUES_MAX} values). The suites that use the parameter run once for each value, the other ones once, and rows carry
  the value. Several scans make all combinations.

Repetitions are interleaved (each contender takes its turn in every one of them), and medians count. The 95 % interval
  of a median is that of order statistics: with six repetitions from the least to the greatest; with fewer it
  is as wide, and holds with less (every report says with how much). The interval of a ratio is that of the ratios of
  single repetitions.

Latencies: of single operations, where a contender has one to offer, in an HDR histogram. One that is too short for the
  clock is timed in blocks, whose means then count; the report says so. With --rate operations are due at fixed
  times (open loop), and latencies count from then, so that an operation that stalls is seen in those that wait for it:
  "corrected" for coordinated omission, "uncorrected" from their real begin. If the rate is more than can be done,
  the report says what was.

Limits: --assert '[ROWS:]METRIC<LIMIT' (or <=), METRIC one of median, ratio (to the baseline that counts), mean, p50, p90,
  p99, p99.9, max (these of latencies, corrected if there is a rate), LIMIT like 2us or, for ratio, 1.5; ROWS is a part of the
  names of the rows meant ("translate: batch"), all if left out. Each row that misses a limit is named, and so is a limit
  that no row can keep because none has the figure; then the exit code is 3.

Output: text on stdout, with plots on a terminal (not with --plain; without colour if NO_COLOR is set or TERM is dumb). --json, --csv and --md
  print that on stdout instead. --out FILE (.json, .csv, .md or .html) and --html FILE write files as well, as
  many as wanted, from the same run; a run that was interrupted replaces none. --from FILE takes a JSON report instead of
  measuring. "lpar compare" compares two.

Exit codes: 0 done, 1 a wrong result, or a file that cannot be written, 2 a mistake in the call, 3 a limit of --assert missed,
  130 Ctrl-C.

Examples:
  $ lpar bench
  $ lpar bench translate grant --seed 7
  $ lpar bench tree --time 500 --repetitions 5
  $ lpar bench translate --scan pages=2^12..2^20x4 --html translate.html
  $ lpar bench grant --pages 100000 --dist zipf:1.1 --rate 50000 --assert 'p99<200us'
  $ lpar bench --out before.json && git switch faster && npm run build && lpar bench --out after.json
  $ lpar compare before.json after.json --fail-above 5%
  $ lpar bench --quick --json > bench.json`;
