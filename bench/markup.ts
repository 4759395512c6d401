/** Elements of HTML and SVG as text: every element is closed, every text escaped, so that the page is well-formed XML too. */
import { escapeMarkup } from "../src/inspect/escape.js";

/** Text that is markup already. */
export interface Markup {
  readonly markup: string;
}

export type Child = Markup | string | number | undefined | readonly Child[];
export type Attributes = Readonly<Record<string, string | number | undefined>>;

function render(child: Child): string {
  if (child === undefined) return "";
  if (typeof child === "string" || typeof child === "number") return escapeMarkup(String(child));
  return "markup" in child ? child.markup : child.map(render).join("");
}

/** An element; what is undefined is left out. */
export function element(name: string, attributes: Attributes, ...children: readonly Child[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeMarkup(String(value))}"`)
    .join("");
  return { markup: `<${name}${written}>${children.map(render).join("")}</${name}>` };
}

/** An element of HTML that has no content and no end. */
export function emptyElement(name: string, attributes: Attributes): Markup {
  return { markup: `${element(name, attributes).markup.slice(0, -`></${name}>`.length)}/>` };
}

/** A table, which scrolls by itself where the page is too narrow for it. */
export function table(
  header: readonly string[],
  rows: readonly (readonly Child[])[],
  isNumber: (column: number) => boolean,
): Markup {
  const classOf = (column: number): Attributes => (isNumber(column) ? { class: "number" } : {});
  return element(
    "div",
    { class: "scroll", tabindex: 0 },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          header.map((text, column) => element("th", { scope: "col", ...classOf(column) }, text)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map((row) =>
          element(
            "tr",
            {},
            row.map((cell, column) => element("td", classOf(column), cell)),
          ),
        ),
      ),
    ),
  );
}
