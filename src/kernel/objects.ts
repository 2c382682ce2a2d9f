// Kernel objects and who holds them: descriptors, programs that use a map, program arrays. An object goes when its
// last holder does. Ids only grow, as in Linux until they wrap.

import type { Fd, MapCreateAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { KernelMap } from './maps/index.js';
import type { KernelBtf, KernelProgram } from './program.js';

export interface KernelMapObject {
  readonly id: number;
  readonly map: KernelMap;
  readonly attr: MapCreateAttr;
  readonly btf: KernelBtf | undefined;
}

/** An open descriptor of BPF_ENABLE_STATS. */
export interface StatsObject {
  readonly id: 0;
  readonly stats: true;
}

/** A perf event that programs may send to. */
export interface PerfBufferObject {
  readonly id: 0;
  /** Of the PerfBuffer in linear memory. */
  readonly address: number;
}

interface Kinds {
  map: KernelMapObject;
  program: KernelProgram;
  btf: KernelBtf;
  stats: StatsObject;
  'perf buffer': PerfBufferObject;
}

type Kind = keyof Kinds;
/** The kinds that have ids. */
export type NumberedKind = Exclude<Kind, 'stats' | 'perf buffer'>;
export type KernelObject = Kinds[Kind];

const isNumbered = (kind: Kind): kind is NumberedKind => kind !== 'stats' && kind !== 'perf buffer';

interface Entry {
  readonly kind: Kind;
  readonly object: KernelObject;
  readonly destroy: () => void;
  holders: number;
  /** Those of the holders that are descriptors. */
  descriptors: number;
}

/** Linux's descriptors 0 to 2 are taken in every process. */
const FIRST_FD = 3;

export class ObjectTable {
  readonly #byFd = new Map<Fd, Entry>();
  readonly #entries = new Map<KernelObject, Entry>();
  /** MapFlag.Rdonly or Wronly of the descriptors that were opened with it. */
  readonly #modes = new Map<Fd, number>();
  readonly #free: Fd[] = [];
  readonly #ids: Readonly<Record<NumberedKind, IdTable>> = {
    map: new IdTable(),
    program: new IdTable(),
    btf: new IdTable(),
  };
  #next = FIRST_FD;

  /** The id that the next object of this kind will have; it is taken when one is added with it. */
  newId(kind: NumberedKind): number {
    return this.#ids[kind].next;
  }

  /** A new object with one holder, its descriptor. `destroy` runs when the last holder goes. */
  add<K extends Kind>(kind: K, object: Kinds[K], destroy: () => void): Fd {
    const entry: Entry = { kind, object, destroy, holders: 0, descriptors: 0 };
    this.#entries.set(object, entry);
    if (isNumbered(entry.kind)) this.#ids[entry.kind].add(object.id, entry);
    return this.#open(entry);
  }

  #open(entry: Entry): Fd {
    const fd = this.#free.pop() ?? this.#next++;
    this.#byFd.set(fd, entry);
    entry.holders++;
    entry.descriptors++;
    return fd;
  }

  /** The object of `kind` behind a descriptor, if that is what it is. */
  find<K extends Kind>(fd: Fd, kind: K): Kinds[K] | undefined {
    const entry = this.#byFd.get(fd);
    return entry?.kind === kind ? (entry.object as Kinds[K]) : undefined;
  }

  /** Whether there is anything behind a descriptor. */
  has(fd: Fd): boolean {
    return this.#byFd.has(fd);
  }

  /** The same, or EBADF (no such descriptor) or EINVAL (of another kind), as Linux answers. */
  get<K extends Kind>(fd: Fd, kind: K, command: string): Kinds[K] {
    const found = this.kind(fd, command);
    if (found !== kind) {
      throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is a ${found}, not a ${kind}`);
    }
    return this.#byFd.get(fd)?.object as Kinds[K];
  }

  /** What is behind a descriptor; EBADF for nothing. */
  kind(fd: Fd, command: string): Kind {
    const entry = this.#byFd.get(fd);
    if (!entry) throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not open`);
    return entry.kind;
  }

  /** The id after `id` among the objects that exist; ENOENT after the last. */
  nextId(kind: NumberedKind, id: number, command: string): number {
    const next = this.#ids[kind].after(id);
    if (next === undefined) throw new BpfError(command, Errno.ENOENT, `there is no ${kind} after ${id}`);
    return next;
  }

  /** One descriptor more of the object with this id; ENOENT without one. */
  openId(kind: NumberedKind, id: number, command: string, mode = 0): Fd {
    const entry = this.#ids[kind].get(id);
    if (!entry) throw new BpfError(command, Errno.ENOENT, `there is no ${kind} with id ${id}`);
    const fd = this.#open(entry);
    if (mode) this.#modes.set(fd, mode);
    return fd;
  }

  /** MapFlag.Rdonly or Wronly when the descriptor was opened with it. */
  mode(fd: Fd): number {
    return this.#modes.get(fd) ?? 0;
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
    if (isNumbered(entry.kind)) this.#ids[entry.kind].delete(object.id);
    entry.destroy();
  }

  close(fd: Fd): void {
    const entry = this.#byFd.get(fd);
    if (!entry) throw new BpfError('close', Errno.EBADF, `descriptor ${fd} is not open`);
    this.#byFd.delete(fd);
    this.#modes.delete(fd);
    this.#free.push(fd);
    entry.descriptors--;
    if (entry.kind === 'map') (entry.object as KernelMapObject).map.released(fd, entry.descriptors === 0);
    this.drop(entry.object);
  }

  /** Number of objects that exist, for tests of lifetimes. */
  get size(): number {
    return this.#entries.size;
  }
}

/** The objects of one kind by id; `order` ascends. */
class IdTable {
  readonly #entries = new Map<number, Entry>();
  readonly #order: number[] = [];
  next = 1;

  get(id: number): Entry | undefined {
    return this.#entries.get(id);
  }

  add(id: number, entry: Entry): void {
    this.#entries.set(id, entry);
    this.#order.push(id);
    this.next = id + 1;
  }

  delete(id: number): void {
    this.#entries.delete(id);
    this.#order.splice(this.#place(id), 1);
  }

  after(id: number): number | undefined {
    return this.#order[this.#place(id + 1)];
  }

  /** Where the first id that is not below `id` stands. */
  #place(id: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] ?? 0) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
