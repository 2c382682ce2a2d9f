// The kernel's structure behind a map of each type: what a program reads through the map's address (map_btf_id). Each
// begins with a struct bpf_map.

import { MapType } from '../../../bpf/types.js';

const named: Readonly<Record<string, readonly MapType[]>> = {
  bpf_array: [
    MapType.Array,
    MapType.PercpuArray,
    MapType.ProgArray,
    MapType.PerfEventArray,
    MapType.CgroupArray,
    MapType.ArrayOfMaps,
  ],
  bpf_htab: [MapType.Hash, MapType.PercpuHash, MapType.LruHash, MapType.LruPercpuHash, MapType.HashOfMaps],
  lpm_trie: [MapType.LpmTrie],
  bpf_stack_map: [MapType.StackTrace],
  bpf_dtab: [MapType.Devmap, MapType.DevmapHash],
  bpf_cpu_map: [MapType.Cpumap],
  xsk_map: [MapType.Xskmap],
  bpf_stab: [MapType.Sockmap],
  bpf_shtab: [MapType.Sockhash],
  bpf_cgroup_storage_map: [MapType.CgroupStorage, MapType.PercpuCgroupStorage],
  reuseport_array: [MapType.ReuseportSockarray],
  bpf_queue_stack: [MapType.Queue, MapType.Stack],
  bpf_local_storage_map: [MapType.SkStorage, MapType.InodeStorage, MapType.TaskStorage, MapType.CgrpStorage],
  bpf_struct_ops_map: [MapType.StructOps],
  bpf_ringbuf_map: [MapType.Ringbuf, MapType.UserRingbuf],
  bpf_bloom_filter: [MapType.BloomFilter],
  bpf_arena: [MapType.Arena],
};

/** Name of the structure by map type. */
export const mapStructs: ReadonlyMap<MapType, string> = new Map(
  Object.entries(named).flatMap(([struct, types]) => types.map((type) => [type, struct] as const)),
);
