// Hash and per-CPU hash maps, with the behaviour of Linux's hashtab.c that one CPU can observe.
//
//   buckets   a power of two of u32 heads, at least max_entries; chains are linked by `next`
//   element   +0 next | +4 hash | +8 key, padded to 8 | +valueOffset value (per-CPU: one stride for each CPU)
//
// Elements lie in one block that is set aside when the map is made, and never move. They are handed out
// from its start, so memory that was never needed is never touched; deleted ones go to a free list, and the
// one that was freed last is taken first, as the kernel's per-CPU lists do.
//
// Replacing the value of a key puts a new element in the place of the old one, whose contents stay: a program
// that holds a pointer to the old value goes on reading the old value. The new element of a preallocated map
// is its CPU's spare and the old one becomes the spare; with BPF_F_NO_PREALLOC it is any free one, and the old
// one is then free. (Per-CPU maps are updated in place.)

import { BpfMap } from '../layout';
import { copy } from './copy';
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, ENOENT } from './errno';
import { HEADER, place, round8 } from './place';
import { BPF_F_NO_PREALLOC } from './types';

/** Offset of the key. */
const KEY: usize = 8;

/** How many hash tables were made: each has a seed of its own. */
let made: u32 = 0;

/**
 * Makes a hash table: buckets, `beside` zeroed bytes right after them, and room for `elements` that have `values` bytes
 * behind their keys.
 */
export function makeTable(draft: BpfMap, elements: u64, beside: u64, values: u64): usize {
  let buckets: u64 = 1;
  while (buckets < (draft.maxEntries as u64)) buckets <<= 1;
  const valueOffset = 8 + round8(draft.keySize);
  draft.valueOffset = valueOffset as u32;
  draft.bucketMask = (buckets - 1) as u32;
  draft.seed = ++made * 0x9e3779b1;
  const map = place(draft, buckets * 4 + beside, elements, valueOffset + values, false);
  if (map) changetype<BpfMap>(map).buckets = map + HEADER;
  return map;
}

/** Where `beside` begins. */
export function afterBuckets(header: BpfMap): usize {
  return header.buckets + ((header.bucketMask as usize) + 1 << 2);
}

export function htab_create(draft: BpfMap): usize {
  // Replacing needs one more: each CPU's spare, or without preallocation one that is free at any time.
  const spares: u32 = draft.flags & BPF_F_NO_PREALLOC ? 0 : draft.cpus;
  const elements = (draft.maxEntries as u64) + (spares ? spares : 1) as u64;
  const map = makeTable(draft, elements, (spares as u64) * 4, round8(draft.valueSize));
  if (!map || !spares) return map;
  const header = changetype<BpfMap>(map);
  header.spares = afterBuckets(header);
  for (let i: u32 = 0; i < spares; i++) {
    store<usize>(header.spares + (i << 2), header.values + header.length);
    header.length += header.elementSize;
  }
  return map;
}

export function percpu_htab_create(draft: BpfMap): usize {
  const size = round8(draft.valueSize);
  draft.cpuStride = size as u32;
  return makeTable(draft, (draft.maxEntries as u64) + 1, 0, size * draft.cpus);
}

// Multiply-xorshift: the product's upper half depends on every bit of the key.
@inline const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;

@inline function finish(mixed: u64): u32 {
  const product = mixed * MULTIPLIER;
  return (product ^ (product >> 32)) as u32;
}

// Programs write keys field by field, and a load that spans several stores waits for all of them to reach the
// cache: 8 bytes are read in halves.
@inline function word(key: usize): u64 {
  return (load<u32>(key) as u64) | ((load<u32>(key, 4) as u64) << 32);
}

@inline function hash4(key: usize, seed: u32): u32 {
  return (((load<u32>(key) ^ seed) as u64) * MULTIPLIER >> 32) as u32;
}

@inline function hash8(word: u64, seed: u32): u32 {
  const first = (word ^ (seed as u64)) * MULTIPLIER;
  return finish(first ^ (first >> 29));
}

@inline function hash16(low: u64, high: u64, seed: u32): u32 {
  const first = (low ^ (seed as u64)) * MULTIPLIER;
  return finish(rotl(first, 29) ^ high);
}

function hashBytes(key: usize, size: u32, seed: u32): u32 {
  let mixed: u64 = (seed as u64) ^ ((size as u64) << 32);
  const end = key + size;
  while (key + 8 <= end) {
    mixed = rotl(mixed ^ load<u64>(key), 29) * MULTIPLIER;
    key += 8;
  }
  if (key + 4 <= end) {
    mixed = rotl(mixed ^ load<u32>(key), 29) * MULTIPLIER;
    key += 4;
  }
  while (key < end) {
    mixed = rotl(mixed ^ load<u8>(key), 29) * MULTIPLIER;
    key++;
  }
  return finish(mixed ^ (mixed >> 32));
}

