/**
 * Where the process prints. That nobody takes what is printed ends no command: what it finds out, and with which exit code,
 * is the same with the reader gone, as in `lpar ... | head`, and then it is no failure; a full disk is one.
 */

import { fstatSync, writeFileSync } from "node:fs";
import type { ProgressStream } from "./progress.js";

export class Outlet implements ProgressStream {
  readonly #stream: NodeJS.WriteStream & { readonly fd: number };
  readonly #isFile: boolean;
  readonly #onFailure: (error: Error) => void;
  #isLost = false;

  /** @param onFailure told once when something cannot be written, but not of a reader that has gone. */
  constructor(stream: NodeJS.WriteStream & { readonly fd: number }, onFailure: (error: Error) => void) {
    this.#stream = stream;
    this.#isFile = fstatSync(stream.fd).isFile();
    this.#onFailure = onFailure;
    stream.on("error", (error: NodeJS.ErrnoException) => this.#lose(error));
  }

  get isTTY(): boolean {
    return this.#stream.isTTY;
  }

  get columns(): number {
    return this.#stream.columns;
  }

  get rows(): number {
    return this.#stream.rows;
  }

  write(text: string): void {
    if (this.#isLost) return;
    try {
      // The stream takes a file that is full in the middle of a text for one that took all of it.
      if (this.#isFile) writeFileSync(this.#stream.fd, text);
      else this.#stream.write(text);
    } catch (error) {
      this.#lose(error as NodeJS.ErrnoException);
    }
  }

  #lose(error: NodeJS.ErrnoException): void {
    if (this.#isLost) return;
    this.#isLost = true;
    if (error.code !== "EPIPE") this.#onFailure(error);
  }
}
