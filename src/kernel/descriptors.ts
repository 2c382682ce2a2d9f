// The descriptors of one process: small numbers, the lowest free one first, each an open file of a kernel object.

import type { Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { KernelMapObject, KernelObject, Kind, Kinds, Objects } from './objects.js';

/** What a descriptor stands for. Two of the same object are two files. */
export interface OpenFile {
  readonly kind: Kind;
  readonly object: KernelObject;
  /** MapFlag.Rdonly or Wronly when it was opened with that. */
  readonly mode: number;
}

/** Linux's descriptors 0 to 2 are taken in every process. */
const FIRST_FD = 3;

export class Descriptors {
  readonly objects: Objects;
  readonly #files = new Map<Fd, OpenFile>();
  /** No descriptor below this one is free. */
  #lowest = FIRST_FD;
  #ended = false;

  constructor(objects: Objects) {
    this.objects = objects;
  }

  /** A new object with one holder, its descriptor. `destroy` runs when the last holder goes. */
  create<K extends Kind>(kind: K, object: Kinds[K], destroy: () => void): Fd {
    this.objects.add(kind, object, destroy);
    this.objects.hold(object);
    try {
      return this.open(object);
    } finally {
      this.objects.drop(object);
    }
  }

  /** One descriptor more of an object. */
  open(object: KernelObject, mode = 0): Fd {
    if (this.#ended) throw new BpfError('open', Errno.ESRCH, 'the process has ended');
    let fd = this.#lowest;
    while (this.#files.has(fd)) fd++;
    this.#lowest = fd + 1;
    this.objects.use(object);
    this.#files.set(fd, { kind: this.objects.kindOf(object), object, mode });
    return fd;
  }

  /** The object of `kind` behind a descriptor, if that is what it is. */
  find<K extends Kind>(fd: Fd, kind: K): Kinds[K] | undefined {
    const file = this.#files.get(fd);
    return file?.kind === kind ? (file.object as Kinds[K]) : undefined;
  }

  /** Whether there is anything behind a descriptor. */
  has(fd: Fd): boolean {
    return this.#files.has(fd);
  }

  /** The same, or EBADF (no such descriptor) or EINVAL (of another kind), as Linux answers. */
  get<K extends Kind>(fd: Fd, kind: K, command: string): Kinds[K] {
    const file = this.file(fd, command);
    if (file.kind !== kind) {
      throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is a ${file.kind}, not a ${kind}`);
    }
    return file.object as Kinds[K];
  }

  /** What is behind a descriptor; EBADF for nothing. */
  file(fd: Fd, command: string): OpenFile {
    const file = this.#files.get(fd);
    if (!file) throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not open`);
    return file;
  }

  close(fd: Fd): void {
    const file = this.file(fd, 'close');
    this.#files.delete(fd);
    this.#lowest = Math.min(this.#lowest, fd);
    if (file.kind === 'map') (file.object as KernelMapObject).map.closed(file);
    this.objects.unuse(file.object);
  }

  /** Closes all of them; there will be no others. */
  end(): void {
    this.#ended = true;
    for (const fd of [...this.#files.keys()]) this.close(fd);
  }

  /** Number of open descriptors. */
  get size(): number {
    return this.#files.size;
  }
}
