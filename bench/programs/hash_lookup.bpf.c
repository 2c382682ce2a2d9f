// 64 lookups of keys of 16 bytes in a hash map, all found (from the second run on).
#include "table.h"

SEC("xdp")
int hash_lookup(struct xdp_md *context) {
  (void)context;
  __u64 total = 0;
  for (__u32 i = 0; i < KEYS; i++) {
    struct table_key key;
    make_key(&key, i);
    __u64 *value = bpf_map_lookup_elem(&table, &key);
    if (!value) {
      __u64 fresh = make_value(i);
      if (bpf_map_update_elem(&table, &key, &fresh, BPF_NOEXIST))
        return TOO_SHORT;
      total += fresh;
      continue;
    }
    total += *value;
  }
  return fold64(total);
}
