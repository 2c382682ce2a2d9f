// Arrays of descriptors (Linux: fd_array_map_ops): a slot in linear memory holds an address, 0 when it is empty.

import type { Fd } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, UpdateFlag } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import { refuseArray } from './array.js';
import type { MapShape, Refusal } from './definition.js';
import {
  type MapCaller,
  type Reference,
  type References,
  type ReferringMap,
  u32At,
  u32Bytes,
} from './references.js';

/** Creation flags of arrays of descriptors. Programs can neither read nor write them. */
export const slotFlags = MapFlag.NumaNode | MapFlag.Rdonly | MapFlag.Wronly;

/** What an array of descriptors asks for (fd_array_map_alloc_check). */
export function refuseSlots(shape: MapShape, what: string): Refusal | undefined {
  if (shape.valueSize === 4) return refuseArray(shape, false);
  const detail = `values of ${what} are descriptors of 4 bytes, not ${shape.valueSize}`;
  return { errno: Errno.EINVAL, detail };
}

/** Gives the object of a caller's descriptor, or throws why it cannot be held here. */
type Find = (fd: Fd, command: string, by: MapCaller) => Reference;

/** The slots of one map. */
export class Slots implements References {
  readonly #map: ReferringMap;
  readonly #find: Find;
  readonly #held = new Map<number, Reference>();

  constructor(map: ReferringMap, find: Find) {
    this.#map = map;
    this.#find = find;
  }

  /** The object's id. */
  lookup(key: number): Uint8Array {
    const held = this.#held.get(this.#map.memory.u32(key));
    if (!held) throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOENT);
    return u32Bytes(held.id);
  }

  update(key: number, value: Uint8Array, flags: number, by: MapCaller): void {
    const command = 'BPF_MAP_UPDATE_ELEM';
    if (flags !== UpdateFlag.Any) {
      throw new BpfError(command, Errno.EINVAL, `flags 0x${flags.toString(16)} mean nothing here`);
    }
    const index = this.#index(command, key);
    const object = this.#find(u32At(value), command, by);
    object.retain();
    this.#held.get(index)?.release();
    this.#held.set(index, object);
    this.#set(index, object.address);
  }

  delete(key: number): void {
    const command = 'BPF_MAP_DELETE_ELEM';
    const index = this.#index(command, key);
    if (!this.drop(index)) throw new BpfError(command, Errno.ENOENT);
  }

  /** Empties a slot; false when it was empty. */
  protected drop(index: number): boolean {
    const held = this.#held.get(index);
    if (!held) return false;
    this.#held.delete(index);
    this.#set(index, 0);
    held.release();
    return true;
  }

  clear(): void {
    for (const index of [...this.#held.keys()]) this.drop(index);
  }

  #index(command: string, key: number): number {
    const { memory, maxEntries } = this.#map;
    const index = memory.u32(key);
    if (index < maxEntries) return index;
    throw new BpfError(command, Errno.E2BIG, `index ${index} is not below max_entries ${maxEntries}`);
  }

  #set(index: number, address: number): void {
    const { memory, address: map } = this.#map;
    memory.setU32(memory.u32(map + layout.BpfMap_values) + index * 4, address);
  }
}
