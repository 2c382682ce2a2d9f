// Array and per-CPU array maps, as Linux's arraymap.c has them: all elements exist from the start, zeroed,
// and never move. A value's stride is its size rounded up to 8.
//
//   array          values + index * elementSize
//   per-CPU array  values + cpu * cpuStride + index * elementSize
//   program array  values + index * 4: the address of a Program, 0 when empty

import { BpfMap } from '../layout';
import { copy } from './copy';
import { E2BIG, EEXIST, EINVAL, ENOENT, BPF_EXIST, BPF_NOEXIST } from './errno';
import { place, round8 } from './place';

export function array_create(draft: BpfMap): usize {
  draft.count = draft.maxEntries;
  return place(draft, 0, draft.maxEntries, round8(draft.valueSize), true);
}

export function percpu_array_create(draft: BpfMap): usize {
  const size = round8(draft.valueSize);
  draft.count = draft.maxEntries;
  draft.cpuStride = (size * draft.maxEntries) as u32;
  return place(draft, 0, (draft.maxEntries as u64) * draft.cpus, size, true);
}

/** Programs cannot read what is in there. */
export function prog_array_create(draft: BpfMap): usize {
  draft.count = draft.maxEntries;
  draft.access = 0;
  return place(draft, 0, draft.maxEntries, 4, true);
}

/** The value at the index that `key` points to, or 0. */
export function array_lookup(map: usize, key: usize): usize {
  const header = changetype<BpfMap>(map);
  const index = load<u32>(key);
  if (index >= header.maxEntries) return 0;
  return header.values + (index * header.elementSize as usize);
}

/** The value of CPU `cpuId` at the index that `key` points to, or 0. */
export function percpu_array_lookup(map: usize, key: usize, cpuId: u32): usize {
  const header = changetype<BpfMap>(map);
  const index = load<u32>(key);
  if (index >= header.maxEntries || cpuId >= header.cpus) return 0;
  return header.values + (cpuId * header.cpuStride as usize) + (index * header.elementSize as usize);
}

/** What every update of an array checks first. */
function refusal(header: BpfMap, index: u32, flags: u64): i32 {
  if (flags > BPF_EXIST) return -EINVAL;
  if (index >= header.maxEntries) return -E2BIG;
  if (flags & BPF_NOEXIST) return -EEXIST;
  return 0;
}

export function array_update(map: usize, key: usize, value: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  const index = load<u32>(key);
  const refused = refusal(header, index, flags);
  if (refused) return refused;
  copy(header.values + (index * header.elementSize as usize), value, header.valueSize);
  return 0;
}

/** What a program's update does: the value of its own CPU changes, the others stay. */
export function percpu_array_update(map: usize, key: usize, value: usize, flags: u64, cpuId: u32): i32 {
  const header = changetype<BpfMap>(map);
  const index = load<u32>(key);
  const refused = refusal(header, index, flags);
  if (refused) return refused;
  copy(percpu_array_lookup(map, key, cpuId), value, header.valueSize);
  return 0;
}

/** The system call's update: `values` holds one slot of elementSize bytes for each CPU. */
export function percpu_array_update_all(map: usize, key: usize, values: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  const index = load<u32>(key);
  const refused = refusal(header, index, flags);
  if (refused) return refused;
  const size = header.elementSize;
  for (let cpu: u32 = 0; cpu < header.cpus; cpu++) {
    memory.copy(percpu_array_lookup(map, key, cpu), values + (cpu * size as usize), size);
  }
  return 0;
}

/** Writes the index after the one at `key` (0 for the first) to `next`; -ENOENT after the last. */
export function array_next_key(map: usize, key: usize, next: usize): i32 {
  const last = changetype<BpfMap>(map).maxEntries - 1;
  const index: u32 = key ? load<u32>(key) : 0xffffffff;
  if (index == last) return -ENOENT;
  store<u32>(next, index > last ? 0 : index + 1);
  return 0;
}
