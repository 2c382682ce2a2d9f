// Numbers of map types and of their creation flags (enum bpf_map_type and BPF_F_* of linux/bpf.h).

export const HASH: u32 = 1;
export const ARRAY: u32 = 2;
export const PROG_ARRAY: u32 = 3;
export const PERF_EVENT_ARRAY: u32 = 4;
export const PERCPU_HASH: u32 = 5;
export const PERCPU_ARRAY: u32 = 6;
export const LRU_HASH: u32 = 9;
export const LRU_PERCPU_HASH: u32 = 10;
export const LPM_TRIE: u32 = 11;
export const ARRAY_OF_MAPS: u32 = 12;
export const HASH_OF_MAPS: u32 = 13;
export const DEVMAP: u32 = 14;
export const SOCKMAP: u32 = 15;
export const CPUMAP: u32 = 16;
export const XSKMAP: u32 = 17;
export const SOCKHASH: u32 = 18;
export const CGROUP_STORAGE: u32 = 19;
export const REUSEPORT_SOCKARRAY: u32 = 20;
export const PERCPU_CGROUP_STORAGE: u32 = 21;
export const QUEUE: u32 = 22;
export const STACK: u32 = 23;
export const SK_STORAGE: u32 = 24;
export const DEVMAP_HASH: u32 = 25;
export const RINGBUF: u32 = 27;
export const INODE_STORAGE: u32 = 28;
export const TASK_STORAGE: u32 = 29;
export const BLOOM_FILTER: u32 = 30;
export const USER_RINGBUF: u32 = 31;
export const CGRP_STORAGE: u32 = 32;

export const BPF_F_NO_PREALLOC: u32 = 1;
export const BPF_F_NO_COMMON_LRU: u32 = 1 << 1;
export const BPF_F_ZERO_SEED: u32 = 1 << 6;
export const BPF_F_RDONLY_PROG: u32 = 1 << 7;
export const BPF_F_WRONLY_PROG: u32 = 1 << 8;
