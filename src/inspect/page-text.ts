/** The inspector's page as a document and its style. All that changes is put in by page/main.ts. */

export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>lpar</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="page.css">
<script type="module" src="page/main.js"></script>
</head>
<body>
<a class="skip" href="#partitions">Skip to the partitions</a>
<header>
<h1>lpar <span id="name"></span></h1>
<p id="status" role="status">loading</p>
<p class="tools"><button type="button" id="pause" aria-pressed="false">Pause</button>
<button type="button" id="audit">Audit</button> <span id="audited" role="status"></span></p>
<nav aria-label="Sections"><a href="#partitions">Partitions</a> <a href="#maps">Maps</a> <a href="#grants">Grants</a>
<a href="#timeline">Timeline</a> <a href="#drawing">Drawing</a></nav>
</header>
<main>
<section id="totals" aria-label="Totals"></section>
<section id="partitions" aria-labelledby="h-partitions" tabindex="-1"><h2 id="h-partitions">Partitions</h2><div class="body"></div></section>
<section id="maps" aria-labelledby="h-maps" tabindex="-1"><h2 id="h-maps">Maps</h2>
<p class="note">What each partition reaches, in the order of its addresses: coloured and numbered by owner, filled for rw, striped for r.
Arrow keys move along a strip.</p><div class="body"></div></section>
<section id="grants" aria-labelledby="h-grants" tabindex="-1"><h2 id="h-grants">Grants</h2>
<p class="note">Each resource, and below it what was granted of it, and granted on. Arrow keys move, and open and close.</p><div class="body"></div></section>
<section id="timeline" aria-labelledby="h-timeline" tabindex="-1"><h2 id="h-timeline">Timeline</h2>
<p class="note"><label><input type="checkbox" id="to-scale"> true to scale</label></p><div class="body"></div></section>
<section id="drawing" aria-labelledby="h-drawing" tabindex="-1"><h2 id="h-drawing">Drawing</h2>
<p class="note"><a href="graph.svg">partitions</a>, <a href="tree.svg">trees of grants</a>, <a href="snapshot.json">snapshot</a>, <a href="metrics">metrics</a></p>
<div class="body" role="region" aria-label="Drawing of partitions and grants" tabindex="0"><img id="graph" alt="Partitions as boxes, grants as arrows; the sections above say the same in words"></div></section>
</main>
</body>
</html>
`;

/** Two boxes, one inside the other. */
export const PAGE_ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#2c6fbb"/><rect x="5" y="5" width="8" height="8" rx="1" fill="#fbdcc4"/></svg>`;