export function hashOf(header: BpfMap, key: usize): u32 {
  const size = header.keySize;
  if (size == 4) return hash4(key, header.seed);
  if (size == 8) return hash8(word(key), header.seed);
  if (size == 16) return hash16(word(key), word(key + 8), header.seed);
  return hashBytes(key, size, header.seed);
}

/** Whether the `size` bytes at `a` and `b` are the same. */
function sameBytes(a: usize, b: usize, size: u32): bool {
  const end = a + size;
  while (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  while (a < end) {
    if (load<u8>(a) != load<u8>(b)) return false;
    a++;
    b++;
  }
  return true;
}

@inline export function head(header: BpfMap, hash: u32): usize {
  return header.buckets + ((hash & header.bucketMask) << 2);
}

/** htab_lookup for keys of 4 bytes. */
export function htab_lookup_4(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const wanted = load<u32>(key);
  let element = load<usize>(head(header, hash4(key, header.seed)));
  while (element) {
    if (load<u32>(element, KEY) == wanted) return element + 16;
    element = load<usize>(element);
  }
  return 0;
}

/** htab_lookup for keys of 8 bytes. */
export function htab_lookup_8(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const wanted = word(key);
  let element = load<usize>(head(header, hash8(wanted, header.seed)));
  while (element) {
    if (load<u64>(element, KEY) == wanted) return element + 16;
    element = load<usize>(element);
  }
  return 0;
}

/** htab_lookup for keys of 16 bytes. */
export function htab_lookup_16(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const low = word(key);
  const high = word(key + 8);
  let element = load<usize>(head(header, hash16(low, high, header.seed)));
  while (element) {
    if (load<u64>(element, KEY) == low && load<u64>(element, KEY + 8) == high) return element + 24;
    element = load<usize>(element);
  }
  return 0;
}

/** The element with this key, or 0. */
function find(header: BpfMap, key: usize, hash: u32): usize {
  return load<usize>(locate(header, key, hash));
}

/** Where the address of the element with this key is: the head or the `next` that leads to it, or ends its chain. */
export function locate(header: BpfMap, key: usize, hash: u32): usize {
  // `next` is an element's first field, so a bucket leads to its head as an element does to its next.
  let at = head(header, hash);
  let element = load<usize>(at);
  const size = header.keySize;
  if (size == 4) {
    const wanted = load<u32>(key);
    while (element && load<u32>(element, KEY) != wanted) {
      at = element;
      element = load<usize>(at);
    }
  } else if (size == 8) {
    const wanted = word(key);
    while (element && load<u64>(element, KEY) != wanted) {
      at = element;
      element = load<usize>(at);
    }
  } else if (size == 16) {
    const low = word(key);
    const high = word(key + 8);
    while (element && !(load<u64>(element, KEY) == low && load<u64>(element, KEY + 8) == high)) {
      at = element;
      element = load<usize>(at);
    }
  } else {
    while (element && !(load<u32>(element, 4) == hash && sameBytes(element + KEY, key, size))) {
      at = element;
      element = load<usize>(at);
    }
  }
  return at;
}

/** Address of the value for the key at `key` (per-CPU maps: of CPU 0's), or 0. */
export function htab_lookup(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const size = header.keySize;
  if (size == 4) return htab_lookup_4(map, key);
  if (size == 8) return htab_lookup_8(map, key);
  if (size == 16) return htab_lookup_16(map, key);
  const element = find(header, key, hashBytes(key, size, header.seed));
  return element ? element + header.valueOffset : 0;
}

/** Address of CPU `cpuId`'s value for the key at `key`, or 0. */
export function percpu_htab_lookup(map: usize, key: usize, cpuId: u32): usize {
  const header = changetype<BpfMap>(map);
  if (cpuId >= header.cpus) return 0;
  const value = htab_lookup(map, key);
  return value ? value + (cpuId * header.cpuStride as usize) : 0;
}

/** An element that nobody uses. There is one: no more than max_entries are in use, and a map has one more. */
function take(header: BpfMap): usize {
  const element = header.free;
  if (element) {
    header.free = load<usize>(element);
    return element;
  }
  const fresh = header.values + header.length;
  header.length += header.elementSize;
  return fresh;
}

/** Gives an unlinked element back. Its contents stay until it is taken again. */
function giveBack(header: BpfMap, element: usize): void {
  store<usize>(element, header.free);
  header.free = element;
}

/** Puts an element with this key where `at` leads; `next` comes after it. */
@inline export function link(header: BpfMap, at: usize, element: usize, next: usize, key: usize, hash: u32): void {
  store<usize>(element, next);
  store<u32>(element, hash, 4);
  copy(element + KEY, key, header.keySize);
  store<usize>(at, element);
}

/** An element to put in place of `old`, which stays readable until it is needed again. */
function exchange(header: BpfMap, old: usize, cpuId: u32): usize {
  if (header.spares) {
    const spare = header.spares + (cpuId << 2);
    const element = load<usize>(spare);
    store<usize>(spare, old);
    return element;
  }
  const element = take(header);
  giveBack(header, old);
  return element;
}

/** Sets the value of a key: 0, -EINVAL (flags), -EEXIST, -ENOENT or -E2BIG. */
export function htab_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const header = changetype<BpfMap>(map);
  if (flags > BPF_EXIST) return -EINVAL;
  const hash = hashOf(header, key);
  const at = locate(header, key, hash);
  const old = load<usize>(at);
  let element: usize;
  let next: usize = 0;
  if (old) {
    if (flags == BPF_NOEXIST) return -EEXIST;
    next = load<usize>(old);
    element = exchange(header, old, cpuId);
  } else {
    if (flags == BPF_EXIST) return -ENOENT;
    if (header.count >= header.maxEntries) return -E2BIG;
    element = take(header);
    header.count++;
  }
  copy(element + header.valueOffset, value, header.valueSize);
  link(header, at, element, next, key, hash);
  return 0;
}

