/**
 * The inspector's page in a real browser: a table that lives, with a crash and a restart while it is looked at. In light and
 * dark, by keyboard, with everything that the page is forbidden to do counted.
 */
import assert from "node:assert/strict";
import { ResourceTable } from "../../dist/src/index.js";
import { openInspector } from "../../dist/src/inspect/inspector.js";
import { launchChromium } from "./chromium.mjs";

const PAGE_BYTES = 4096;
const screenshots = process.env.LPAR_SCREENSHOTS;

/** The page looks once a second: a grace period that it must see lasts longer. */
const GRACE_MS = 2500;

function fill() {
  const table = ResourceTable.create({ memory: 512 * PAGE_BYTES, gracePeriodMs: GRACE_MS });
  const make = (name, pages) => table.createPartition({ name, memory: pages * PAGE_BYTES });
  const [server, client, other] = [
    make("server", 32),
    make("client", 4),
    make("<img src=x onerror=alert(1)>", 8),
  ];
  for (const [a, b] of [
    [server, client],
    [client, other],
    [other, client],
  ])
    table.connect(a, b, { grants: 32 });
  const page = client.accept(server.grant({ to: client, address: 0, length: 4 * PAGE_BYTES }));
  other.accept(client.grant({ to: other, address: page.address, length: PAGE_BYTES, write: false }));
  client.accept(other.grant({ to: client, address: 0, length: 2 * PAGE_BYTES }));
  server.grant({ to: client, address: 16 * PAGE_BYTES, length: 2 * PAGE_BYTES, mode: "lend" });
  return { table, server, client, other };
}

/** How light a colour is as WCAG counts it. */
function luminance(colour) {
  const [r, g, b] = /rgba?\((\d+), (\d+), (\d+)/
    .exec(colour)
    .slice(1)
    .map((value) => {
      const share = Number(value) / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

async function contrast(page, selector) {
  const [ink, back] = await page.$eval(selector, (element) => {
    let at = element;
    while (getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)" && at.parentElement)
      at = at.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(at).backgroundColor];
  });
  const [a, b] = [luminance(ink), luminance(back)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}

async function check(browser, colorScheme) {
  const { table, other } = fill();
  const inspector = await openInspector(table, { name: `in ${colorScheme}` });
  const page = await browser.newPage({ colorScheme, viewport: { width: 1200, height: 900 } });
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(inspector.url)) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(inspector.url);
  await page.waitForSelector("#partitions tbody tr");

  // What there is, as text: a name that is HTML stays a name.
  assert.equal(await page.title(), `lpar in ${colorScheme}`);
  assert.equal(await page.locator("#partitions tbody tr").count(), 3);
  assert.equal(await page.locator("img[src='x']").count(), 0);
  assert.match(await page.locator("#partitions").innerText(), /<img src=x onerror=alert\(1\)>\s+● running/);
  assert.equal(await page.locator("#maps .strip").count(), 3);
  assert.match(await page.locator("#maps").innerText(), /1 lent/);
  assert.match(await page.locator("#grants").innerText(), /client: memory rw, 4 pages/);
  await page.waitForFunction(() => document.getElementById("graph").naturalWidth > 200);
  assert.match(await page.locator("#graph").getAttribute("alt"), /Partitions as boxes/);

  // Colours can be told from their ground, and the schemes are two.
  for (const selector of [
    "body",
    ".note",
    "#partitions th",
    "a[href='#maps']",
    ".run.o1",
    ".run.o2",
    ".run.o3",
  ])
    assert.ok((await contrast(page, selector)) >= 4.5, `${selector} in ${colorScheme}`);
  const back = await page.$eval("body", (body) => getComputedStyle(body).backgroundColor);
  assert.equal(luminance(back) > 0.5, colorScheme === "light");

  await byKeyboard(page);
  await live(page, table, other);
  if (screenshots !== undefined)
    await page.screenshot({ path: `${screenshots}/inspector-${colorScheme}.png`, fullPage: true });

  await inspector.close();
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("no answer"));
  const refused = (text) => text.includes("ERR_CONNECTION_REFUSED");
  assert.deepEqual(
    complaints.filter((text) => !refused(text)),
    [],
  );
  await page.close();
  await table.close();
}

async function byKeyboard(page) {
  const focused = (read) => page.evaluate(read);
  await page.keyboard.press("Tab");
  assert.equal(await focused(() => document.activeElement.textContent), "Skip to the partitions");
  await page.keyboard.press("Tab");
  assert.equal(await focused(() => document.activeElement.id), "pause");
  assert.notEqual(await focused(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  // Along a strip: the run that has the focus is told below it.
  await page.locator("#maps .strip").nth(1).locator("[role=option]").first().focus();
  await page.keyboard.press("ArrowRight");
  const run = await focused(() => document.activeElement.getAttribute("aria-label"));
  assert.match(run, /^memory 16384 to 32767, 4 pages: mapped, rw, owner 1 server/);
  assert.equal(await page.locator("#maps .detail").nth(1).textContent(), run);
  await page.keyboard.press("End");
  assert.equal(await focused(() => document.activeElement.getAttribute("aria-selected")), "true");
  // Down, and closing, in the tree.
  await page.locator("#grants [role=treeitem]").first().focus();
  await page.keyboard.press("ArrowDown");
  assert.match(await focused(() => document.activeElement.textContent), /^client: memory rw/);
  assert.equal(await focused(() => document.activeElement.getAttribute("aria-level")), "2");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await focused(() => document.activeElement.getAttribute("aria-expanded")), "false");
  assert.equal(await page.locator("#grants [aria-level='3']").first().isVisible(), false);
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("#grants [aria-level='3']").first().isVisible(), true);
}

async function live(page, table, other) {
  const key = await page.evaluate(() => document.activeElement.dataset.key);
  table.fail(other, "a crash");
  await page.waitForFunction(() => document.getElementById("partitions").innerText.includes("failed, grace"));
  await table.recovered(other);
  table.restart(other);
  await page.waitForFunction(() => document.getElementById("timeline").innerText.includes("restarted"));
  const told = await page.locator("#timeline tbody").innerText();
  for (const what of ["crash", "notice", "grace begins", "grace is over", "recovered", "restarted"])
    assert.ok(told.includes(what), what);
  const lanes = await page.locator("#timeline svg.lanes").innerHTML();
  for (const state of ["running", "grace", "recovering", "stopped"])
    assert.ok(lanes.includes(`span ${state}`), state);
  // The focus stayed where it was while everything was drawn anew.
  assert.equal(await page.evaluate(() => document.activeElement.dataset.key), key);
  await page.click("#audit");
  await page.waitForFunction(() => document.getElementById("audited").textContent.startsWith("0 problems"));
  await page.click("#pause");
  assert.equal(await page.getAttribute("#pause", "aria-pressed"), "true");
  await page.check("#to-scale");
  assert.match(await page.locator("#timeline svg.lanes").textContent(), /true to scale/);
  await page.click("#pause");
}

const browser = await launchChromium();
try {
  for (const scheme of ["light", "dark"]) await check(browser, scheme);
} finally {
  await browser.close();
}
process.stdout.write("the inspector's page is as it must be, in light and dark\n");
