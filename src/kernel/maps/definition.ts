// A map type is one definition: a row here is all that map creation and the system call know of it. What the
// type does with keys and values is in runtime/maps/.

import type { Errno } from '../../bpf/errno.js';
import { MapFlag, type MapType } from '../../bpf/types.js';

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
  /** Values are descriptors (programs): the system call translates them, a program cannot read them. */
  readonly holdsPrograms: boolean;
  /** What else is wrong with a shape, in the order in which Linux looks (map_alloc_check). */
  refuse(shape: MapShape): Refusal | undefined;
  /** Bytes that Linux 6.18 on a 64-bit machine charges for it (map_mem_usage) with `count` elements in use. */
  memlock(shape: MapShape, cpus: number, count: number): number;
}

/** Flags that every type takes: who may read and write, through descriptors and in programs. */
export const accessFlags = MapFlag.Rdonly | MapFlag.Wronly | MapFlag.RdonlyProg | MapFlag.WronlyProg;

/** Per-CPU values are at most this long (PCPU_MIN_UNIT_SIZE). */
export const perCpuValueLimit = 32768;

export const round8 = (size: number): number => Math.ceil(size / 8) * 8;

export const roundUpPowerOfTwo = (count: number): number => 2 ** Math.ceil(Math.log2(count));
