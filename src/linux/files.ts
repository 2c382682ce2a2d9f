// The machine's own file system: bpf file systems, and the files under /proc and /sys.

import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  opendirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { FileCommands, FileEntry, FileKind, FileStat } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { mounts } from './machine.js';
import { fileError, type LinuxPins } from './pins.js';

const BPFFS = '/sys/fs/bpf';
/** Bytes of one read. */
const CHUNK = 1 << 16;

/** `body`, whose failure becomes one of the waist. */
function file<T>(command: string, path: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw fileError(command, cause, path);
  }
}

/** In the kernel's order: readdir would sort them. */
function namesIn(path: string): string[] {
  const names: string[] = [];
  const directory = opendirSync(path);
  try {
    for (let entry = directory.readSync(); entry; entry = directory.readSync()) names.push(entry.name);
  } finally {
    directory.closeSync();
  }
  return names;
}

export class LinuxFiles implements FileCommands {
  readonly #pins: LinuxPins;

  constructor(pins: LinuxPins) {
    this.#pins = pins;
  }

  async bpfMounts(): Promise<string[]> {
    const found = [...new Set(mounts('bpf'))];
    return found.includes(BPFFS) ? [BPFFS, ...found.filter((path) => path !== BPFFS)] : found;
  }

  async fileList(path: string): Promise<FileEntry[]> {
    const names = file('readdir', path, () => namesIn(path));
    const pins = await this.#mayBePinned(path);
    const entries: FileEntry[] = [];
    for (const name of names) {
      const kind = await this.#kind(`${path}/${name}`, pins);
      // What was there a moment ago and is gone is not in the directory.
      if (kind) entries.push({ name, kind });
    }
    return entries;
  }

  async fileStat(path: string): Promise<FileStat> {
    const { mode, uid, size } = file('stat', path, () => statSync(path));
    const kind = await this.#kind(path, await this.#mayBePinned(path));
    if (!kind) throw new BpfError('stat', Errno.ENOENT, path);
    return { kind, mode: mode & 0o7777, uid, size };
  }

  async #mayBePinned(path: string): Promise<boolean> {
    return (await this.bpfMounts()).some((mount) => path === mount || path.startsWith(`${mount}/`));
  }

  /** Undefined for nothing. A pin says what it is when it is opened; one that this user may not open is a file. */
  async #kind(path: string, mayBePinned: boolean): Promise<FileKind | undefined> {
    let found: Stats | undefined;
    try {
      found = statSync(path, { throwIfNoEntry: false });
    } catch {
      // It is there, and what it leads to may not be looked at: a descriptor of another process.
      return 'file';
    }
    if (!found) return undefined;
    if (found.isDirectory()) return 'directory';
    return (mayBePinned && (await this.#pins.pinKind(path))) || 'file';
  }

  async mkdir(path: string, mode?: number): Promise<void> {
    file('mkdir', path, () => mkdirSync(path, mode));
  }

  async rmdir(path: string): Promise<void> {
    file('rmdir', path, () => rmdirSync(path));
  }

  async rename(from: string, to: string): Promise<void> {
    file('rename', `${from} to ${to}`, () => renameSync(from, to));
  }

  async hardLink(from: string, to: string): Promise<void> {
    file('link', `${from} as ${to}`, () => linkSync(from, to));
  }

  async unlink(path: string): Promise<void> {
    file('unlink', path, () => unlinkSync(path));
  }

  async chmod(path: string, mode: number): Promise<void> {
    file('chmod', path, () => chmodSync(path, mode));
  }

  async readFile(path: string): Promise<Uint8Array> {
    const fd = file('open', path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    try {
      return file('read', path, () => readAvailable(fd));
    } finally {
      closeSync(fd);
    }
  }

  async writeFile(path: string, content: Uint8Array): Promise<void> {
    const fd = file('open', path, () => openSync(path, constants.O_WRONLY | constants.O_TRUNC));
    try {
      // One call: a setting of the kernel is what one write says.
      const written = file('write', path, () => writeSync(fd, content));
      if (written < content.length) {
        throw new BpfError('write', Errno.EIO, `${path} took ${written} of ${content.length} bytes`);
      }
    } finally {
      closeSync(fd);
    }
  }
}

/** What can be read without waiting. The size of a file that the kernel makes up is not known before. */
function readAvailable(fd: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = new Uint8Array(CHUNK);
    let size: number;
    try {
      size = readSync(fd, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      size = 0;
    }
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, size));
  }
}
