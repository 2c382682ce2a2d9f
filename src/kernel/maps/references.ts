// Elements that stand for something in the kernel: the system call gives a descriptor and gets an id back, and linear
// memory has an address (programs, maps, perf events) or a number (devices, CPUs).

import type { Fd } from '../../bpf/bpf.js';
import type { MapType } from '../../bpf/types.js';
import type { KernelMemory } from '../memory/memory.js';
import type { KernelMap } from './map.js';
import type { Owner, ProgramTraits } from './owner.js';

/** An object as a map holds it. */
export interface Reference {
  readonly id: number;
  /** Of the object in linear memory. */
  readonly address: number;
  /** The map refers to the object from now on, or no longer. */
  retain(): void;
  release(): void;
}

export interface ProgramReference extends Reference {
  readonly traits: ProgramTraits;
}

export interface MapReference extends Reference {
  readonly map: KernelMap;
}

/**
 * Who uses a map: a process, by one of its descriptors. Descriptors that are not open, or of something else, throw a
 * BpfError of `command`: EBADF or EINVAL.
 */
export interface MapCaller {
  /** The open file of the map; what is put in may go with it. */
  readonly file: object;
  program(fd: Fd, command: string): ProgramReference;
  map(fd: Fd, command: string): MapReference;
  /** A perf event that programs may send to: EBADF for anything else. */
  perfEvent(fd: Fd, command: string): Reference;
  /** Whether there is anything behind a descriptor. */
  isOpen(fd: Fd): boolean;
}

/** What a map asks of the kernel around it. */
export interface MapSurroundings {
  /** Whether there is a network device of this number. */
  hasDevice(ifindex: number): boolean;
}

/** A map, as its elements see it. */
export interface ReferringMap {
  readonly type: MapType;
  /** Of the BpfMap in linear memory. */
  readonly address: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** MapFlag bits. */
  readonly flags: number;
  readonly cpus: number;
  readonly memory: KernelMemory;
  readonly surroundings: MapSurroundings;
  /** What the maps in it are like. */
  readonly inner: KernelMap | undefined;
  /** Throws the BpfError that a negative errno of the runtime stands for. */
  check(command: string, result: number): void;
}

/** The commands on elements that are no plain bytes. A key is the address where it lies. */
export interface References {
  lookup(key: number): Uint8Array;
  update(key: number, value: Uint8Array, flags: number, by: MapCaller): void;
  delete(key: number): void;
  /** Where there is no walk over keys: throws why. */
  nextKey?(): never;
  /** An open file of the map was closed: what goes with it. */
  closed?(file: object): void;
  /** Nobody has a descriptor or a pin of the map any more: what goes with the last of them. */
  unused?(): void;
  /** Lets go of everything. */
  clear(): void;
  /** Of a map with programs in it: what they have in common with those that use it. */
  readonly owner?: Owner;
}

/** A little-endian number of 32 bits. */
export const u32At = (bytes: Uint8Array, offset = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);

/** The same as bytes. */
export function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
