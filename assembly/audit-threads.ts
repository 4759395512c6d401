/** Audit of thread records. */
import {
  HEADER_THREADS_USED,
  PROBLEM_THREAD,
  THREAD_JOB,
  THREAD_LOG_TOP,
  THREAD_REAPING,
  THREAD_STARTING,
} from "../src/layout";
import { check } from "./findings";
import { header } from "./memory";
import { threadAt, threadWord } from "./thread";

/** Nobody has left a call half done: the caller holds the lock, so nobody is in one. */
export function auditThreads(): void {
  for (let slot: u32 = 0; slot < header(HEADER_THREADS_USED); slot++) {
    const thread = threadAt(slot);
    check(threadWord(thread, THREAD_LOG_TOP) == 0, PROBLEM_THREAD, slot, THREAD_LOG_TOP);
    check(threadWord(thread, THREAD_JOB) == 0, PROBLEM_THREAD, slot, THREAD_JOB);
    check(threadWord(thread, THREAD_STARTING) == 0, PROBLEM_THREAD, slot, THREAD_STARTING);
    check(threadWord(thread, THREAD_REAPING) == 0, PROBLEM_THREAD, slot, THREAD_REAPING);
  }
}
