// 64 updates of keys of 16 bytes in a hash map; the keys are there (from the second run on).
#include "table.h"

SEC("xdp")
int hash_update(struct xdp_md *context) {
  (void)context;
  struct table_key key;
  for (__u32 i = 0; i < KEYS; i++) {
    make_key(&key, i);
    __u64 value = make_value(i);
    if (bpf_map_update_elem(&table, &key, &value, BPF_ANY))
      return TOO_SHORT;
  }
  __u64 *last = bpf_map_lookup_elem(&table, &key);
  return last ? fold64(*last) : TOO_SHORT;
}
