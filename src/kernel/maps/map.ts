// One map of the emulated kernel. Its header and its elements lie in linear memory, where programs use them
// without leaving WebAssembly; this class is the system call's side: bytes in, bytes out, Linux's errno.

import type { Fd, MapCreateAttr } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType, mapTypeName, UpdateFlag } from '../../bpf/types.js';
import { type KernelMemory, layout } from '../memory/memory.js';
import { arenaStart } from './arena.js';
import type { MapTypeDefinition } from './definition.js';
import { refuseEmpty, round8 } from './definition.js';
import { refuseModel } from './map-in-map.js';
import type { ProgramTraits } from './owner.js';
import type { MapCaller, MapSurroundings, References, ReferringMap } from './references.js';
import { mapTypeDefinition } from './table.js';

/** The runtime's functions that are used here. Addresses come back as signed 32 bits. */
interface MapRuntime {
  map_create(
    type: number,
    key: number,
    value: number,
    entries: number,
    flags: number,
    cpus: number,
    extra: number,
  ): number;
  map_destroy(map: number): void;
  map_lookup_copy(map: number, key: number, to: number): number;
  map_lookup_and_delete(map: number, key: number, to: number): number;
  map_update_all(map: number, key: number, value: number, flags: bigint): number;
  map_delete(map: number, key: number): number;
  map_next_key(map: number, key: number, next: number): number;
}

const updateFlags = [0n, 1n, 2n] as const;

/** Letters, digits, `_` and `.`, at most 15 (bpf_obj_name_cpy). */
const validName = /^[A-Za-z0-9_.]{0,15}$/;

function refuse(errno: Errno, detail: string): never {
  throw new BpfError('BPF_MAP_CREATE', errno, detail);
}

const isU32 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 2 ** 32;

/** The definition of a map's type when all of `attr` is as Linux wants it; otherwise its error. */
function validate(attr: MapCreateAttr): MapTypeDefinition {
  const { type, keySize, valueSize, maxEntries, flags = 0, name = '' } = attr;
  const definition = mapTypeDefinition(type);
  if (!definition) {
    const word = mapTypeName(type);
    refuse(
      Errno.EINVAL,
      word ? `map type ${word} is not available in the emulated kernel yet` : `there is no map type ${type}`,
    );
  }
  for (const [field, value] of Object.entries({ keySize, valueSize, maxEntries, flags })) {
    if (!isU32(value)) refuse(Errno.EINVAL, `${field} is ${value}, not an unsigned 32-bit number`);
  }
  if (!validName.test(name)) {
    refuse(Errno.EINVAL, `the name "${name}" is not at most 15 letters, digits, "_" and "."`);
  }
  const { mapExtra = 0n } = attr;
  if (mapExtra && !definition.usesExtra) {
    refuse(Errno.EINVAL, `map_extra means nothing to a ${mapTypeName(type)} map`);
  }
  if (attr.btfKeyTypeId && !attr.btfValueTypeId) {
    refuse(Errno.EINVAL, 'there is a BTF type of the key, but none of the value');
  }
  const both = (a: number, b: number): boolean => (flags & a) !== 0 && (flags & b) !== 0;
  if (both(MapFlag.Rdonly, MapFlag.Wronly) || both(MapFlag.RdonlyProg, MapFlag.WronlyProg)) {
    refuse(Errno.EINVAL, 'the map would be read-only and write-only');
  }
  if (flags & MapFlag.NumaNode && attr.numaNode) {
    refuse(Errno.EINVAL, `there is no NUMA node ${attr.numaNode}`);
  }
  const unknown = (flags & ~definition.flags) >>> 0;
  if (unknown) {
    refuse(Errno.EINVAL, `flags 0x${unknown.toString(16)} mean nothing to a ${mapTypeName(type)} map`);
  }
  const shape = { type, keySize, valueSize, maxEntries, flags, mapExtra };
  const refusal = definition.refuse(shape) ?? (definition.mayBeEmpty ? undefined : refuseEmpty(shape));
  if (refusal) refuse(refusal.errno, refusal.detail);
  return definition;
}

