/** Interrupt sources and doorbells for the net of crash-net.ts: raised, rung, taken, masked, ended, and taken away. */
import type { Core } from "../../src/binding.js";
import {
  H_CLOSED,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  TYPE_INTERRUPT,
  TYPE_IPI,
} from "../../src/layout.js";
import type { Act, Table } from "./crash-scenarios.js";

const FORCED = 1;
const MANY = 2 ** 30;

/** A source or port that one partition granted to another, accepted: the cookie and the number. */
function shareLine(made: Table, a: number, b: number, number: number, type: number): [number, number] {
  const cookie = made.grant(a, b, number, 1, type);
  return [cookie, made.accept(b, cookie)];
}

/** Partition 1's source 0 with 2 and, by way of 2 and directly, with 3; one grant is not accepted. 2's number, and cookies. */
function tree(made: Table): { number: number; third: number; outer: number; inner: number } {
  const [outer, number] = shareLine(made, 1, 2, 0, TYPE_INTERRUPT);
  const [inner, third] = shareLine(made, 2, 3, number, TYPE_INTERRUPT);
  shareLine(made, 1, 3, 0, TYPE_INTERRUPT);
  made.grant(1, 2, 0, 1, TYPE_INTERRUPT);
  return { number, third, outer, inner };
}

/** Partition 2's own sources 3 to 5. */
function own(made: Table): void {
  made.get(made.core.assignResource(2, TYPE_INTERRUPT, 3, 3, 9, 0));
}

function raise(core: Core, lpid: number, number: number, device = 0): number {
  return core.raiseInterrupt(lpid, number, device, 0);
}

/** A raise that is done again reaches whom it has not reached; to the end. */
function raiseAll(made: Table, core: Core, lpid: number, number: number): void {
  made.budget(MANY);
  const answer = raise(core, lpid, number);
  if (answer !== H_SUCCESS && answer !== H_RESCINDED) throw new Error(`going on: ${answer}`);
}

type Add = (name: string, calls: (made: Table) => Act) => void;

