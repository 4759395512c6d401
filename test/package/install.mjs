/** The package in an empty folder, installed from its tarball, with what programs of its users have beside it. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./processes.mjs";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const HERE = fileURLToPath(new URL(".", import.meta.url));

/** @returns where it is installed; remove() takes the folder away. */
export async function install() {
  const folder = mkdtempSync(join(tmpdir(), "lpar-package-"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: ROOT });
  const [packed] = JSON.parse(stdout);
  const tarball = join(folder, packed.filename);
  // What README and recipes import beside lpar, in the versions that are tested elsewhere.
  const ours = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).devDependencies;
  const theirs = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8")).devDependencies;
  const beside = {
    "@types/node": ours["@types/node"],
    assemblyscript: ours.assemblyscript,
    piscina: theirs.piscina,
  };
  const manifest = { private: true, type: "module", dependencies: { lpar: `file:${tarball}`, ...beside } };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: folder,
  });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return {
    folder,
    tarball,
    tarballName: packed.filename,
    tarballBytes: statSync(tarball).size,
    package: join(folder, "node_modules/lpar"),
    remove,
  };
}
