// Pins in the bpf file system of the real kernel, and the files whose descriptors bpf(2) takes.

import { openSync, read, readlinkSync } from 'node:fs';
import type { Fd, ObjKind, PinCommands } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { attributes } from './attributes.js';
import { cString, type Session } from './session.js';

/** What /proc/self/fd says of each kind of object. */
const kinds: Readonly<Record<string, ObjKind>> = {
  'anon_inode:bpf-map': 'map',
  'anon_inode:bpf-prog': 'prog',
  'anon_inode:bpf-link': 'link',
  'anon_inode:bpf_link': 'link',
  'anon_inode:btf': 'btf',
};

/** What a descriptor of this process is; undefined for anything that is not BPF's. */
export function objKind(fd: Fd): ObjKind | undefined {
  try {
    return kinds[readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    return undefined;
  }
}

/** An error of the file system as one of the waist. */
export function fileError(command: string, cause: unknown, detail: string): unknown {
  const errno = (cause as NodeJS.ErrnoException).errno;
  return errno === undefined ? cause : new BpfError(command, Math.abs(errno), detail);
}

export class LinuxPins implements PinCommands {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async objPin(fd: Fd, path: string): Promise<void> {
    const command = 'BPF_OBJ_PIN';
    const session = this.#session;
    session.own(command, fd);
    session.call(command, session.struct(attributes.obj, { pathname: cString(path), bpf_fd: fd }), path);
  }

  async objGet(path: string, fileFlags = 0): Promise<Fd> {
    const get = this.#session.struct(attributes.obj, { pathname: cString(path), file_flags: fileFlags });
    return this.#session.open('BPF_OBJ_GET', get, path);
  }

  async objKind(fd: Fd): Promise<ObjKind> {
    const command = 'BPF_OBJ_GET_INFO_BY_FD';
    const kind = objKind(this.#session.own(command, fd));
    if (!kind) throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is no object of BPF`);
    return kind;
  }

  /** What a pin stands for; undefined for what is none, or not for this user to open. */
  async pinKind(path: string): Promise<'prog' | 'map' | 'link' | undefined> {
    let fd: Fd;
    try {
      fd = await this.objGet(path);
    } catch (error) {
      if (error instanceof BpfError) return undefined;
      throw error;
    }
    try {
      const kind = objKind(fd);
      return kind === 'btf' ? undefined : kind;
    } finally {
      this.#session.close(fd);
    }
  }

  async tokenCreate(bpffs: string): Promise<Fd> {
    const session = this.#session;
    const directory = await this.open(bpffs);
    try {
      return session.open(
        'BPF_TOKEN_CREATE',
        session.struct(attributes.tokenCreate, { 'token_create.bpffs_fd': directory }),
        bpffs,
      );
    } finally {
      session.close(directory);
    }
  }

  /** A descriptor of a cgroup, a network namespace, a directory or a pinned iterator. */
  async open(path: string): Promise<Fd> {
    try {
      return this.#session.adopt(openSync(path, 'r'));
    } catch (cause) {
      throw fileError('open', cause, path);
    }
  }

  async read(fd: Fd, size: number): Promise<Uint8Array> {
    this.#session.own('read', fd);
    const buffer = new Uint8Array(size);
    // Not synchronous: of a file without an end, as trace_pipe, it waits for what will come.
    const { error, length } = await new Promise<{ error: Error | null; length: number }>((resolve) => {
      read(fd, buffer, 0, size, null, (error, length) => resolve({ error, length }));
    });
    if (error) throw fileError('read', error, `descriptor ${fd}`);
    return buffer.subarray(0, length);
  }
}
