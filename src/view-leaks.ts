/**
 * Debug mode: says where a view was taken that was dropped without release(). It only warns. The pages stay pinned, since
 * arrays that were made from the view may live on, and nobody can know.
 */

/** What the host may have; there need be neither. */
interface Host {
  readonly process?: {
    emitWarning?: (
      warning: string,
      options: { readonly type: string; readonly code: string; readonly detail: string },
    ) => void;
  };
  readonly console?: { warn?: (text: string) => void };
}

/** Where a view was taken. */
interface Taken {
  readonly what: string;
  readonly stack: string;
  /** Takes it out of the views that follow moves. */
  readonly strike: () => void;
}

/** Lines of a stack above the caller of Partition.view(): the message, watch(), hold(), the constructor, view(). */
const LINES_ABOVE = 5;

function tell({ what, stack }: Taken): void {
  const [place = "at an unknown place"] = stack.split("\n");
  const text = `a view (${what}) was dropped without release(), its pages stay pinned; it was taken ${place.trim()}`;
  const { process: node, console: screen } = globalThis as Host;
  if (node?.emitWarning === undefined) screen?.warn?.(`${text}\n${stack}`);
  else node.emitWarning(text, { type: "LparWarning", code: "LPAR_VIEW_DROPPED", detail: stack });
}

/** The views of one thread that nobody has released yet. */
export class ViewLeaks {
  #isStopped = false;
  readonly #registry: FinalizationRegistry<Taken> = new FinalizationRegistry((taken) => {
    taken.strike();
    if (!this.#isStopped) tell(taken);
  });

  /** A view was taken, and will be among `views`. Answers what stands for it there without keeping it alive. */
  watch<T extends object>(
    view: T,
    views: Set<T | WeakRef<T>>,
    lpid: number,
    address: number,
    length: number,
  ): WeakRef<T> {
    const reference = new WeakRef(view);
    const what = `partition ${lpid}, address ${address}, length ${length}`;
    const stack = (new Error().stack ?? "").split("\n").slice(LINES_ABOVE).join("\n");
    this.#registry.register(view, { what, stack, strike: () => views.delete(reference) }, view);
    return reference;
  }

  /** It was released. */
  forget(view: object): void {
    this.#registry.unregister(view);
  }

  /** The table closes: no page is pinned any more. */
  stop(): void {
    this.#isStopped = true;
  }
}