export const PAGE_CSS = `
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f5f7fa; --ink: #1b1f24; --faint: #545d68; --line: #c3cad3; --accent: #0a58a8; --bad: #b3121d; --warn: #7a4b00;
  --o1: #cfe3fb; --o2: #fbdcc4; --o3: #cdebd0; --o4: #f5d0e3; --o5: #e3d8f8; --o6: #f4e8b0; --o7: #c6ecec; --o0: #dfe3e8;
  --e1: #2c6fbb; --e2: #b85a14; --e3: #2f8741; --e4: #b03a77; --e5: #6c4ec0; --e6: #8a7300; --e7: #14807f; --e0: #6b7580;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0f1318; --panel: #181e26; --ink: #e8edf2; --faint: #a9b4c0; --line: #3b4552; --accent: #79b8ff; --bad: #ff8f8f; --warn: #f0c060;
    --o1: #1d3a5c; --o2: #55310f; --o3: #1c4526; --o4: #522039; --o5: #3b2d66; --o6: #4a4008; --o7: #124545; --o0: #303844;
    --e1: #6aa9ee; --e2: #e8934f; --e3: #6cc47c; --e4: #e880b4; --e5: #a78ef0; --e6: #d4b93a; --e7: #4fc4c2; --e0: #98a3af;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 80rem; padding: 0 1.25rem 4rem; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h1 span { font-weight: normal; color: var(--faint); overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: .95rem; margin: .9rem 0 .25rem; }
a { color: var(--accent); }
p { margin: .3rem 0; }
header { padding: 1rem 0 .5rem; }
nav a { margin-right: 1rem; }
.note, .faint { color: var(--faint); }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 1rem; top: .5rem; background: var(--back); padding: .3rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
section:focus { outline: none; }
button { font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .2rem .8rem; cursor: pointer; }
button[aria-pressed="true"] { border-color: var(--accent); color: var(--accent); }
.bad { color: var(--bad); font-weight: 600; } .warn { color: var(--warn); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; } .number { text-align: right; }
#totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .75rem; margin-top: 1rem; }
.total { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .5rem .8rem; }
.total b { font-size: 1.15rem; font-variant-numeric: tabular-nums; } .total div { color: var(--faint); }
.total svg { display: block; width: 100%; height: 8px; margin-top: .3rem; } .total rect { fill: var(--line); } .total rect + rect { fill: var(--accent); }
.strip { display: flex; gap: 2px; overflow-x: auto; padding: 4px; min-height: 2.6rem; }
.run { flex: 1 1 auto; min-width: 1.1rem; height: 2rem; overflow: hidden; border: 1px solid; border-radius: 3px; padding: 0 .3rem; white-space: nowrap; font: 12px/2rem ui-monospace, "DejaVu Sans Mono", monospace; color: var(--ink); cursor: default; }
.run[aria-selected="true"] { outline: 2px solid var(--ink); outline-offset: 1px; }
.run.striped { background-image: repeating-linear-gradient(135deg, transparent 0 7px, var(--back) 7px 9px); }
.run.barred { background-image: repeating-linear-gradient(135deg, transparent 0 4px, var(--back) 4px 8px); border-style: dashed; }
.run.gap { flex: 0 0 auto; min-width: .6rem; width: .6rem; border: none; padding: 0; color: var(--faint); }
.o0 { background-color: var(--o0); border-color: var(--e0); } .o1 { background-color: var(--o1); border-color: var(--e1); }
.o2 { background-color: var(--o2); border-color: var(--e2); } .o3 { background-color: var(--o3); border-color: var(--e3); }
.o4 { background-color: var(--o4); border-color: var(--e4); } .o5 { background-color: var(--o5); border-color: var(--e5); }
.o6 { background-color: var(--o6); border-color: var(--e6); } .o7 { background-color: var(--o7); border-color: var(--e7); }
.detail { min-height: .5rem; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; color: var(--faint); padding-left: 4px; }
.legend span { display: inline-block; border-width: 1px; border-style: solid; border-radius: 3px; padding: 0 .5rem; margin: 0 .4rem .3rem 0; }
ul.tree, ul.tree ul { list-style: none; margin: 0; padding: 0; } ul.tree ul { padding-left: 1.6rem; border-left: 1px solid var(--line); margin-left: .5rem; }
ul.tree li { margin: .1rem 0; } ul.tree .row { padding: .1rem .4rem; border-radius: 4px; }
ul.tree li:focus { outline: none; } ul.tree li:focus-visible > .row { outline: 3px solid var(--accent); }
ul.tree li[aria-expanded="false"] > ul { display: none; }
ul.tree li[aria-expanded="true"] > .row::before { content: "\\25be "; } ul.tree li[aria-expanded="false"] > .row::before { content: "\\25b8 "; }
.lanes { display: block; } .lanes text { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; fill: var(--ink); } .lanes .tick { fill: var(--faint); }
.lanes-and-names { display: flex; margin-bottom: 1rem; } .lanes-scroll { flex: 1; min-width: 0; }
.lane-names { flex: none; width: 9.5rem; padding-top: 14px; font: 12px/34px ui-monospace, "DejaVu Sans Mono", monospace; }
.lane-names div { height: 34px; margin-top: 0; line-height: 30px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-right: .5rem; }
.span { stroke-width: 1; }
.span.running { fill: var(--o3); stroke: var(--e3); } .span.grace { fill: var(--o6); stroke: var(--e6); } .span.deferred { fill: var(--o5); stroke: var(--e5); }
.span.recovering { fill: var(--o2); stroke: var(--e2); } .span.stopped { fill: none; stroke: var(--e0); stroke-dasharray: 3 3; }
.mark { stroke: var(--bad); stroke-width: 2; } .lanes .marktext { fill: var(--bad); font-weight: bold; }
#drawing .body { overflow: auto; max-height: 45rem; border: 1px solid var(--line); border-radius: 8px; } #drawing img { display: block; }
details summary { cursor: pointer; color: var(--accent); }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
`;
