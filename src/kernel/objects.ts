// Kernel objects and who holds them: descriptors, pins, links, programs that use a map, slots of maps. An object goes when
// its last holder does. Some holders are users (descriptors and pins: Linux's `usercnt`): a program array whose last user
// goes lets go of its programs, although programs may hold it still. Ids only grow, as in Linux until they wrap.

import type { MapCreateAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { KernelLink } from './attach/link.js';
import type { FileReader } from './fs/nodes.js';
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

/** An open file; a directory cannot be read. */
export interface FileObject {
  readonly id: 0;
  readonly reader: FileReader | undefined;
}

export interface Kinds {
  map: KernelMapObject;
  program: KernelProgram;
  link: KernelLink;
  btf: KernelBtf;
  stats: StatsObject;
  'perf buffer': PerfBufferObject;
  file: FileObject;
}

export type Kind = keyof Kinds;
/** The kinds that have ids. */
export type NumberedKind = Exclude<Kind, 'stats' | 'perf buffer' | 'file'>;
export type KernelObject = Kinds[Kind];

export const isNumbered = (kind: Kind): kind is NumberedKind =>
  kind !== 'stats' && kind !== 'perf buffer' && kind !== 'file';

interface Entry {
  readonly kind: Kind;
  readonly object: KernelObject;
  readonly destroy: () => void;
  holders: number;
  /** Those of the holders that are users. */
  users: number;
}

/** The objects of one kernel, whosever descriptors lead to them. */
export class Objects {
  readonly #entries = new Map<KernelObject, Entry>();
  readonly #ids: Readonly<Record<NumberedKind, IdTable>> = {
    map: new IdTable(),
    program: new IdTable(),
    link: new IdTable(),
    btf: new IdTable(),
  };

  /** The id that the next object of this kind will have; it is taken when one is added with it. */
  newId(kind: NumberedKind): number {
    return this.#ids[kind].next;
  }

  /** A new object, which nobody holds yet. `destroy` runs when the last holder goes. */
  add<K extends Kind>(kind: K, object: Kinds[K], destroy: () => void): void {
    const entry: Entry = { kind, object, destroy, holders: 0, users: 0 };
    this.#entries.set(object, entry);
    if (isNumbered(entry.kind)) this.#ids[entry.kind].add(object.id, object);
  }

  #entry(object: KernelObject): Entry {
    const entry = this.#entries.get(object);
    if (!entry) throw new Error('the object is gone');
    return entry;
  }

  kindOf(object: KernelObject): Kind {
    return this.#entry(object).kind;
  }

  /** The id after `id` among the objects that exist; ENOENT after the last. */
  nextId(kind: NumberedKind, id: number, command: string): number {
    const next = this.#ids[kind].after(id);
    if (next === undefined) throw new BpfError(command, Errno.ENOENT, `there is no ${kind} after ${id}`);
    return next;
  }

  /** All objects of a kind, by id. */
  all<K extends NumberedKind>(kind: K): Iterable<Kinds[K]> {
    return this.#ids[kind].all() as Iterable<Kinds[K]>;
  }

  /** The object with this id, if there is one. */
  find<K extends NumberedKind>(kind: K, id: number): Kinds[K] | undefined {
    return this.#ids[kind].get(id) as Kinds[K] | undefined;
  }

  /** The object with this id; ENOENT without one. */
  byId<K extends NumberedKind>(kind: K, id: number, command: string): Kinds[K] {
    const object = this.#ids[kind].get(id);
    if (!object) throw new BpfError(command, Errno.ENOENT, `there is no ${kind} with id ${id}`);
    return object as Kinds[K];
  }

  /** One holder more. */
  hold<T extends KernelObject>(object: T): T {
    this.#entry(object).holders++;
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

  /** One holder more, who is a user. */
  use<T extends KernelObject>(object: T): T {
    const entry = this.#entry(object);
    entry.users++;
    entry.holders++;
    return object;
  }

  /** One user less. */
  unuse(object: KernelObject): void {
    const entry = this.#entry(object);
    if (--entry.users === 0 && entry.kind === 'map') (object as KernelMapObject).map.unused();
    this.drop(object);
  }

  /** Number of objects that exist, for tests of lifetimes. */
  get size(): number {
    return this.#entries.size;
  }
}

/** The objects of one kind by id; `order` ascends. */
class IdTable {
  readonly #objects = new Map<number, KernelObject>();
  readonly #order: number[] = [];
  next = 1;

  get(id: number): KernelObject | undefined {
    return this.#objects.get(id);
  }

  all(): Iterable<KernelObject> {
    return this.#objects.values();
  }

  add(id: number, object: KernelObject): void {
    this.#objects.set(id, object);
    this.#order.push(id);
    this.next = id + 1;
  }

  delete(id: number): void {
    this.#objects.delete(id);
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
