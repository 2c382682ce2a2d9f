// Drops everything when so many IPv4 packets were counted, whoever counted them.
#include "kinds.h"

// Set before the load. For the verifier it is a constant then.
const volatile __u64 quota = 100000;

SEC("xdp")
int enforce(struct xdp_md *context __attribute__((unused))) {
  __u32 kind = IPV4;
  __u64 *count = bpf_map_lookup_elem(&kinds, &kind);
  return count && *count > quota ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
