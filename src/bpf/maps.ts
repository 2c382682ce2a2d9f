// What the map commands of bpf(2) take and give.

import type { Fd } from './fd.js';
import type { MapType } from './types.js';

export interface MapCreateAttr {
  type: MapType;
  /** Bytes. */
  keySize: number;
  /** Bytes; of a per-CPU map, of one CPU's value. */
  valueSize: number;
  maxEntries: number;
  /** MapFlag bits. */
  flags?: number;
  /** At most 15 letters, digits, `_` and `.`. */
  name?: string;
  /** What the maps of a map-in-map are like. */
  innerMapFd?: Fd;
  /** With MapFlag.NumaNode. */
  numaNode?: number;
  /** The device that an offloaded map lives on. */
  ifindex?: number;
  btfFd?: Fd;
  btfKeyTypeId?: number;
  btfValueTypeId?: number;
  /** The structure in the kernel's own BTF that a struct_ops map implements. */
  btfVmlinuxValueTypeId?: number;
  /** BTF of the module that has that structure (with MapFlag's BPF_F_VTYPE_BTF_OBJ_FD, bit 15). */
  valueTypeBtfObjFd?: Fd;
  /** What it means depends on the type: hash functions of a bloom filter, the address of an arena. */
  mapExtra?: bigint;
  /** With MapFlag.TokenFd. */
  tokenFd?: Fd;
}

export interface MapInfo {
  id: number;
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  name: string;
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** 0 but for struct_ops. */
  btfVmlinuxValueTypeId: number;
  mapExtra: bigint;
  /** The device of an offloaded map; 0 otherwise. */
  ifindex: number;
  /** Bytes charged. */
  memlock: number;
  frozen: boolean;
  /** Of a program array that programs use: the type of those programs. */
  ownerProgType?: number;
  /** Of the same: whether they are compiled. */
  ownerJited?: boolean;
}

/** Where a batched walk is: what the last batch gave back, or null to begin. Opaque, and of no use to another map. */
export type BatchCursor = Uint8Array | null;

/** Elements in one piece of memory: `count` keys one after the other, and as many values. */
export interface MapElements {
  count: number;
  keys: Uint8Array;
  values: Uint8Array;
}

/** What BPF_MAP_LOOKUP_BATCH and BPF_MAP_LOOKUP_AND_DELETE_BATCH found. */
export interface MapBatchResult extends MapElements {
  /** Give this to the next call. */
  cursor: Uint8Array;
  /** The walk is at its end: there is nothing behind these elements. */
  done: boolean;
}

export interface MapBatchOptions {
  /** UpdateFlag.Lock, for values with a spin lock; nothing else. */
  elemFlags?: number;
}
