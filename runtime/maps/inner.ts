// Maps of maps (Linux: kernel/bpf/arraymap.c, hashtab.c, map_in_map.c). A value in linear memory is the address of the
// inner map's BpfMap, 0 in an empty slot of an array; a program that looks one up gets the inner map itself.

import { BpfMap } from '../layout';
import { array_lookup } from './array';
import { htab_create, htab_lookup } from './hash';
import { place } from './place';

export function array_of_maps_create(draft: BpfMap): usize {
  draft.count = draft.maxEntries;
  draft.access = 0;
  return place(draft, 0, draft.maxEntries, 4, true);
}

/** The system call updates it as any hash, with the inner map's address as the value. */
export function hash_of_maps_create(draft: BpfMap): usize {
  draft.access = 0;
  return htab_create(draft);
}

/** The inner map at an index, or 0. */
export function array_of_maps_lookup(map: usize, key: usize): usize {
  const slot = array_lookup(map, key);
  return slot ? load<usize>(slot) : 0;
}

/** The inner map of a key, or 0. */
export function hash_of_maps_lookup(map: usize, key: usize): usize {
  const slot = htab_lookup(map, key);
  return slot ? load<usize>(slot) : 0;
}
