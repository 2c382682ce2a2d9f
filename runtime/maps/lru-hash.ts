// LRU hash and per-CPU LRU hash maps: hash maps that are never full, because an old element goes for a new one.
// Elements are those of hash.ts, each with a node of lru-list.ts before it, which decides what goes. As in Linux's
// hashtab.c a program's lookup counts as use and the system call's does not, and an update takes its element before it
// looks for the key: something may go for an update that then fails or finds its key there.

import { BpfMap } from '../layout';
import { copy } from './copy';
import { BPF_EXIST, BPF_NOEXIST, EEXIST, EINVAL, ENOENT, ENOMEM } from './errno';
import { afterBuckets, hashOf, htab_lookup, isError, link, locate, makeTable } from './hash';
import { lru_give_back, lru_init, lru_mark, lru_size, lru_take, NODE } from './lru-list';
import { round8 } from './place';
import { BPF_F_NO_COMMON_LRU } from './types';

/** Every CPU's own lists have as many elements: max_entries becomes a multiple of the CPUs. */
function evenShares(draft: BpfMap): void {
  const cpus = draft.cpus as u64;
  const entries = (draft.maxEntries as u64) + cpus - 1;
  draft.maxEntries = ((entries > 0xffffffff ? draft.maxEntries : entries) / cpus * cpus) as u32;
}

function make(draft: BpfMap, values: u64): usize {
  if (draft.flags & BPF_F_NO_COMMON_LRU) evenShares(draft);
  const lists = lru_size(draft.flags, draft.cpus);
  // The last bytes beside the buckets are the first element's node; the next one's lies behind each element.
  const map = makeTable(draft, draft.maxEntries, lists + NODE, values + NODE);
  if (!map) return 0;
  const header = changetype<BpfMap>(map);
  header.state = afterBuckets(header);
  lru_init(header);
  return map;
}

export function lru_htab_create(draft: BpfMap): usize {
  return make(draft, round8(draft.valueSize));
}

export function lru_percpu_htab_create(draft: BpfMap): usize {
  const size = round8(draft.valueSize);
  draft.cpuStride = size as u32;
  return make(draft, size * draft.cpus);
}

/** A program's lookup: the value of CPU `cpuId` (0 for maps that are not per CPU), which counts as used. */
export function lru_htab_lookup(map: usize, key: usize, cpuId: u32): usize {
  const header = changetype<BpfMap>(map);
  if (cpuId >= header.cpus) return 0;
  const value = htab_lookup(map, key);
  if (!value) return 0;
  lru_mark(value - header.valueOffset);
  return value + (cpuId * header.cpuStride as usize);
}

/** Why a key that is there (`old`), or is not (0), may not be set; or 0. */
@inline function refusal(old: usize, flags: u64): i32 {
  if (old) return flags == BPF_NOEXIST ? -EEXIST : 0;
  return flags == BPF_EXIST ? -ENOENT : 0;
}

/** Sets the value of a key: 0, -EINVAL (flags), -EEXIST, -ENOENT or -ENOMEM. */
export function lru_htab_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const header = changetype<BpfMap>(map);
  if (flags > BPF_EXIST) return -EINVAL;
  const element = lru_take(header, cpuId);
  if (!element) return -ENOMEM;
  const hash = hashOf(header, key);
  const at = locate(header, key, hash);
  const old = load<usize>(at);
  const refused = refusal(old, flags);
  if (refused) {
    lru_give_back(header, element);
    return refused;
  }
  copy(element + header.valueOffset, value, header.valueSize);
  link(header, at, element, old ? load<usize>(old) : 0, key, hash);
  if (old) {
    lru_mark(element);
    lru_give_back(header, old);
  } else {
    header.count++;
  }
  return 0;
}

/** The address of the values of a key that is to be set, as htab's percpuSlot gives it; those of a new one are 0. */
function slot(header: BpfMap, key: usize, flags: u64, cpuId: u32): i32 {
  if (flags > BPF_EXIST) return -EINVAL;
  const element: usize = flags == BPF_EXIST ? 0 : lru_take(header, cpuId);
  if (!element && flags != BPF_EXIST) return -ENOMEM;
  const hash = hashOf(header, key);
  const at = locate(header, key, hash);
  const old = load<usize>(at);
  const refused = refusal(old, flags);
  if (old || refused) {
    if (!refused) lru_mark(old);
    if (element) lru_give_back(header, element);
    return refused ? refused : ((old + header.valueOffset) as i32);
  }
  memory.fill(element + header.valueOffset, 0, header.cpus * header.cpuStride);
  link(header, at, element, 0, key, hash);
  header.count++;
  return (element + header.valueOffset) as i32;
}

/** A program's update: sets its own CPU's value; the other CPUs' of a new element are 0. */
export function lru_percpu_htab_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const header = changetype<BpfMap>(map);
  const at = slot(header, key, flags, cpuId);
  if (isError(at)) return at;
  copy((at as usize) + (cpuId * header.cpuStride as usize), value, header.valueSize);
  return 0;
}

/** The system call's update: `values` holds one slot of cpuStride bytes for each CPU. */
export function lru_percpu_htab_update_all(map: usize, key: usize, values: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  const at = slot(header, key, flags, 0);
  if (isError(at)) return at;
  memory.copy(at as usize, values, header.cpus * header.cpuStride);
  return 0;
}

/** Removes a key: 0 or -ENOENT. */
export function lru_htab_delete(map: usize, key: usize): i32 {
  const header = changetype<BpfMap>(map);
  const at = locate(header, key, hashOf(header, key));
  const element = load<usize>(at);
  if (!element) return -ENOENT;
  store<usize>(at, load<usize>(element));
  header.count--;
  lru_give_back(header, element);
  return 0;
}
