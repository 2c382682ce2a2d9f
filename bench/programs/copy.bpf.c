// Loads and stores: 1496 bytes of packet copied to the value of an array map, word by word.
#include "bench.h"

#define WORDS 187

struct copy_value {
  __u64 word[WORDS];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct copy_value);
} copies SEC(".maps");

SEC("xdp")
int copy(struct xdp_md *context) {
  __u32 key = 0;
  __u64 *packet = packet_of(context, WORDS * 8);
  struct copy_value *value = bpf_map_lookup_elem(&copies, &key);
  if (!packet || !value)
    return TOO_SHORT;
  for (__u32 i = 0; i < WORDS; i++) {
    value->word[i] = packet[i];
    __asm__ volatile("" ::: "memory");
  }
  return fold64(value->word[0] ^ value->word[WORDS / 2] ^ value->word[WORDS - 1]);
}
