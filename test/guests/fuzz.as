/**
 * A guest that calls everything with anything. Most of its numbers come from a pool in its memory, where its host puts what may
 * mean something (cookies and unit addresses, its own and others') and hostile ones, and where it keeps what it was answered
 * itself; the rest is near those, or random. Mostly it gives a call what that call takes: what is refused at once finds nothing.
 */
@external("lpar_1", "r4") declare function r4(): f64;
@external("lpar_1", "grant") declare function grant(flags: i32, hi: f64, address: f64, length: f64, unit: f64): i32;
@external("lpar_1", "accept") declare function accept(cookie: f64): i32;
@external("lpar_1", "return") declare function giveBack(cookie: f64): i32;
@external("lpar_1", "rescind") declare function rescind(flags: i32, cookie: f64): i32;
@external("lpar_1", "allocate") declare function allocate(length: f64): i32;
@external("lpar_1", "free") declare function free(address: f64): i32;
@external("lpar_1", "translate") declare function translate(type: i32, address: f64, need: i32): i32;
@external("lpar_1", "read") declare function read(address: f64, pointer: i32, length: i32): i32;
@external("lpar_1", "write") declare function write(address: f64, pointer: i32, length: i32): i32;
@external("lpar_1", "fill") declare function fill(address: f64, length: f64, byte: i32): i32;
@external("lpar_1", "copy") declare function copy(from: f64, to: f64, length: f64): i32;
@external("lpar_1", "load32") declare function load32(address: f64): i32;
@external("lpar_1", "store32") declare function store32(address: f64, value: i32): i32;
@external("lpar_1", "compareExchange32") declare function compareExchange32(address: f64, expected: i32, replacement: i32): i32;
@external("lpar_1", "add32") declare function add32(address: f64, value: i32): i32;
@external("lpar_1", "registerQueue") declare function registerQueue(unit: f64, address: f64, length: f64): i32;
@external("lpar_1", "freeQueue") declare function freeQueue(unit: f64): i32;
@external("lpar_1", "send") declare function send(unit: f64, pointer: i32): i32;
@external("lpar_1", "receive") declare function receive(unit: f64, pointer: i32): i32;
@external("lpar_1", "event") declare function event(pointer: i32): i32;
@external("lpar_1", "adapter") declare function adapter(index: i32): i32;
@external("lpar_1", "partner") declare function partner(unit: f64): i32;
@external("lpar_1", "wait") declare function wait(ms: i32): i32;

/** f64: 16 cookies, 16 unit addresses and 32 hostile numbers of the host's, then 8 cookies and 8 addresses of its own. */
const POOL: usize = 1024;
const POOL_PLACES: u32 = 80;
const OWN_COOKIES: u32 = 64;
const OWN_ADDRESSES: u32 = 72;
/** u32: how often each function answered H_SUCCESS. */
const COUNTS: usize = 2048;
const FUNCTIONS: u32 = 23;
/** No status: the call was not made. */
const LEFT_OUT = 12345;

let state: u32 = 1;
let kept: u32 = 0;
let secretA: u32 = 0;
let secretB: u32 = 0;
let leaked: u32 = 0;

export function seed(value: u32): void {
  state = value | 1;
}

/** The words that others' memory is full of. */
export function secrets(a: u32, b: u32): void {
  secretA = a;
  secretB = b;
}

/** How many words of others' memory it was answered. */
export function leaks(): u32 {
  return leaked;
}

