/** Making elements, in the inspector's page. Text only ever becomes text: nothing that a table is named is read as HTML. */

type Child = Node | string;
type Attributes = Readonly<Record<string, string | number | undefined>>;

function fill<T extends Element>(element: T, attributes: Attributes, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** An element of HTML. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  return fill(
    document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement,
    attributes,
    children,
  );
}

/** The element that the document has under this id. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no ${id}`);
  return element;
}

/** A table with a header; columns that `numbers` names are right-aligned. */
export function table(
  header: readonly string[],
  rows: readonly (readonly Child[])[],
  numbers: ReadonlySet<number> = new Set(),
): HTMLElement {
  const style = (column: number): Attributes => (numbers.has(column) ? { class: "number" } : {});
  const head = header.map((text, column) => html("th", { scope: "col", ...style(column) }, text));
  const body = rows.map((row) =>
    html("tr", {}, ...row.map((cell, column) => html("td", style(column), cell))),
  );
  return html(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": header.join(", ") },
    html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...body)),
  );
}

/**
 * Puts something new in the place of what stands in an element. Where the focus was, at what has the same data-key, it is again.
 */
export function replace(element: Element, ...children: readonly Child[]): void {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.getAttribute("data-key");
  element.replaceChildren(...children);
  if (key === null || key === undefined) return;
  const again = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  again?.focus({ preventScroll: true });
}

/** Arrow keys, Home and End move the focus along a list of elements, of which one at a time can be reached by Tab. */
export function rove(elements: readonly HTMLElement[], moved: (element: HTMLElement) => void): void {
  const go = (index: number): void => {
    const next = elements[Math.min(Math.max(index, 0), elements.length - 1)];
    if (next === undefined) return;
    for (const element of elements) element.tabIndex = element === next ? 0 : -1;
    next.focus();
  };
  for (const [index, element] of elements.entries()) {
    element.tabIndex = index === 0 ? 0 : -1;
    element.addEventListener("focus", () => moved(element));
    element.addEventListener("click", () => go(index));
    element.addEventListener("keydown", (event) => {
      const steps: Readonly<Record<string, number>> = {
        ArrowRight: index + 1,
        ArrowLeft: index - 1,
        Home: 0,
        End: elements.length - 1,
      };
      const to = steps[event.key];
      if (to === undefined) return;
      event.preventDefault();
      go(to);
    });
  }
}
