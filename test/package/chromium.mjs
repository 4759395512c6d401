/** A real browser for tests: the machine's Chromium, without a window, driven by playwright-core. */
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Runs as root and without a network, as CI does: no sandbox, and nothing that calls home. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/**
 * @returns a started browser (playwright-core's Browser); who asked for it closes it.
 * @throws Error if the machine has none: a test of the browser must not pass for want of one.
 */
export function launchChromium() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place));
  if (executablePath === undefined) {
    throw new Error(`no Chromium: looked for ${PLACES.join(", ")}; CHROMIUM=<path> names another`);
  }
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}
