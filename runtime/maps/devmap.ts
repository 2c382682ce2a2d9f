// Maps that packets are redirected to (Linux: kernel/bpf/devmap.c, cpumap.c, net/xdp/xskmap.c).
//
//   devmap       values + index * 8: +0 ifindex (0: empty) | +4 id of the program that runs before it is sent
//   CPU map      values + index * 8: +0 length of the queue (0: empty) | +4 id of the program that runs there
//   XSK map      values + index * 8: the socket
//   hash devmap  buckets by the lower bits of the key, the newest element first in each;
//                element: +0 next | +4 key | +8 ifindex | +12 program id

import { ACCESS_READ, BpfMap } from '../layout';
import { array_lookup } from './array';
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, ENOENT } from './errno';
import { HEADER, place } from './place';
import { DEVMAP, DEVMAP_HASH, XSKMAP } from './types';

const KEY: usize = 4;
const VALUE: usize = 8;

/** Programs may read a devmap's values, and nothing else here. */
export function devmap_create(draft: BpfMap): usize {
  draft.access = draft.type == DEVMAP ? ACCESS_READ : 0;
  return place(draft, 0, draft.maxEntries, 8, true);
}

export function devmap_hash_create(draft: BpfMap): usize {
  let buckets: u64 = 1;
  while (buckets < (draft.maxEntries as u64)) buckets <<= 1;
  draft.access = ACCESS_READ;
  draft.valueOffset = VALUE as u32;
  draft.bucketMask = (buckets - 1) as u32;
  const map = place(draft, buckets * 4, draft.maxEntries, 16, false);
  if (map) changetype<BpfMap>(map).buckets = map + HEADER;
  return map;
}

/** The value at an index, or 0 when there is none or it is empty. */
export function devmap_lookup(map: usize, key: usize): usize {
  const value = array_lookup(map, key);
  return value && load<u32>(value) ? value : 0;
}

/** What every update checks first; devmaps by hash know only the first of it. */
function refusal(header: BpfMap, index: u32, flags: u64): i32 {
  if (flags > BPF_EXIST) return -EINVAL;
  if (index >= header.maxEntries) return -E2BIG;
  return flags == BPF_NOEXIST && header.type != XSKMAP ? -EEXIST : 0;
}

/** Whether an element may be set: 0 or an error. Comes before what the value refers to is looked for. */
export function redirect_map_may_update(map: usize, key: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  if (header.type != DEVMAP_HASH) return refusal(header, load<u32>(key), flags);
  if (flags > BPF_EXIST) return -EINVAL;
  return flags == BPF_NOEXIST && devmap_hash_lookup(map, key) ? -EEXIST : 0;
}

/**
 * Sets an element that may be set, to the 8 bytes at `value`; all zeros empty it. `count` is what Linux counts: it
 * takes an empty slot that stays empty for one more element.
 */
export function devmap_update(map: usize, key: usize, value: usize): i32 {
  const header = changetype<BpfMap>(map);
  const slot = array_lookup(map, key);
  if (!load<u32>(slot)) header.count++;
  store<u64>(slot, load<u64>(value));
  return 0;
}

/** Empties a slot: 0, or -EINVAL when there is no such index. */
export function devmap_delete(map: usize, key: usize): i32 {
  const header = changetype<BpfMap>(map);
  const slot = array_lookup(map, key);
  if (!slot) return -EINVAL;
  if (load<u32>(slot)) header.count--;
  store<u64>(slot, 0);
  return 0;
}

/** The bucket of a key, or the `next` that leads to its element, or that ends the bucket. */
function locate(header: BpfMap, key: u32): usize {
  let at = header.buckets + ((key & header.bucketMask) << 2);
  let element = load<usize>(at);
  while (element && load<u32>(element, KEY) != key) {
    at = element;
    element = load<usize>(at);
  }
  return at;
}

export function devmap_hash_lookup(map: usize, key: usize): usize {
  const element = load<usize>(locate(changetype<BpfMap>(map), load<u32>(key)));
  return element ? element + VALUE : 0;
}

/** Sets the value of a key: 0, or -E2BIG when there are max_entries already. The element is the first of its bucket. */
export function devmap_hash_update(map: usize, key: usize, value: usize): i32 {
  const header = changetype<BpfMap>(map);
  const wanted = load<u32>(key);
  const at = locate(header, wanted);
  let element = load<usize>(at);
  if (element) {
    store<usize>(at, load<usize>(element));
  } else {
    if (header.count >= header.maxEntries) return -E2BIG;
    header.count++;
    element = header.free;
    if (element) {
      header.free = load<usize>(element);
    } else {
      element = header.values + header.length;
      header.length += header.elementSize;
    }
  }
  const bucket = header.buckets + ((wanted & header.bucketMask) << 2);
  store<usize>(element, load<usize>(bucket));
  store<u32>(element, wanted, KEY);
  store<u64>(element, load<u64>(value), VALUE);
  store<usize>(bucket, element);
  return 0;
}

export function devmap_hash_delete(map: usize, key: usize): i32 {
  const header = changetype<BpfMap>(map);
  const at = locate(header, load<u32>(key));
  const element = load<usize>(at);
  if (!element) return -ENOENT;
  store<usize>(at, load<usize>(element));
  store<usize>(element, header.free);
  header.free = element;
  header.count--;
  return 0;
}

/** Bucket after bucket; the first key also for one that is not there. */
export function devmap_hash_next_key(map: usize, key: usize, next: usize): i32 {
  const header = changetype<BpfMap>(map);
  let bucket: u32 = 0;
  let element: usize = 0;
  if (key) {
    const wanted = load<u32>(key);
    element = load<usize>(locate(header, wanted));
    if (element) {
      bucket = (wanted & header.bucketMask) + 1;
      element = load<usize>(element);
    }
  }
  while (!element) {
    if (bucket > header.bucketMask) return -ENOENT;
    element = load<usize>(header.buckets + (bucket << 2));
    bucket++;
  }
  store<u32>(next, load<u32>(element, KEY));
  return 0;
}
