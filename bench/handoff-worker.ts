/** A thread of the suite handoff: the caller, or the server. */
import { type MessagePort, workerData } from "node:worker_threads";
import type { CrqEntry } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { currentPartition } from "../src/worker.js";
import {
  type Caller,
  grantCaller,
  grantServer,
  messageCaller,
  messageServer,
  PostService,
  postCaller,
  type Rings,
  type Server,
  sharedCaller,
  sharedServer,
} from "./handoff-ways.js";
import type { Latency, LatencyOptions, Operation } from "./latency.js";
import { takeOrders } from "./orders.js";
import { WorkerMeters } from "./remote-meter.js";
import { RING_WORDS, Ring } from "./ring.js";
import { BufferWords, PartitionWords, replyTo } from "./stamps.js";
import type { Sample } from "./suite.js";

/** What both threads know from the beginning. */
export interface Post {
  readonly bytes: number;
  /** Logical addresses of this thread's partition: the page of the rings, and what is handed over by a standing grant. */
  readonly ringAddress: number;
  readonly address: number;
  /** The baseline: two rings, and what is handed over. */
  readonly rings: SharedArrayBuffer;
  readonly shared: SharedArrayBuffer;
}

/** How it is handed over. */
export interface How {
  readonly way: "grant" | "standing" | "messages" | "shared" | "clone" | "transfer";
  /** Looks at a ring before its end sleeps. */
  readonly spins: number;
}

/** For so long; and with these stamps. */
export interface RunOrder extends How {
  readonly timeMs: number;
}

/** One by one, each for itself. */
export interface TimeOrder extends How {
  readonly options: LatencyOptions;
}

export interface CheckOrder extends How {
  readonly stamps: readonly number[];
}

const { bytes, ringAddress, address, rings, shared } = workerData as Post;
const partition = currentPartition();
const [adapter] = partition.adapters;
if (adapter === undefined) throw new Error("the partition has no adapter");
/** Stays: a waiting thread costs nothing, and the page is only given back at the end. */
const { bytes: page } = partition.view(ringAddress, PAGE_BYTES);
const meters = new WorkerMeters();
let messages: AsyncIterator<CrqEntry>;
let port: MessagePort;
let service: PostService | undefined;

/** The rings in the granted page, or those of the baseline. */
function ringsOf({ way, spins }: How): Rings {
  const [buffer, start] = way === "shared" ? [rings, 0] : [page.buffer, page.byteOffset];
  const ring = (index: number): Ring =>
    new Ring(new Int32Array(buffer, start + index * RING_WORDS * 4, RING_WORDS), spins);
  return { out: ring(0), back: ring(1) };
}

function callerOf(how: How): Caller {
  switch (how.way) {
    case "grant":
      return grantCaller(partition, adapter as never, address, bytes, ringsOf(how));
    case "standing":
      return sharedCaller(new PartitionWords(partition, address), bytes, ringsOf(how));
    case "messages":
      return messageCaller(partition, adapter as never, messages, address, bytes);
    case "shared":
      return sharedCaller(new BufferWords(shared), bytes, ringsOf(how));
    default:
      return postCaller(port, bytes, how.way === "transfer");
  }
}

function serverOf(how: How): Server {
  switch (how.way) {
    case "grant":
      return grantServer(partition, ringsOf(how));
    case "standing":
      return sharedServer(new PartitionWords(partition, address), bytes, ringsOf(how));
    case "messages":
      return messageServer(partition, adapter as never, messages);
    case "shared":
      return sharedServer(new BufferWords(shared), bytes, ringsOf(how));
    default:
      service ??= new PostService(port);
      return service.server(how.way === "transfer");
  }
}

/** The reply to a stamp, if it is the right one. */
function checked(value: number, reply: number): number {
  if (reply !== replyTo(value)) throw new Error(`${value} was answered ${reply}`);
  return reply;
}

/** Hands one stamp over and looks at what came back. */
async function handOne(caller: Caller, value: number): Promise<number> {
  const answer = caller.hand(value);
  return checked(value, typeof answer === "number" ? answer : await answer);
}

function handAtOnce(caller: Caller, until: number, value: number): number {
  let rounds = 0;
  let next = value;
  while (performance.now() < until) {
    next = checked(next, caller.hand(next) as number);
    rounds++;
  }
  return rounds;
}

async function handInTurns(caller: Caller, until: number, value: number): Promise<number> {
  let rounds = 0;
  let next = value;
  while (performance.now() < until) {
    next = await handOne(caller, next);
    rounds++;
  }
  return rounds;
}

/** Those that need no event loop do without, or it would be what is measured. */
function isAtOnce({ way }: How): boolean {
  return way === "grant" || way === "standing" || way === "shared";
}

takeOrders({
  open: async (given: MessagePort): Promise<void> => {
    port = given;
    // Registers the queue: nothing can be sent before.
    messages = partition.messages(adapter)[Symbol.asyncIterator]();
  },
  serve: (how: How): void | Promise<void> => serverOf(how)(),
  run: async ({ timeMs, ...how }: RunOrder): Promise<Sample> => {
    const caller = callerOf(how);
    try {
      // The first one waits for the server to begin.
      const value = await handOne(caller, 1);
      const start = performance.now();
      const until = start + timeMs;
      const rounds = isAtOnce(how)
        ? handAtOnce(caller, until, value)
        : await handInTurns(caller, until, value);
      return { ns: ((performance.now() - start) * 1e6) / rounds };
    } finally {
      caller.stop();
    }
  },
  time: async ({ options, ...how }: TimeOrder): Promise<Latency> => {
    const caller = callerOf(how);
    try {
      let value = await handOne(caller, 1);
      const operation: Operation = isAtOnce(how)
        ? () => {
            value = checked(value, caller.hand(value) as number);
          }
        : async () => {
            value = await handOne(caller, value);
          };
      return await meters.measure(`${how.way} ${how.spins}`, options, operation);
    } finally {
      caller.stop();
    }
  },
  check: async ({ stamps, ...how }: CheckOrder): Promise<string> => {
    const caller = callerOf(how);
    try {
      let sum = 0;
      for (const value of stamps) sum = (sum + (await handOne(caller, value))) >>> 0;
      return `${stamps.length} times, sum ${sum}`;
    } finally {
      caller.stop();
    }
  },
});
