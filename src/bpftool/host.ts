// What the tool needs of the machine that it runs on. Everything else it asks of a kernel, through the waist.

import type { Bpf } from '../bpf/bpf.js';

export interface Host {
  /** The kernel that commands talk to; connected when the first of them asks. Fails with a SkepError. */
  kernel(): Promise<Bpf>;
  /** The name by which the tool was called, as usage texts show it: `skep` or `bpftool`. */
  readonly name: string;
  /** The tool's own version, as `version` prints it. */
  readonly version: string;
  /** The user's working directory, from which paths in the kernel's file systems are meant. */
  readonly directory: string;
  /** Writes to standard output. Resolves when more may be written (a slow reader holds the writer back). */
  out(data: string | Uint8Array): Promise<void>;
  /** Writes to standard error. */
  err(text: string): Promise<void>;
  /** A file of the user's own file system, `-` for standard input. Fails with a FileError. */
  readFile(path: string): Promise<Uint8Array>;
  /** Makes or replaces a file of the user's, `-` for standard output. Fails with a FileError. */
  writeFile(path: string, content: string | Uint8Array): Promise<void>;
  /** Resolves when the user wants the command to end (SIGINT, SIGTERM), for those that go on until then. */
  interrupted(): Promise<void>;
  /** Waits so many milliseconds, or until `interrupted`. */
  sleep(milliseconds: number): Promise<void>;
}

/** A file that could not be read or written. */
export class FileError extends Error {
  /** Linux's errno. */
  readonly errno: number;
  constructor(message: string, errno: number) {
    super(message);
    this.name = new.target.name;
    this.errno = errno;
  }
}
