// A map type is one definition: a row here is all that map creation and the system call know of it. What the
// type does with keys and values is in runtime/maps/.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, type MapType } from '../../bpf/types.js';
import type { References, ReferringMap } from './references.js';

/** The sizes and flags that a map is created with (BPF_MAP_CREATE). */
export interface MapShape {
  readonly type: MapType;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes, of one CPU's value in per-CPU maps. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** MapFlag bits. */
  readonly flags: number;
  /** map_extra; 0 for types that do not use it. */
  readonly mapExtra: bigint;
}

/** Why a shape is refused: Linux's errno, and in words what was wrong. */
export interface Refusal {
  readonly errno: Errno;
  readonly detail: string;
}

export interface MapTypeDefinition {
  readonly type: MapType;
  /** Creation flags that the type knows; any other is refused with EINVAL. */
  readonly flags: number;
  /** Each CPU has its own value; the system call moves all of them at once. */
  readonly percpu: boolean;
  /** Flags that such a map has whether it was asked for or not. */
  readonly impliedFlags?: number;
  /** Its values are maps that are like the one that it is created with. */
  readonly holdsMaps?: true;
  /** Elements of a type whose values stand for something in the kernel, and are no plain bytes. */
  references?(map: ReferringMap): References;
  /**
   * What BTF may say of keys and values: any types of the right sizes, unless said otherwise. `index`: the key is a number,
   * `struct key`: the key is a struct, `no key`: only the value has a type, `none`: nothing.
   */
  readonly btf?: 'index' | 'struct key' | 'no key' | 'none';
  /** map_extra means something to the type. */
  readonly usesExtra?: true;
  /** max_entries may be 0. */
  readonly mayBeEmpty?: true;
  /** The system call can look a value up and delete it in one step. */
  readonly takes?: true;
  /** What else is wrong with a shape, in the order in which Linux looks (map_alloc_check). */
  refuse(shape: MapShape): Refusal | undefined;
  /** Bytes that Linux 6.18 on a 64-bit machine charges for it (map_mem_usage) with `count` elements in use. */
  memlock(shape: MapShape, cpus: number, count: number): number;
}

/** No type has room for no elements. Types look at that themselves when Linux does before something else. */
export const refuseEmpty = ({ maxEntries }: MapShape): Refusal | undefined =>
  maxEntries === 0 ? { errno: Errno.EINVAL, detail: 'max_entries is 0' } : undefined;

/** Flags that every type takes: who may read and write, through descriptors and in programs. */
export const accessFlags = MapFlag.Rdonly | MapFlag.Wronly | MapFlag.RdonlyProg | MapFlag.WronlyProg;

/** Per-CPU values are at most this long (PCPU_MIN_UNIT_SIZE). */
export const perCpuValueLimit = 32768;

export const round8 = (size: number): number => Math.ceil(size / 8) * 8;

export const roundUpPowerOfTwo = (count: number): number => 2 ** Math.ceil(Math.log2(count));
