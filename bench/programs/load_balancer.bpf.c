// A whole small program: parses the frame, finds the service by port, the flow in a hash map, the backend in an array,
// rewrites MAC addresses and the destination, mends the checksum. It gives the same answer however often it has
// run on the same frame, because nothing that it rewrites is part of a key.
#include "tuple.h"

#define BACKENDS 4

struct lb_service {
  __u16 port;
  __u16 protocol;
};

struct lb_flow {
  __u32 source;
  __u32 ports;
};

struct lb_backend {
  __u32 address;
  __u8 mac[6];
  __u16 unused;
  __u64 packets;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct lb_service);
  __type(value, __u32);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct lb_flow);
  __type(value, __u32);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BACKENDS);
  __type(key, __u32);
  __type(value, struct lb_backend);
} backends SEC(".maps");

SEC("xdp")
int load_balancer(struct xdp_md *context) {
  void *data = (void *)(long)context->data;
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = data;
  struct iphdr *ip = (void *)(ethernet + 1);
  struct tuple tuple;
  int failed = parse_tuple(data, end, &tuple);
  if (failed)
    return failed;
  if (ethernet->h_proto != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > end)
    return 9;

  struct lb_service service = {.port = bpf_ntohs(tuple.ports >> 16), .protocol = tuple.protocol};
  __u32 *count = bpf_map_lookup_elem(&services, &service);
  if (!count) {
    __u32 all = BACKENDS;
    bpf_map_update_elem(&services, &service, &all, BPF_ANY);
    count = bpf_map_lookup_elem(&services, &service);
    if (!count || *count == 0)
      return 10;
  }
  struct lb_flow flow = {.source = tuple.source, .ports = tuple.ports};
  __u32 *known = bpf_map_lookup_elem(&flows, &flow);
  __u32 chosen;
  if (known) {
    chosen = *known;
  } else {
    chosen = (flow.source ^ flow.ports * 0x85ebca6b) % *count;
    bpf_map_update_elem(&flows, &flow, &chosen, BPF_ANY);
  }
  struct lb_backend *backend = bpf_map_lookup_elem(&backends, &chosen);
  if (!backend)
    return 11;
  if (backend->packets++ == 0) {
    backend->address = bpf_htonl(0xcb007101 + chosen);
    backend->mac[0] = 2;
    backend->mac[5] = chosen;
  }

  __u32 before = ip->daddr;
  __u32 after = backend->address;
  __u32 sum = (__u16)~ip->check;
  sum += (__u16)~before + (__u16)~(before >> 16) + (__u16)after + (after >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  ip->check = ~sum;
  ip->daddr = after;
  __builtin_memcpy(ethernet->h_dest, backend->mac, ETH_ALEN);
  ethernet->h_source[0] = 2;
  ethernet->h_source[5] = 0xff;
  return (__u32)ip->check << 16 | chosen << 8 | ethernet->h_dest[5] << 4 | XDP_TX;
}
