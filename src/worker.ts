/**
 * Entry `lpar/worker`: inside a worker thread that is a partition.
 */
import { TableMemory } from "./binding.js";
import { systemClock } from "./clock.js";
import { LparError } from "./errors.js";
import { Kernel } from "./kernel.js";
import { Partition } from "./partition.js";
import { channelName, HANDLE_KEY, type ThreadHandle, workerThreads } from "./threads.js";

/** How long an attached worker waits for the owner's answer, in steps of ASK_MS. */
const ASKS = 500;
const ASK_MS = 10;

let current: Partition | undefined;

/** What spawn() left, or what attach() answers when asked. */
function findHandle(): ThreadHandle | undefined {
  const left = (globalThis as Record<symbol, unknown>)[Symbol.for(HANDLE_KEY)];
  if (left !== undefined) return left as ThreadHandle;
  const { BroadcastChannel, isMainThread, receiveMessageOnPort, threadId } = workerThreads();
  if (isMainThread) return undefined;
  const channel = new BroadcastChannel(channelName(threadId));
  try {
    channel.postMessage("ask");
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let ask = 0; ask < ASKS; ask++) {
      const answer = receiveMessageOnPort(channel as never);
      if (answer !== undefined) return answer.message as ThreadHandle;
      Atomics.wait(never, 0, 0, ASK_MS);
    }
    return undefined;
  } finally {
    channel.close();
  }
}

function join(handle: ThreadHandle): Partition {
  const names = new Map(handle.names);
  const partitions: Map<number, Partition> = new Map();
  const memory = new TableMemory(handle.memory, handle.module, handle.slot);
  const partitionOf = (lpid: number): Partition => {
    let partition = partitions.get(lpid);
    if (partition === undefined) {
      partition = new Partition(kernel, lpid, names.get(lpid) ?? `partition ${lpid}`);
      partitions.set(lpid, partition);
    }
    return partition;
  };
  const kernel = new Kernel(memory, systemClock, partitionOf, true, handle.debug);
  return partitionOf(handle.lpid);
}

/**
 * The partition that this thread is: same class, same rules as in the owner's thread. In a worker that was not spawned
 * the first call waits up to five seconds for the owner to attach() it.
 * @throws LparError LPAR_NOT_A_WORKER where the thread is no partition.
 */
export function currentPartition(): Partition {
  if (current !== undefined) return current;
  const handle = findHandle();
  if (handle === undefined) {
    throw new LparError(
      "LPAR_NOT_A_WORKER",
      "this thread is no partition: neither spawn() nor attach() made it one",
    );
  }
  current = join(handle);
  return current;
}