function next(): u32 {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

function placed(index: u32): f64 {
  return load<f64>(POOL + ((<usize>index) << 3));
}

function pooled(): f64 {
  return placed(next() % POOL_PLACES);
}

function keep(first: u32, value: f64): void {
  store<f64>(POOL + ((<usize>(first + (kept++ & 7))) << 3), value);
}

function cookie(): f64 {
  const choice = next();
  if (choice >> 30 == 0) return number();
  return placed(choice >> 30 == 1 ? OWN_COOKIES + (choice & 7) : choice & 15);
}

function unit(): f64 {
  const choice = next();
  return choice >> 30 == 0 ? number() : placed(16 + (choice & 15));
}

/** Where it has memory of its own, of others, and nothing. */
function address(): f64 {
  const choice = next();
  if (choice >> 29 == 0) return number();
  if (choice >> 29 == 1) return placed(OWN_ADDRESSES + (choice & 7));
  const page = f64(choice & 15) * 4096;
  if (choice >> 29 == 2) return page + f64((choice >> 4) & 0xfff);
  return choice >> 30 == 1 ? page : page + f64((choice >> 4) & 0xffc);
}

function length(): f64 {
  const choice = next();
  if (choice >> 29 == 0) return number();
  return choice >> 31 == 0 ? 4096 * f64(1 + (choice & 1)) : f64(choice & 0x7ff);
}

/** Bytes to read or write. */
function size(): i32 {
  const choice = next();
  if (choice >> 29 == 0) return integer();
  return choice >> 31 == 0 ? choice & 0x7f : choice & 0x1fff;
}

/** An address, a cookie, a length, or nothing of the kind. */
function number(): f64 {
  const choice = next();
  switch (choice >> 29) {
    case 0:
    case 1:
    case 2:
      return pooled();
    case 3:
      return pooled() + f64(choice & 0x1fff) - 4096;
    case 4:
      return f64(choice & 31) * 4096;
    case 5:
      return f64(choice & 31) * 4096 + f64(next() & 0xfff);
    case 6:
      return f64(choice & 0xfff);
    default:
      return f64(next()) * f64(next() & 0xfff);
  }
}

/** A pointer or a length in its memory, flags, a word. */
function integer(): i32 {
  const choice = next();
  switch (choice >> 29) {
    case 0:
    case 1:
      return choice & 0xff;
    case 2:
    case 3:
      return 4096 + (choice & 0x7fff);
    case 4:
      return 65536 - (choice & 0x7f);
    case 5:
      return choice & 3;
    case 6:
      return 0 - (choice & 0xff);
    default:
      return next();
  }
}

/** What comes from others goes to the upper part of its memory, so that the pool stays what it is. */
function place(): i32 {
  const pointer = integer();
  return <u32>pointer < 4096 ? pointer + 4096 : pointer;
}

function word(status: i32): i32 {
  const value = <u32>r4();
  if (status == 0 && (value == secretA || value == secretB)) leaked++;
  return status;
}

function keptAt(first: u32, status: i32): i32 {
  if (status == 0) keep(first, r4());
  return status;
}

function call(which: u32): i32 {
  switch (which) {
    case 0: {
      const flags = next() & 7 ? 1 | (next() & 0xe0) : integer();
      return keptAt(OWN_COOKIES, grant(flags, next() & 7 ? 0 : number(), address(), length(), unit()));
    }
    case 1:
      return keptAt(OWN_ADDRESSES, accept(cookie()));
    case 2:
      return next() & 3 ? LEFT_OUT : giveBack(cookie());
    case 3:
      return rescind(next() & 7 ? next() & 1 : integer(), cookie());
    case 4:
      return keptAt(OWN_ADDRESSES, allocate(length()));
    case 5:
      return free(address());
    case 6:
      return translate(next() & 3 ? 1 : integer(), address(), next() & 3);
    case 7:
      return read(address(), place(), size());
    case 8:
      return write(address(), place(), size());
    case 9:
      return fill(address(), length(), next() & 7 ? next() & 0xff : integer());
    case 10:
      return copy(address(), address(), length());
    case 11:
      return word(load32(address()));
    case 12:
      return store32(address(), integer());
    case 13:
      return word(compareExchange32(address(), integer(), integer()));
    case 14:
      return word(add32(address(), integer()));
    case 15:
      return registerQueue(unit(), address(), length());
    case 16:
      return next() & 15 ? LEFT_OUT : freeQueue(unit());
    case 17: {
      const at = place();
      if (next() & 1 && <u32>at < 60000) store<u8>(at, 0x80);
      return send(unit(), at);
    }
    case 18:
      return receive(unit(), place());
    case 19:
      return event(place());
    case 20:
      return next() & 15 ? LEFT_OUT : adapter(next() & 7 ? next() & 3 : integer());
    case 21:
      return next() & 15 ? LEFT_OUT : partner(unit());
    default:
      return wait(integer());
  }
}

/** So many calls. */
export function run(count: u32): void {
  for (let i: u32 = 0; i < count; ) {
    const which = next() % FUNCTIONS;
    const status = call(which);
    // Left out: some calls are less of use than the others.
    if (status == LEFT_OUT) continue;
    i++;
    if (status == 0) {
      const at = COUNTS + ((<usize>which) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
  }
}
