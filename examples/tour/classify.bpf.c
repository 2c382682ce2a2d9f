// Counts packets by what they carry.
#include "kinds.h"
#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>

// Not inlined: it stays a function of its own, which the program calls.
static __attribute__((noinline)) enum kind kind_of(struct xdp_md *context) {
  void *data = (void *)(long)context->data;
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = data;
  if ((void *)(ethernet + 1) > end) return OTHER;
  switch (ethernet->h_proto) {
  case bpf_htons(ETH_P_IP):
    return IPV4;
  case bpf_htons(ETH_P_IPV6):
    return IPV6;
  case bpf_htons(ETH_P_ARP):
    return ARP;
  default:
    return OTHER;
  }
}

SEC("xdp")
int classify(struct xdp_md *context) {
  __u32 kind = kind_of(context);
  __u64 *count = bpf_map_lookup_elem(&kinds, &kind);
  if (count) __sync_fetch_and_add(count, 1);
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
