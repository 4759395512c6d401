/** The style of a report's page, light and dark as the reader's system is, and on paper. */

const LIGHT = {
  page: "#ffffff",
  text: "#1b1f24",
  faint: "#5b6570",
  rule: "#d8dde3",
  mark: "#8a94a0",
  good: "#0a6b3d",
  bad: "#b3261e",
};

const DARK: typeof LIGHT = {
  page: "#14171b",
  text: "#e6e9ed",
  faint: "#a2abb5",
  rule: "#353c45",
  mark: "#77818c",
  good: "#5fd39a",
  bad: "#ff8a80",
};

/** Series 0 is lpar. Chosen to be told apart by those who see red and green alike, too. */
const SERIES: readonly (readonly [light: string, dark: string])[] = [
  ["#0b5fff", "#6ea8ff"],
  ["#d55e00", "#ff9d57"],
  ["#007a5a", "#3fcf9f"],
  ["#8a3ffc", "#c29bff"],
  ["#a3195b", "#ff7eb6"],
  ["#6b5900", "#d9bf3c"],
  ["#00687a", "#4fc9de"],
  ["#5c4033", "#c9a58f"],
  ["#444c56", "#adbac7"],
  ["#b8000f", "#ff8389"],
];

/** How many series have colours of their own: series-0 and so on. */
export const SERIES_COLOURS: number = SERIES.length;

function variables(colours: typeof LIGHT, which: 0 | 1): string {
  const series = SERIES.map((pair, index) => `--series-${index}:${pair[which]}`);
  const others = Object.entries(colours).map(([name, colour]) => `--${name}:${colour}`);
  return [...others, ...series].join(";");
}

const SERIES_RULES = SERIES.map((_, index) => `.series-${index}{--series:var(--series-${index})}`).join("\n");

export const PAGE_STYLE: string = `
:root{color-scheme:light dark;${variables(LIGHT, 0)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK, 1)}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:64rem;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .5rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:2rem 0 .5rem}
ul.run{margin:0 0 1rem;padding:0;list-style:none;color:var(--faint);font-size:.85rem}
nav{margin:1rem 0}
a{color:var(--series-0)}
figure{margin:0 0 1.5rem}
svg{display:block;width:100%;min-width:42rem;height:auto;margin:0 0 .75rem;fill:var(--text);font-family:system-ui,sans-serif}
.axis{fill:var(--faint)}
.grid{stroke:var(--rule);stroke-width:1}
.mark{stroke:var(--mark);stroke-width:1.5}
.curve{fill:none;stroke:var(--series);stroke-width:2}
.dashed{stroke-dasharray:5 4;stroke-width:1.5}
.spread{stroke:var(--series);stroke-width:2;opacity:.5}
.dot{fill:var(--series)}
.ring{fill:var(--page);stroke:var(--series);stroke-width:2}
.area{fill:var(--series);fill-opacity:.25;stroke:var(--series);stroke-width:2}
${SERIES_RULES}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.25rem .7rem .25rem 0;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600;color:var(--faint)}
.number{text-align:right}
td:last-child{white-space:normal}
.reached{color:var(--good)}
.missed{color:var(--bad)}
@media print{body{max-width:none}section{break-inside:avoid}}
`;