/** Nobody in particular: every descriptor is none. */
const nobody: MapCaller = {
  file: {},
  program: closed,
  map: closed,
  perfEvent: closed,
  isOpen: () => false,
};

const nothing: MapSurroundings = { hasDevice: () => false };

function closed(fd: Fd, command: string): never {
  throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is not open`);
}

/** What a map of maps is created with: a map that is like those to be put in. */
function modelOf(attr: MapCreateAttr, by: MapCaller): KernelMap {
  const { map } = by.map(attr.innerMapFd ?? 0, 'BPF_MAP_CREATE');
  const refusal = refuseModel(map);
  if (refusal) refuse(refusal.errno, refusal.detail);
  return map;
}

/** A map; its identity is its `id`, its place in linear memory `address` (a BpfMap). */
export class KernelMap {
  readonly id: number;
  readonly name: string;
  readonly definition: MapTypeDefinition;
  readonly type: MapType;
  /** Bytes. */
  readonly keySize: number;
  readonly valueSize: number;
  /** As asked for, or the multiple of the CPUs that Linux makes of it (LRU hashes with BPF_F_NO_COMMON_LRU). */
  readonly maxEntries: number;
  readonly mapExtra: bigint;
  /** MapFlag bits that stay with the map; those of the descriptor that creation gives are none of them. */
  readonly flags: number;
  /** What the maps in a map of maps are like. */
  readonly inner: KernelMap | undefined;
  /** Of the BpfMap in linear memory. */
  readonly address: number;
  /** Bytes of the value that the system call moves: all CPUs' slots of a per-CPU map. */
  readonly transferSize: number;
  readonly #memory: KernelMemory;
  readonly #runtime: MapRuntime;
  readonly #cpus: number;
  /** MapFlag.Rdonly or Wronly: what the system call may do. */
  readonly #mode: number;
  /** The elements of types whose values are no plain bytes. */
  readonly #references: References | undefined;
  /** Room for a key, the next key and a value; 0 until first needed. */
  #scratch = 0;
  #frozen = false;
  #destroyed = false;

  /**
   * Makes a map in `memory` with room for `cpus` CPUs. Throws a BpfError: EINVAL or E2BIG for attributes that
   * Linux refuses, ENOMEM when the memory does not suffice (nothing is left behind then).
   */
  constructor(
    memory: KernelMemory,
    id: number,
    attr: MapCreateAttr,
    cpus: number,
    by: MapCaller = nobody,
    surroundings: MapSurroundings = nothing,
  ) {
    this.definition = validate(attr);
    this.id = id;
    this.name = attr.name ?? '';
    this.type = attr.type;
    this.keySize = attr.keySize;
    this.valueSize = attr.valueSize;
    this.mapExtra = attr.mapExtra ?? 0n;
    const flags = attr.flags ?? 0;
    this.#mode = flags & (MapFlag.Rdonly | MapFlag.Wronly);
    this.flags = (flags & ~this.#mode) | (this.definition.impliedFlags ?? 0);
    this.inner = this.definition.holdsMaps ? modelOf(attr, by) : undefined;
    this.transferSize = this.definition.percpu ? round8(attr.valueSize) * cpus : attr.valueSize;
    this.#memory = memory;
    this.#runtime = memory.runtime as unknown as MapRuntime;
    this.#cpus = cpus;
    this.address = this.#create(attr.maxEntries);
    this.maxEntries = memory.u32(this.address + layout.BpfMap_maxEntries);
    memory.setU32(this.address + layout.BpfMap_id, id);
    if (this.type === MapType.Arena) {
      memory.setU32(this.address + layout.BpfMap_extraHigh, Number(arenaStart(this.mapExtra) >> 32n));
    }
    this.#references = this.definition.references?.(this.#referring(surroundings));
  }

  /** This map, as its elements see it. */
  #referring(surroundings: MapSurroundings): ReferringMap {
    const { type, address, valueSize, maxEntries, flags, inner } = this;
    return {
      type,
      address,
      valueSize,
      maxEntries,
      flags,
      inner,
      cpus: this.#cpus,
      memory: this.#memory,
      surroundings,
      check: (command, result) => this.#check(command, result),
    };
  }

  #create(maxEntries: number): number {
    let address = 0;
    try {
      address = this.#runtime.map_create(
        this.type,
        this.keySize,
        this.valueSize,
        maxEntries,
        this.flags,
        this.#cpus,
        Number(BigInt.asUintN(32, this.mapExtra)),
      );
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
    }
    if (!address) {
      refuse(Errno.ENOMEM, `${maxEntries} entries of ${this.keySize} + ${this.transferSize} bytes`);
    }
    return address >>> 0;
  }

  /** Whether the system call may no longer write (BPF_MAP_FREEZE). */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** What the programs in this map and those that use it have in common; undefined before the first, and in other maps. */
  get owner(): ProgramTraits | undefined {
    return this.#references?.owner?.traits;
  }

  /** Why a program cannot use this map, because of the programs in it; undefined when it can. */
  refuseProgram(program: ProgramTraits): string | undefined {
    return this.#references?.owner?.refuse(program);
  }

  /** Elements in use; for arrays all of them. */
  get count(): number {
    return this.#memory.u32(this.address + layout.BpfMap_count);
  }

  /** Bytes that Linux would charge. */
  get memlock(): number {
    return this.definition.memlock(this, this.#cpus, this.count);
  }

  /**
   * A copy of the value (all CPUs' values, each in a slot of 8-byte multiples). ENOENT without one. Of a queue or a
   * stack the next value; a Bloom filter is asked for `value` (zeros without one).
   */
  lookup(key: Uint8Array, flags = 0, value?: Uint8Array): Uint8Array {
    const command = 'BPF_MAP_LOOKUP_ELEM';
    if (flags & ~UpdateFlag.Lock || flags > UpdateFlag.Lock) this.#flags(command, flags);
    this.#mayRead(command);
    if (flags) this.#flags(command, flags);
    const at = this.#putKey(command, key);
    if (this.#references) return this.#references.lookup(at);
    const to = at + 2 * round8(this.keySize);
    if (this.type === MapType.BloomFilter)
      this.#putValue(command, to, value ?? new Uint8Array(this.valueSize));
    this.#check(command, this.#runtime.map_lookup_copy(this.address, at, to));
    return this.#memory.read(to, this.transferSize);
  }

  /** The same, and the key is gone. ENOTSUPP for types from which nothing can be taken so. */
  lookupAndDelete(key: Uint8Array, flags = 0): Uint8Array {
    const command = 'BPF_MAP_LOOKUP_AND_DELETE_ELEM';
    if (flags & ~UpdateFlag.Lock || flags > UpdateFlag.Lock) this.#flags(command, flags);
    this.#mayRead(command);
    this.#mayWrite(command);
    if (flags) this.#flags(command, flags);
    const at = this.#putKey(command, key);
    if (!this.definition.takes) {
      throw new BpfError(
        command,
        Errno.ENOTSUPP,
        `nothing can be taken from a ${mapTypeName(this.type)} map`,
      );
    }
    const to = at + 2 * round8(this.keySize);
    this.#check(command, this.#runtime.map_lookup_and_delete(this.address, at, to));
    return this.#memory.read(to, this.transferSize);
  }

  /** Sets the value of a key; `flags` is an UpdateFlag. Where values stand for objects, it is a descriptor of `by`. */
  update(key: Uint8Array, value: Uint8Array, flags = 0, by: MapCaller = nobody): void {
    const command = 'BPF_MAP_UPDATE_ELEM';
    this.#mayWrite(command);
    this.#checkValue(command, value);
    if (this.#references) {
      if (flags & UpdateFlag.Lock) this.#flags(command, flags);
      this.#references.update(this.#putKey(command, key), value, flags, by);
      return;
    }
    const wide = updateFlags[flags];
    if (wide === undefined) this.#flags(command, flags);
    const at = this.#putKey(command, key);
    const from = at + 2 * round8(this.keySize);
    this.#memory.write(from, value);
    this.#check(command, this.#runtime.map_update_all(this.address, at, from, wide));
  }

  /** Removes a key: ENOENT when it is not there, EINVAL for arrays. */
  delete(key: Uint8Array): void {
    const command = 'BPF_MAP_DELETE_ELEM';
    this.#mayWrite(command);
    const at = this.#putKey(command, key);
    if (this.#references) this.#references.delete(at);
    else this.#check(command, this.#runtime.map_delete(this.address, at));
  }

  /**
   * The key after `key`, the first for null or (in a hash) for a key that is not there; ENOENT after the last.
   * A hash has no particular order, but it stays the same while the map does not change.
   */
  nextKey(key: Uint8Array | null): Uint8Array {
    const command = 'BPF_MAP_GET_NEXT_KEY';
    this.#mayRead(command);
    this.#references?.nextKey?.();
    const at = key ? this.#putKey(command, key) : this.#room(command);
    const next = at + round8(this.keySize);
    this.#check(command, this.#runtime.map_next_key(this.address, key ? at : 0, next));
    return this.#memory.read(next, this.keySize);
  }

  /** All keys, as a walk with nextKey finds them. */
  *keys(): Generator<Uint8Array, void, undefined> {
    let key: Uint8Array | null = null;
    for (let seen = 0; seen < this.maxEntries; seen++) {
      try {
        key = this.nextKey(key);
      } catch (error) {
        if (error instanceof BpfError && error.errno === Errno.ENOENT) return;
        throw error;
      }
      yield key;
    }
  }

  /** From now on the system call cannot write; EPERM when it could not before. */
  freeze(): void {
    this.#mayWrite('BPF_MAP_FREEZE');
    this.#frozen = true;
  }

  /** An open file of this map was closed: some types then let go of what came in by it. */
  closed(file: object): void {
    this.#references?.closed?.(file);
  }

  /** The last descriptor or pin is gone: some types then let go of what is in them. */
  unused(): void {
    this.#references?.unused?.();
  }

  /** Gives the memory back. Programs must not refer to the map any more; nor may it be used. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#references?.clear();
    if (this.#scratch) this.#memory.free(this.#scratch);
    this.#runtime.map_destroy(this.address);
  }

  #mayRead(command: string): void {
    if (this.#mode & MapFlag.Wronly) throw new BpfError(command, Errno.EPERM, 'the map is write-only');
  }

  #mayWrite(command: string): void {
    if (this.#frozen) throw new BpfError(command, Errno.EPERM, 'the map is frozen');
    if (this.#mode & MapFlag.Rdonly) throw new BpfError(command, Errno.EPERM, 'the map is read-only');
  }

  #flags(command: string, flags: number): never {
    const lock = flags === UpdateFlag.Lock ? ' (there is no spin lock in the value)' : '';
    throw new BpfError(command, Errno.EINVAL, `flags 0x${flags.toString(16)} mean nothing here${lock}`);
  }

  #check(command: string, result: number): void {
    if (result < 0) throw new BpfError(command, -result);
  }

  /** Address of the room for a key, the key after it (each rounded up to 8) and a value. */
  #room(command: string): number {
    if (!this.#scratch) {
      const room = this.#memory.alloc(2 * round8(this.keySize) + this.transferSize);
      if (room === undefined) throw new BpfError(command, Errno.ENOMEM);
      this.#scratch = room;
    }
    return this.#scratch;
  }

  #checkValue(command: string, value: Uint8Array): void {
    if (value.length === this.transferSize) return;
    throw new BpfError(
      command,
      Errno.EINVAL,
      `the value has ${value.length} bytes, the map's have ${this.transferSize}`,
    );
  }

  #putValue(command: string, at: number, value: Uint8Array): void {
    this.#checkValue(command, value);
    this.#memory.write(at, value);
  }

  #putKey(command: string, key: Uint8Array): number {
    if (key.length !== this.keySize) {
      throw new BpfError(
        command,
        Errno.EINVAL,
        `the key has ${key.length} bytes, the map's have ${this.keySize}`,
      );
    }
    const at = this.#room(command);
    this.#memory.write(at, key);
    return at;
  }
}
