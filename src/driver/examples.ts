/** What the examples of several commands have to say. */

export const BENCH_FOLDER = "bench/ is a folder of the repository; the package is without it.";