/** @param again makes calls until they answer one of the numbers. */
export function addLines(add: Add, again: (step: () => number, ...ends: readonly number[]) => void): void {
  add("raise, one's own source", (made) => {
    own(made);
    made.get(raise(made.core, 2, 5));
    return { status: H_SUCCESS, call: (core) => raise(core, 2, 3) };
  });
  add("raise by a device, the first in the queue", (made) => {
    own(made);
    return { status: H_SUCCESS, call: (core) => raise(core, 2, 4, 1) };
  });
  add("raise, pending, and masked, and in service", (made) => {
    own(made);
    made.get(raise(made.core, 2, 3));
    return { status: H_SUCCESS, call: (core) => raise(core, 2, 3) };
  });
  add("raise, masked", (made) => {
    own(made);
    made.get(made.core.maskInterrupt(2, 3, 1));
    return { status: H_SUCCESS, call: (core) => raise(core, 2, 3) };
  });
  add("raise for all who share a source", (made) => {
    const { number } = tree(made);
    return {
      status: H_SUCCESS,
      call: (core) => raise(core, 2, number),
      goOn: (core) => raiseAll(made, core, 2, number),
    };
  });
  add("raise for sharers of whom one has it pending, one masked, one in service", (made) => {
    const { number, third } = tree(made);
    made.get(made.core.maskInterrupt(3, third, 1));
    made.get(made.core.armInterrupt(2, number, 1));
    made.get(raise(made.core, 2, number));
    made.get(made.core.takeLine(2));
    made.get(made.core.takeLine(3));
    return {
      status: H_SUCCESS,
      call: (core) => raise(core, 2, number),
      goOn: (core) => raiseAll(made, core, 2, number),
    };
  });
  add("raise in slices, the first", (made) => {
    const { number } = tree(made);
    made.budget(2);
    return {
      status: H_PARTIAL,
      call: (core) => raise(core, 2, number),
      goOn: (core) => raiseAll(made, core, 2, number),
    };
  });
  add("raise in slices, the second", (made) => {
    const { number } = tree(made);
    made.budget(3);
    const position = made.get(raise(made.core, 2, number), H_PARTIAL);
    return {
      status: H_SUCCESS,
      call: (core) => core.raiseInterrupt(2, number, 0, position),
      goOn: (core) => raiseAll(made, core, 2, number),
    };
  });
  add("raise, the owner has failed", (made) => {
    const { number } = tree(made);
    made.fail(1);
    return {
      status: H_SUCCESS,
      call: (core) => raise(core, 2, number),
      goOn: (core) => raiseAll(made, core, 2, number),
    };
  });
  add("raise that is refused", (made) => {
    const { outer, number } = tree(made);
    again(() => made.core.rescindLogical(1, FORCED, outer), H_SUCCESS);
    return { status: H_RESCINDED, call: (core) => raise(core, 2, number) };
  });

  add("ring", (made) => {
    const [, port] = shareLine(made, 1, 2, 0, TYPE_IPI);
    return { status: H_SUCCESS, call: (core) => core.sendIpi(2, port) };
  });
  add("ring by way of another, behind others", (made) => {
    made.get(made.core.assignResource(3, TYPE_IPI, 0, 2, 9, 0));
    const [, port] = shareLine(made, 3, 1, 1, TYPE_IPI);
    const [, last] = shareLine(made, 1, 2, port, TYPE_IPI);
    made.get(made.core.sendIpi(3, 0));
    return { status: H_SUCCESS, call: (core) => core.sendIpi(2, last) };
  });
  add("ring, rung already", (made) => {
    const [, port] = shareLine(made, 1, 2, 0, TYPE_IPI);
    made.get(made.core.sendIpi(1, 0));
    return { status: H_SUCCESS, call: (core) => core.sendIpi(2, port) };
  });
  add("ring, the owner of the port has failed", (made) => {
    const [, port] = shareLine(made, 1, 2, 0, TYPE_IPI);
    made.fail(1);
    return { status: H_CLOSED, call: (core) => core.sendIpi(2, port) };
  });

  add("take an interrupt, the last of the queue", (made) => {
    own(made);
    made.get(raise(made.core, 2, 3));
    return { status: H_SUCCESS, call: (core) => core.takeLine(2) };
  });
  add("take an interrupt of an armed source, the first of three", (made) => {
    own(made);
    made.get(made.core.armInterrupt(2, 4, 1));
    for (const number of [4, 3, 5]) made.get(raise(made.core, 2, number));
    return { status: H_SUCCESS, call: (core) => core.takeLine(2) };
  });
  add("take an interrupt, none there", () => ({ status: H_NOT_FOUND, call: (core) => core.takeLine(2) }));

  add("arm", (made) => {
    const { number } = tree(made);
    made.get(raise(made.core, 1, 0));
    return { status: H_SUCCESS, call: (core) => core.armInterrupt(2, number, 1) };
  });
  add("arm, armed already", (made) => {
    own(made);
    made.get(made.core.armInterrupt(2, 4, 1));
    return { status: H_RESOURCE, call: (core) => core.armInterrupt(2, 4, 1) };
  });
  const inService = (made: Table): void => {
    own(made);
    made.get(made.core.armInterrupt(2, 4, 1));
    made.get(raise(made.core, 2, 4));
    made.get(made.core.takeLine(2));
    made.get(raise(made.core, 2, 3));
    made.get(raise(made.core, 2, 4));
  };
  add("disarm in service, raised again", (made) => {
    inService(made);
    return { status: H_SUCCESS, call: (core) => core.armInterrupt(2, 4, 0) };
  });
  add("end of service, raised again", (made) => {
    inService(made);
    return { status: H_SUCCESS, call: (core) => core.endInterrupt(2, 4) };
  });
  add("end of service, nothing in service", (made) => {
    own(made);
    return { status: H_PARAMETER, call: (core) => core.endInterrupt(2, 4) };
  });
  add("mask in the middle of the queue", (made) => {
    own(made);
    for (const number of [4, 3, 5]) made.get(raise(made.core, 2, number));
    return { status: H_SUCCESS, call: (core) => core.maskInterrupt(2, 3, 1) };
  });
  add("unmask, raised meanwhile", (made) => {
    own(made);
    made.get(made.core.maskInterrupt(2, 3, 1));
    for (const number of [4, 3]) made.get(raise(made.core, 2, number));
    return { status: H_SUCCESS, call: (core) => core.maskInterrupt(2, 3, 0) };
  });

  add("return of a source that waits to be taken", (made) => {
    const { inner, third } = tree(made);
    made.get(raise(made.core, 3, third));
    return { status: H_SUCCESS, call: (core) => core.returnLogical(3, inner) };
  });
  add("return of an armed source", (made) => {
    const { inner, third } = tree(made);
    made.get(made.core.armInterrupt(3, third, 1));
    return { status: H_RESOURCE, call: (core) => core.returnLogical(3, inner) };
  });
  add("forced rescind of armed sources that wait to be taken", (made) => {
    const { outer, number, third } = tree(made);
    made.get(made.core.armInterrupt(2, number, 1));
    made.get(made.core.armInterrupt(3, third, 1));
    made.get(raise(made.core, 1, 0));
    const call = (core: Core): number => core.rescindLogical(1, FORCED, outer);
    return { call, goOn: (core) => again(() => call(core), H_SUCCESS, H_PARAMETER) };
  });
  add("recover the client's part, with an armed source", (made) => {
    const { number } = tree(made);
    made.get(made.core.armInterrupt(2, number, 1));
    made.get(raise(made.core, 1, 0));
    made.fail(2);
    const call = (core: Core): number => core.recoverClient(2, MANY);
    return { call, goOn: (core) => again(() => call(core), H_SUCCESS, H_RESOURCE) };
  });
  add("recover the server's part, with armed sources and doorbells that wait", (made) => {
    tree(made);
    made.get(made.core.armInterrupt(1, 0, 1));
    made.get(made.core.armInterrupt(1, 1, 1));
    made.get(raise(made.core, 1, 1));
    made.get(raise(made.core, 1, 0));
    made.get(made.core.sendIpi(1, 0));
    made.fail(1);
    const call = (core: Core): number => core.recoverServer(1, MANY);
    return { call, goOn: (core) => again(() => call(core), H_SUCCESS, H_RESOURCE) };
  });
}
