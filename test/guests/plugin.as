/**
 * A plugin: it is granted a text, puts it into capitals in a page of its own, grants that page to who gave it the text, and says
 * so in a message. AssemblyScript; see test/support/guests.ts for how it is compiled.
 */
@external("lpar_1", "r4") declare function r4(): f64;
@external("lpar_1", "accept") declare function accept(cookie: f64): i32;
@external("lpar_1", "return") declare function giveBack(cookie: f64): i32;
@external("lpar_1", "allocate") declare function allocate(length: f64): i32;
@external("lpar_1", "free") declare function free(address: f64): i32;
@external("lpar_1", "read") declare function read(address: f64, pointer: usize, length: u32): i32;
@external("lpar_1", "write") declare function write(address: f64, pointer: usize, length: u32): i32;
@external("lpar_1", "grant") declare function grant(flags: i32, hi: f64, address: f64, length: f64, unit: f64): i32;
@external("lpar_1", "rescind") declare function rescind(flags: i32, cookie: f64): i32;
@external("lpar_1", "adapter") declare function adapter(index: i32): i32;
@external("lpar_1", "send") declare function send(unit: f64, pointer: usize): i32;
@external("lpar_1", "receive") declare function receive(unit: f64, pointer: usize): i32;
@external("lpar_1", "registerQueue") declare function registerQueue(unit: f64, address: f64, length: f64): i32;
@external("lpar_1", "wait") declare function wait(ms: i32): i32;

const H_SUCCESS = 0;
const H_CLOSED = 2;
const H_PARTIAL = 5;
const PAGE: f64 = 4096;
const READ_ONLY = 0x41; // memory, write inhibited
const BYTES: u32 = 4096;

const text = memory.data(4096);
const entry = memory.data(16, 8);

let unit: f64 = 0;
let page: f64 = 0;
let cookie: f64 = 0;

/** Whom it works for, and a page for what it makes. */
export function open(): i32 {
  let status = adapter(0);
  if (status != H_SUCCESS) return status;
  unit = r4();
  status = allocate(PAGE);
  page = r4();
  return status;
}

/** The text that the grant holds, in capitals: answers the first status that is not H_SUCCESS. */
export function capitals(source: f64, length: u32): i32 {
  let status = accept(source);
  if (status != H_SUCCESS) return status;
  status = read(r4(), text, min(length, BYTES));
  giveBack(source);
  if (status != H_SUCCESS) return status;
  for (let i: u32 = 0; i < min(length, BYTES); i++) {
    const letter = load<u8>(text + i);
    if (letter >= 97 && letter <= 122) store<u8>(text + i, letter - 32);
  }
  status = write(page, text, BYTES);
  if (status != H_SUCCESS) return status;
  status = grant(READ_ONLY, 0, page, PAGE, unit);
  if (status != H_SUCCESS) return status;
  cookie = r4();
  store<u64>(entry, 0x80); // a message
  store<f64>(entry, cookie, 8);
  return send(unit, entry);
}

/** Takes the page back, whatever was done with it. */
export function withdraw(): i32 {
  let status = rescind(1, cookie);
  while (status == H_PARTIAL) status = rescind(1, cookie);
  return status;
}

/** The same as a thread of its own: each message is a request, until one has no cookie. */
export function serve(): i32 {
  let status = open();
  if (status != H_SUCCESS) return status;
  status = allocate(PAGE);
  if (status != H_SUCCESS) return status;
  status = registerQueue(unit, r4(), PAGE);
  if (status != H_SUCCESS && status != H_CLOSED) return status;
  while (true) {
    if (receive(unit, entry) != H_SUCCESS) {
      wait(10_000);
      continue;
    }
    if (load<u8>(entry) != 0x80) continue;
    if (load<f64>(entry, 8) == 0) return H_SUCCESS;
    status = capitals(load<f64>(entry, 8), load<u32>(entry, 4));
    if (status != H_SUCCESS) return status;
  }
}
