// The notes of a process that nobody watches: lines in a file of bounded size.

import { appendFileSync, renameSync, statSync } from 'node:fs';

/** Bytes; as many again are kept in the file before it (`.1`). */
const LIMIT = 128 << 10;

export class LogFile {
  readonly path: string;
  #size: number;

  constructor(path: string) {
    this.path = path;
    try {
      this.#size = statSync(path).size;
    } catch {
      this.#size = 0;
    }
  }

  /** Writes a line with the time. What cannot be written (a full disk) is left out: it is no reason to end. */
  write(text: string): void {
    const line = Buffer.from(`${new Date().toISOString()} ${text.replace(/\n(?=.)/g, '\n  ').trimEnd()}\n`);
    try {
      if (this.#size + line.length > LIMIT) {
        renameSync(this.path, `${this.path}.1`);
        this.#size = 0;
      }
      appendFileSync(this.path, line, { mode: 0o600 });
      this.#size += line.length;
    } catch {
      // Nobody could be told.
    }
  }
}
