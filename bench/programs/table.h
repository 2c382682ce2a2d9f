// A hash map of 64 flows that fills itself in the first run: the value of a key is always made from the key.
#ifndef TABLE_H
#define TABLE_H

#include "bench.h"

#define KEYS 64

struct table_key {
  __u32 source;
  __u32 destination;
  __u32 ports;
  __u32 protocol;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct table_key);
  __type(value, __u64);
} table SEC(".maps");

static __always_inline void make_key(struct table_key *key, __u32 i) {
  key->source = 0x0a000000 + i * 2654435761u;
  key->destination = 0x0a0000ff;
  key->ports = i << 16 | 80;
  key->protocol = 6;
}

static __always_inline __u64 make_value(__u32 i) { return (i + 1) * 0x9e3779b97f4a7c15; }

#endif
