/**
 * What the host gives to each instance: the name of this file is the name of the module that they are imported from.
 */

/** Byte offset of this thread's record: with it the core has no state of its own, and no call names its thread. */
export declare const thread: usize;

/** Waits a short while for the lock at `address` to change from `word`; 0 when it is time to give up. */
export declare function pause(address: usize, word: u32, attempt: u32): u32;
