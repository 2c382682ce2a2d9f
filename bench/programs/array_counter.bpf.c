// 64 lookups in an array map, each followed by an addition to the value.
#include "bench.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 16);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

SEC("xdp")
int array_counter(struct xdp_md *context) {
  __u32 *packet = packet_of(context, sizeof(*packet));
  if (!packet)
    return TOO_SHORT;
  __u32 random = *packet;
  __u32 result = 0;
  for (__u32 i = 0; i < 64; i++) {
    random = random * 1664525 + 1013904223;
    __u32 key = random >> 28;
    __u64 *counter = bpf_map_lookup_elem(&counters, &key);
    if (!counter)
      return TOO_SHORT;
    __u64 before = *counter;
    *counter = before + key + 1;
    result = result * 5 + (__u32)(*counter - before);
  }
  return result;
}
