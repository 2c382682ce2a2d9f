// What every group of commands shares: system calls that fail with a BpfError, and the descriptors that were handed out.

import type { Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { attributes, type Fields } from './attributes.js';
import { type Command, type Native, native } from './native.js';
import { NAME_LENGTH, Struct, type Values } from './struct.js';

const encoder = new TextEncoder();

export class Session implements Disposable {
  readonly native: Native;
  readonly #owned = new Set<Fd>();
  readonly #listeners: ((fd: Fd) => void)[] = [];

  /** Throws a SkepError that says what is missing: Linux, the package koffi, or the rights. */
  constructor() {
    this.native = native();
  }

  /** Closes every descriptor that is still open. */
  [Symbol.dispose](): void {
    for (const fd of this.#owned) this.#close(fd);
  }

  struct<F extends Fields>(fields: F, values: Values<F> = {}): Struct<F> {
    return new Struct(fields, this.native.address, values);
  }

  /** Runs a command; its result, 0 or more. */
  call(command: Command, attr: { bytes: Uint8Array }, detail = ''): number {
    return check(command, this.native.bpf(command, attr.bytes), detail);
  }

  /** The same for a command whose result is a descriptor, which is ours from then on. */
  open(command: Command, attr: { bytes: Uint8Array }, detail = ''): Fd {
    return this.adopt(this.call(command, attr, detail));
  }

  adopt(fd: Fd): Fd {
    this.#owned.add(fd);
    return fd;
  }

  /** A descriptor of ours: another one might be a file of the process. */
  own(command: string, fd: Fd): Fd {
    if (!this.#owned.has(fd)) {
      throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not of this kernel`);
    }
    return fd;
  }

  /** The same where none is needed. */
  ownIfGiven(command: string, fd: Fd | undefined): Fd | undefined {
    return fd === undefined ? undefined : this.own(command, fd);
  }

  close(fd: Fd): void {
    this.own('close', fd);
    this.#close(fd);
  }

  #close(fd: Fd): void {
    this.#owned.delete(fd);
    for (const listener of this.#listeners) listener(fd);
    this.native.close(fd);
  }

  /** Tells when a descriptor goes, so that what is known of it is forgotten: the number will be used again. */
  onClose(listener: (fd: Fd) => void): void {
    this.#listeners.push(listener);
  }

  /** BPF_OBJ_GET_INFO_BY_FD. `values` brings the arrays that the kernel is to fill in. */
  info<F extends Fields>(fields: F, fd: Fd, values: Values<F> = {}): Struct<F> {
    const command = 'BPF_OBJ_GET_INFO_BY_FD';
    this.own(command, fd);
    const info = this.struct(fields, values);
    const attr = this.struct(attributes.infoByFd, {
      'info.bpf_fd': fd,
      'info.info_len': info.bytes.length,
      'info.info': info.bytes,
    });
    this.call(command, attr);
    return info;
  }

  /** BPF_*_GET_NEXT_ID. */
  nextId(command: Command, id: number): number {
    const attr = this.struct(attributes.id, { start_id: id });
    this.call(command, attr, `there is none after ${id}`);
    return attr.u32('next_id');
  }

  /** BPF_*_GET_FD_BY_ID. */
  fdById(command: Command, id: number, openFlags = 0): Fd {
    return this.open(
      command,
      this.struct(attributes.id, { start_id: id, open_flags: openFlags }),
      `id ${id}`,
    );
  }
}

/** `result` when it is no error. */
export function check(command: string, result: number, detail = ''): number {
  if (result < 0) throw new BpfError(command, -result, detail);
  return result;
}

/** The kernel has 16 bytes for a name, the last one NUL: a longer one cannot even be asked for. */
export function checkName(command: Command, name = ''): string {
  if (encoder.encode(name).length >= NAME_LENGTH) {
    throw new BpfError(command, Errno.EINVAL, `the name ${JSON.stringify(name)} has more than 15 bytes`);
  }
  return name;
}

/** A text as C has it. */
export function cString(text: string): Uint8Array {
  if (text.includes('\0')) throw new RangeError('a text for the kernel cannot hold a NUL');
  return encoder.encode(`${text}\0`);
}

/** The text before the first NUL. */
export function fromCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
}

/** The bytes of an array of numbers, in place. */
export const bytesOf = (array: Uint32Array | Int32Array | BigUint64Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
