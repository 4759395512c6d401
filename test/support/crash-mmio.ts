/** Device windows for the net of crash-net.ts: served, given up, and left behind by threads that serve and ask. */
import type { Core } from "../../src/binding.js";
import {
  H_PARAMETER,
  H_RESOURCE,
  H_SUCCESS,
  MAIL_NEED_SHIFT,
  NEED_READ,
  PAGE_BYTES,
  THREAD_NAME,
  TYPE_MMIO,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";
import type { Act, Table } from "./crash-scenarios.js";

function nameOf(rig: Rig, slot: number): number {
  return rig.word(rig.threadAt(slot) + THREAD_NAME);
}

/** Thread `from` asks thread `to` for a load from partition 1's window. */
function post(made: Table, from: number, to: number, index: number): void {
  const what = 4 | (NEED_READ << MAIL_NEED_SHIFT);
  made.get(made.rig.core(from).postRequest(index, nameOf(made.rig, to), 1, 0, what, 0));
}

const serves =
  (mode: number) =>
  (core: Core): number =>
    core.serveWindow(1, 0, mode);

export function addMmio(
  add: (name: string, calls: (made: Table) => Act, extra?: { readonly pairsFactor: number }) => void,
): void {
  const caller = (made: Table): number => (nameOf(made.rig, 1) === 0 ? 0 : 1);
  add("serve a window", (made) => {
    made.share(1, 2, 0, 2, TYPE_MMIO);
    // Made again by the next thread, it names another one.
    return { status: H_SUCCESS, call: serves(1), once: true };
  });
  add("serve a window that somebody serves", (made) => {
    made.get(made.rig.core(0).serveWindow(1, 0, 1));
    return { status: H_RESOURCE, call: serves(1) };
  });
  add("give a window up", (made) => {
    made.get(made.rig.core(caller(made)).serveWindow(1, 0, 1));
    return { status: H_SUCCESS, call: serves(0), once: true };
  });
  add("give up a window that nobody serves", () => ({ status: H_PARAMETER, call: serves(0) }));
  add("grant on of a part of a window", (made) => {
    const [, page] = made.share(1, 2, 1, 3, TYPE_MMIO);
    const unit = made.unit(2, 3);
    const call = (core: Core): number =>
      core.grantLogical(2, TYPE_MMIO, 0, (page + 1) * PAGE_BYTES, PAGE_BYTES, unit);
    return { status: H_SUCCESS, call };
  });
  // What the reaper does for those who asked comes late in its work.
  const asked = { pairsFactor: 4 };
  add(
    "serve a window in the middle of an access, asking and asked",
    (made) => {
      const self = caller(made);
      const core = made.rig.core(self);
      made.get(made.core.assignResource(2, TYPE_MMIO, 0, PAGE_BYTES, 0, 0));
      made.get(core.serveWindow(2, 0, 1));
      made.get(core.beginDevice(2, 0, 4, NEED_READ));
      if (self === 0) return { status: H_SUCCESS, call: serves(1), once: true };
      post(made, 1, 2, 0);
      post(made, 1, 0, 2);
      post(made, 2, 1, 0);
      post(made, 2, 1, 1);
      // One that is taken, and not answered yet.
      made.get(core.takeRequest());
      return { status: H_SUCCESS, call: serves(1), once: true };
    },
    asked,
  );
}