@inline export function isError(result: i32): bool {
  return (result as u32) > 0xfffff000;
}

/**
 * The address of the values of a key of a per-CPU map that is to be set: of an element that exists, or of a
 * new one whose values are all 0. An error (as htab_update's) when it may not be set.
 */
function percpuSlot(header: BpfMap, key: usize, flags: u64): i32 {
  if (flags > BPF_EXIST) return -EINVAL;
  const hash = hashOf(header, key);
  const at = locate(header, key, hash);
  const old = load<usize>(at);
  if (old) return flags == BPF_NOEXIST ? -EEXIST : ((old + header.valueOffset) as i32);
  if (flags == BPF_EXIST) return -ENOENT;
  if (header.count >= header.maxEntries) return -E2BIG;
  const element = take(header);
  header.count++;
  memory.fill(element + header.valueOffset, 0, header.elementSize - header.valueOffset);
  link(header, at, element, 0, key, hash);
  return (element + header.valueOffset) as i32;
}

/** A program's update: sets its own CPU's value; the other CPUs' of a new element are 0. */
export function percpu_htab_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const header = changetype<BpfMap>(map);
  const slot = percpuSlot(header, key, flags);
  if (isError(slot)) return slot;
  copy((slot as usize) + (cpuId * header.cpuStride as usize), value, header.valueSize);
  return 0;
}

/** The system call's update: `values` holds one slot of cpuStride bytes for each CPU. */
export function percpu_htab_update_all(map: usize, key: usize, values: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  const slot = percpuSlot(header, key, flags);
  if (isError(slot)) return slot;
  memory.copy(slot as usize, values, header.elementSize - header.valueOffset);
  return 0;
}

/** Removes a key (of both kinds of hash map): 0 or -ENOENT. */
export function htab_delete(map: usize, key: usize): i32 {
  const header = changetype<BpfMap>(map);
  const at = locate(header, key, hashOf(header, key));
  const element = load<usize>(at);
  if (!element) return -ENOENT;
  store<usize>(at, load<usize>(element));
  giveBack(header, element);
  header.count--;
  return 0;
}

/**
 * Writes the key after the one at `key` to `next`, -ENOENT after the last. The first for address 0, and also
 * when `key` is not there (htab_map_get_next_key): whoever deletes while walking starts over.
 */
export function htab_next_key(map: usize, key: usize, next: usize): i32 {
  const header = changetype<BpfMap>(map);
  let bucket: u32 = 0;
  let element: usize = 0;
  if (key) {
    const hash = hashOf(header, key);
    element = find(header, key, hash);
    if (element) {
      bucket = (hash & header.bucketMask) + 1;
      element = load<usize>(element);
    }
  }
  while (!element) {
    if (bucket > header.bucketMask) return -ENOENT;
    element = load<usize>(header.buckets + (bucket << 2));
    bucket++;
  }
  copy(next, element + KEY, header.keySize);
  return 0;
}
