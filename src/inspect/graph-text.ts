/** A graph as text that other programs draw: DOT for Graphviz, and Mermaid. */
import type { Graph, Look } from "./graph.js";

const DOT_BOX: Readonly<Record<Look, string>> = {
  plain: "",
  failed: ', color="red", fontcolor="red", penwidth=2',
  quarantined: ', style="dashed"',
  rescinded: ', style="dotted"',
  offered: ', color="gray40"',
};

const DOT_ARROW: Readonly<Record<Look, string>> = {
  ...DOT_BOX,
  failed: ', color="red", fontcolor="red"',
};

function dotText(text: string): string {
  return text.replace(/[\\"]/g, "\\$&");
}

/** Graphviz: `lpar graph | dot -Tsvg`. */
export function toDot({ title, boxes, arrows }: Graph): string {
  const head = `digraph lpar {\n  label="${dotText(title)}"\n  node [shape=box]\n`;
  const nodes = boxes.map(({ id, lines, look }) => {
    const label = lines.map(dotText).join("\\n");
    return `  ${id} [label="${label}"${DOT_BOX[look]}]\n`;
  });
  const edges = arrows.map(
    ({ from, to, label, look }) => `  ${from} -> ${to} [label="${dotText(label)}"${DOT_ARROW[look]}]\n`,
  );
  return `${head}${nodes.join("")}${edges.join("")}}\n`;
}

/** What is a letter to no syntax stays; everything else becomes the number that Mermaid decodes. */
function mermaidText(text: string): string {
  return text.replace(/[^\p{L}\p{N} .,:_/-]/gu, (character) => `#${character.codePointAt(0)};`);
}

const MERMAID_ARROW: Readonly<Record<Look, string>> = {
  plain: "-->",
  failed: "==>",
  quarantined: "-.->",
  rescinded: "-.-x",
  offered: "--o",
};

const MERMAID_CLASS: Readonly<Record<Look, string>> = {
  plain: "",
  failed: "  classDef failed stroke:#d11,stroke-width:2px,color:#d11\n",
  quarantined: "  classDef quarantined stroke-dasharray:6 4\n",
  rescinded: "  classDef rescinded stroke-dasharray:2 3\n",
  offered: "  classDef offered stroke:#888\n",
};

/** Mermaid: what Markdown renderers draw in a block of that name. */
export function toMermaid({ boxes, arrows }: Graph): string {
  const nodes = boxes.map(({ id, lines, look }) => {
    const style = look === "plain" ? "" : `:::${look}`;
    return `  ${id}["${lines.map(mermaidText).join("<br/>")}"]${style}\n`;
  });
  const edges = arrows.map(({ from, to, label, look }) => {
    const text = label === "" ? "" : `|"${mermaidText(label)}"|`;
    return `  ${from} ${MERMAID_ARROW[look]}${text} ${to}\n`;
  });
  const red = arrows.flatMap(({ look }, index) => (look === "failed" ? [index] : []));
  const links = red.length === 0 ? "" : `  linkStyle ${red.join(",")} stroke:#d11,color:#d11\n`;
  const used = new Set(boxes.map(({ look }) => look));
  const classes = [...used].map((look) => MERMAID_CLASS[look]);
  return `flowchart TB\n${nodes.join("")}${edges.join("")}${classes.join("")}${links}`;
}
