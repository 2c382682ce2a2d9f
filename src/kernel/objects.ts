// Kernel objects and who holds them: descriptors, programs that use a map, program arrays. An object goes when its
// last holder does.

import type { Fd, MapCreateAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { KernelMap } from './maps/index.js';
import type { KernelBtf, KernelProgram } from './program.js';

export interface KernelMapObject {
  readonly map: KernelMap;
  readonly attr: MapCreateAttr;
  readonly btf: KernelBtf | undefined;
}

interface Kinds {
  map: KernelMapObject;
  program: KernelProgram;
  btf: KernelBtf;
}

type Kind = keyof Kinds;
export type KernelObject = Kinds[Kind];

interface Entry {
  readonly kind: Kind;
  readonly object: KernelObject;
  readonly destroy: () => void;
  holders: number;
}

/** Linux's descriptors 0 to 2 are taken in every process. */
const FIRST_FD = 3;

export class ObjectTable {
  readonly #byFd = new Map<Fd, Entry>();
  readonly #entries = new Map<KernelObject, Entry>();
  readonly #free: Fd[] = [];
  #next = FIRST_FD;

  /** A new object with one holder, its descriptor. `destroy` runs when the last holder goes. */
  add<K extends Kind>(kind: K, object: Kinds[K], destroy: () => void): Fd {
    const entry: Entry = { kind, object, destroy, holders: 1 };
    const fd = this.#free.pop() ?? this.#next++;
    this.#byFd.set(fd, entry);
    this.#entries.set(object, entry);
    return fd;
  }

  /** The object of `kind` behind a descriptor, if that is what it is. */
  find<K extends Kind>(fd: Fd, kind: K): Kinds[K] | undefined {
    const entry = this.#byFd.get(fd);
    return entry?.kind === kind ? (entry.object as Kinds[K]) : undefined;
  }

  /** The same, or EBADF (no such descriptor) or EINVAL (of another kind), as Linux answers. */
  get<K extends Kind>(fd: Fd, kind: K, command: string): Kinds[K] {
    const entry = this.#byFd.get(fd);
    if (!entry) throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not open`);
    if (entry.kind !== kind) {
      throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is a ${entry.kind}, not a ${kind}`);
    }
    return entry.object as Kinds[K];
  }

  /** One holder more. */
  hold<T extends KernelObject>(object: T): T {
    const entry = this.#entries.get(object);
    if (!entry) throw new Error('the object is gone');
    entry.holders++;
    return object;
  }

  /** One holder less. */
  drop(object: KernelObject): void {
    const entry = this.#entries.get(object);
    if (!entry || --entry.holders > 0) return;
    this.#entries.delete(object);
    entry.destroy();
  }

  close(fd: Fd): void {
    const entry = this.#byFd.get(fd);
    if (!entry) throw new BpfError('close', Errno.EBADF, `descriptor ${fd} is not open`);
    this.#byFd.delete(fd);
    this.#free.push(fd);
    this.drop(entry.object);
  }

  /** Number of objects that exist, for tests of lifetimes. */
  get size(): number {
    return this.#entries.size;
  }
}
