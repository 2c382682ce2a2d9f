// BPF_MAP_TYPE_ARRAY_OF_MAPS and BPF_MAP_TYPE_HASH_OF_MAPS (Linux: kernel/bpf/map_in_map.c). What is put in must be like
// the map that the outer one was created with. Linear memory holds the address of the inner map's BpfMap.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType, mapTypeName } from '../../bpf/types.js';
import { arrayMemlock } from './array.js';
import { accessFlags, type MapShape, type MapTypeDefinition } from './definition.js';
import { bucketBytes, elementBytes, hashHeader, hashMemlock, refuseHash } from './hash.js';
import type { KernelMap } from './map.js';
import {
  type MapCaller,
  type MapReference,
  type References,
  type ReferringMap,
  u32At,
  u32Bytes,
} from './references.js';
import { refuseSlots, Slots, slotFlags } from './slots.js';

/** Types that know no equality (map_meta_equal), so that they cannot be inside another map. */
const neverInside: ReadonlySet<MapType> = new Set([
  MapType.ProgArray,
  MapType.CgroupStorage,
  MapType.PercpuCgroupStorage,
  MapType.StructOps,
]);
/** Types whose number of elements counts: compiled lookups depend on it. */
const fixedLength: ReadonlySet<MapType> = new Set([MapType.Array, MapType.Xskmap]);

/** Why a map cannot be the model of those inside (bpf_map_meta_alloc). */
export function refuseModel(model: KernelMap): { errno: Errno; detail: string } | undefined {
  if (model.inner) return { errno: Errno.EINVAL, detail: 'the inner map is a map of maps itself' };
  if (!neverInside.has(model.type)) return undefined;
  return { errno: Errno.ENOTSUPP, detail: `a ${mapTypeName(model.type)} map cannot be inside another` };
}

/** What differs between the model and a map that is to be put in; undefined when it fits (bpf_map_meta_equal). */
function difference(model: KernelMap, map: KernelMap): string | undefined {
  if (map.type !== model.type) {
    return `is a ${mapTypeName(map.type)} map, those in it are ${mapTypeName(model.type)} maps`;
  }
  if (map.keySize !== model.keySize) return `has keys of ${map.keySize} bytes, not ${model.keySize}`;
  if (map.valueSize !== model.valueSize)
    return `has values of ${map.valueSize} bytes, not ${model.valueSize}`;
  if (map.flags !== model.flags) {
    return `has the flags 0x${map.flags.toString(16)}, not 0x${model.flags.toString(16)}`;
  }
  const anyLength = map.type === MapType.Array && (model.flags & MapFlag.InnerMap) !== 0;
  if (fixedLength.has(map.type) && !anyLength && map.maxEntries !== model.maxEntries) {
    return `has ${map.maxEntries} elements, not ${model.maxEntries}`;
  }
  return undefined;
}

/** The map behind a descriptor, if it may be put into `outer`. */
function innerMap(outer: ReferringMap, fd: number, command: string, by: MapCaller): MapReference {
  const found = by.map(fd, command);
  const wrong = outer.inner && difference(outer.inner, found.map);
  if (wrong) throw new BpfError(command, Errno.EINVAL, `the map to put in ${wrong}`);
  return found;
}

/** The runtime's functions that a hash of maps uses. */
interface HashRuntime {
  map_update_all(map: number, key: number, value: number, flags: bigint): number;
  map_delete(map: number, key: number): number;
  map_lookup(map: number, key: number, cpu: number): number;
}

/** The elements of a hash of maps: a hash in linear memory, and who is held by address. */
class HashedMaps implements References {
  readonly #map: ReferringMap;
  readonly #runtime: HashRuntime;
  readonly #held = new Map<number, { map: MapReference; times: number }>();
  /** Where an address lies for an update. */
  readonly #value: number;

  constructor(map: ReferringMap) {
    this.#map = map;
    this.#runtime = map.memory.runtime as unknown as HashRuntime;
    const value = map.memory.alloc(8);
    if (value === undefined) throw new BpfError('BPF_MAP_CREATE', Errno.ENOMEM);
    this.#value = value;
  }

  #at(key: number): MapReference | undefined {
    return this.#held.get(this.#runtime.map_lookup(this.#map.address, key, 0) >>> 0)?.map;
  }

  lookup(key: number): Uint8Array {
    const held = this.#at(key);
    if (!held) throw new BpfError('BPF_MAP_LOOKUP_ELEM', Errno.ENOENT);
    return u32Bytes(held.id);
  }

  update(key: number, value: Uint8Array, flags: number, by: MapCaller): void {
    const command = 'BPF_MAP_UPDATE_ELEM';
    const map = innerMap(this.#map, u32At(value), command, by);
    const before = this.#at(key);
    this.#map.memory.setU32(this.#value, map.address);
    const { address } = this.#map;
    this.#map.check(command, this.#runtime.map_update_all(address, key, this.#value, BigInt(flags)));
    this.#retain(map);
    if (before) this.#release(before);
  }

  delete(key: number): void {
    const before = this.#at(key);
    this.#map.check('BPF_MAP_DELETE_ELEM', this.#runtime.map_delete(this.#map.address, key));
    if (before) this.#release(before);
  }

  clear(): void {
    for (const { map, times } of this.#held.values()) for (let n = 0; n < times; n++) map.release();
    this.#held.clear();
    this.#map.memory.free(this.#value);
  }

  #retain(map: MapReference): void {
    const held = this.#held.get(map.address) ?? { map, times: 0 };
    held.times++;
    this.#held.set(map.address, held);
    map.retain();
  }

  #release(map: MapReference): void {
    const held = this.#held.get(map.address);
    if (held && --held.times === 0) this.#held.delete(map.address);
    map.release();
  }
}

const pointer = 8;

/** htab_map_mem_usage: values are replaced in their place, so that no CPU has an element to spare. */
function hashOfMapsMemlock(shape: MapShape, cpus: number, count: number): number {
  if (shape.flags & MapFlag.NoPrealloc) return hashMemlock(shape, cpus, count, false);
  return hashHeader + bucketBytes(shape) + shape.maxEntries * elementBytes(shape, pointer) + pointer * cpus;
}

export const arrayOfMaps: MapTypeDefinition = {
  type: MapType.ArrayOfMaps,
  flags: slotFlags,
  percpu: false,
  btf: 'none',
  holdsMaps: true,
  references: (map) => new Slots(map, (fd, command, by) => innerMap(map, fd, command, by)),
  refuse: (shape) => refuseSlots(shape, 'an array of maps'),
  memlock: (shape) => arrayMemlock(shape, 0),
};

export const hashOfMaps: MapTypeDefinition = {
  type: MapType.HashOfMaps,
  flags: MapFlag.NoPrealloc | MapFlag.NumaNode | MapFlag.ZeroSeed | accessFlags,
  percpu: false,
  btf: 'none',
  holdsMaps: true,
  references: (map) => new HashedMaps(map),
  refuse: (shape) =>
    shape.valueSize === 4
      ? refuseHash(shape, false)
      : {
          errno: Errno.EINVAL,
          detail: `values of a hash of maps are descriptors of 4 bytes, not ${shape.valueSize}`,
        },
  memlock: hashOfMapsMemlock,
};
