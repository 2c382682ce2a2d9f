// A layer 4 load balancer for IPv4. `loadbalancer` finds the service in front of a packet, tail-calls the program of
// its protocol, and that one picks a backend by the hash of the flow, remembers it, rewrites MAC and IP addresses,
// mends both checksums and sends the packet back out. `loadbalancer_tunnel` wraps the packet in a second IPv4 header
// (IP in IP) instead and leaves it as it was.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPV4(a, b, c, d) __bpf_constant_htonl((a) << 24 | (b) << 16 | (c) << 8 | (d))
#define PORT(number) __bpf_constant_htons(number)
#define IP_FRAGMENT_MASK 0x3fff
#define SERVICES 4
#define BACKENDS 8

struct vip {
  __be32 address;
  __be16 port;
  __u16 protocol;
};

/** Backends first .. first + count - 1 of the table below serve it. */
struct service {
  __u32 first;
  __u32 count;
};

struct vip_entry {
  struct vip vip;
  struct service service;
};

struct backend {
  __be32 address;
  __u8 mac[ETH_ALEN];
};

struct flow {
  __be32 source;
  __be32 destination;
  __be16 source_port;
  __be16 destination_port;
  __u32 protocol;
};

struct flow_state {
  __u32 backend;
  __u32 packets;
  __u64 bytes;
};

struct counter {
  __u64 packets;
  __u64 bytes;
};

/** Services that need no set-up; `services` below is asked first. */
const volatile struct vip_entry vips[SERVICES] = {
    {{IPV4(198, 51, 100, 10), PORT(80), IPPROTO_TCP}, {0, 3}},
    {{IPV4(198, 51, 100, 10), PORT(8080), IPPROTO_TCP}, {3, 2}},
    {{IPV4(198, 51, 100, 10), PORT(443), IPPROTO_TCP}, {0, 5}},
    {{IPV4(198, 51, 100, 10), PORT(53), IPPROTO_UDP}, {5, 3}},
};

const volatile struct backend backends[BACKENDS] = {
    {IPV4(203, 0, 113, 1), {0x02, 0, 0, 0, 1, 1}}, {IPV4(203, 0, 113, 2), {0x02, 0, 0, 0, 1, 2}},
    {IPV4(203, 0, 113, 3), {0x02, 0, 0, 0, 1, 3}}, {IPV4(203, 0, 113, 4), {0x02, 0, 0, 0, 1, 4}},
    {IPV4(203, 0, 113, 5), {0x02, 0, 0, 0, 1, 5}}, {IPV4(203, 0, 113, 6), {0x02, 0, 0, 0, 1, 6}},
    {IPV4(203, 0, 113, 7), {0x02, 0, 0, 0, 1, 7}}, {IPV4(203, 0, 113, 8), {0x02, 0, 0, 0, 1, 8}},
};

/** Source of the outer header of tunnelled packets. */
const volatile __be32 tunnel_source = IPV4(198, 51, 100, 1);

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct vip);
  __type(value, struct service);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct flow);
  __type(value, struct flow_state);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BACKENDS);
  __type(key, __u32);
  __type(value, struct counter);
} backend_counters SEC(".maps");

__u64 not_for_us;
__u64 no_program;

static __always_inline __u32 rotate(__u32 value, int bits) { return value << bits | value >> (32 - bits); }

/** Mixes the five fields of a flow; the multipliers are those of MurmurHash3's 32-bit finaliser. */
static __always_inline __u32 hash_flow(const struct flow *flow) {
  __u32 hash = flow->source * 0x85ebca6b;
  hash = rotate(hash ^ flow->destination, 13) * 0xc2b2ae35;
  hash = rotate(hash ^ (flow->source_port | (__u32)flow->destination_port << 16), 15) * 0x85ebca6b;
  hash ^= flow->protocol;
  hash ^= hash >> 16;
  hash *= 0xc2b2ae35;
  return hash ^ hash >> 13;
}

static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/** RFC 1624: the checksum after one 32-bit word of what it covers has changed. */
static __always_inline __u16 mend(__u16 checksum, __be32 before, __be32 after) {
  return ~fold(bpf_csum_diff(&before, sizeof(before), &after, sizeof(after), (__u16)~checksum));
}

static __always_inline bool find_service(struct vip *vip, struct service *service) {
  struct service *configured = bpf_map_lookup_elem(&services, vip);
  if (configured) {
    *service = *configured;
    return true;
  }
  for (int i = 0; i < SERVICES; i++) {
    if (vips[i].vip.address == vip->address && vips[i].vip.port == vip->port && vips[i].vip.protocol == vip->protocol) {
      service->first = vips[i].service.first;
      service->count = vips[i].service.count;
      return true;
    }
  }
  return false;
}

/** The backend of this flow, the same for all its packets; -1 when the packet is for no service. */
static __noinline int pick_backend(struct flow *flow, __u32 bytes) {
  struct flow_state *known = bpf_map_lookup_elem(&flows, flow);
  __u32 backend;
  if (known) {
    known->packets++;
    known->bytes += bytes;
    backend = known->backend;
  } else {
    struct vip vip = {flow->destination, flow->destination_port, flow->protocol};
    struct service service;
    if (!find_service(&vip, &service) || service.count == 0)
      return -1;
    backend = service.first + hash_flow(flow) % service.count;
    struct flow_state fresh = {.backend = backend, .packets = 1, .bytes = bytes};
    bpf_map_update_elem(&flows, flow, &fresh, BPF_ANY);
  }
  struct counter *counter = bpf_map_lookup_elem(&backend_counters, &backend);
  if (!counter)
    return -1;
  counter->packets++;
  counter->bytes += bytes;
  return backend;
}

/** The IPv4 header of an untagged, unfragmented packet without options; NULL for any other. */
static __always_inline struct iphdr *plain_ipv4(struct xdp_md *context) {
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = (void *)(long)context->data;
  struct iphdr *ip = (void *)(ethernet + 1);
  if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
    return NULL;
  if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(IP_FRAGMENT_MASK))
    return NULL;
  return ip;
}

static __always_inline void address_frame(struct ethhdr *ethernet, __u32 backend) {
  __builtin_memcpy(ethernet->h_source, ethernet->h_dest, ETH_ALEN);
  for (int i = 0; i < ETH_ALEN; i++)
    ethernet->h_dest[i] = backends[backend].mac[i];
}

/** Sends the packet to its backend; `checksum` is the one of the transport header, which covers the address. */
static __always_inline int forward(struct xdp_md *context, struct iphdr *ip, struct flow *flow, __sum16 *checksum,
                                   bool optional) {
  __u32 backend = pick_backend(flow, context->data_end - context->data);
  if (backend >= BACKENDS) {
    not_for_us++;
    return XDP_PASS;
  }
  __be32 before = ip->daddr;
  __be32 after = backends[backend].address;
  ip->daddr = after;
  ip->check = mend(ip->check, before, after);
  if (!optional || *checksum) {
    __u16 mended = mend(*checksum, before, after);
    *checksum = optional && mended == 0 ? 0xffff : mended;
  }
  address_frame((struct ethhdr *)ip - 1, backend);
  return XDP_TX;
}

SEC("xdp")
int loadbalancer_tcp(struct xdp_md *context) {
  struct iphdr *ip = plain_ipv4(context);
  if (!ip)
    return XDP_PASS;
  struct tcphdr *tcp = (void *)(ip + 1);
  if ((void *)(tcp + 1) > (void *)(long)context->data_end)
    return XDP_DROP;
  struct flow flow = {ip->saddr, ip->daddr, tcp->source, tcp->dest, IPPROTO_TCP};
  return forward(context, ip, &flow, &tcp->check, false);
}

SEC("xdp")
int loadbalancer_udp(struct xdp_md *context) {
  struct iphdr *ip = plain_ipv4(context);
  if (!ip)
    return XDP_PASS;
  struct udphdr *udp = (void *)(ip + 1);
  if ((void *)(udp + 1) > (void *)(long)context->data_end)
    return XDP_DROP;
  struct flow flow = {ip->saddr, ip->daddr, udp->source, udp->dest, IPPROTO_UDP};
  return forward(context, ip, &flow, &udp->check, true);
}

/** Programs by IP protocol number. */
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, IPPROTO_UDP + 1);
  __uint(key_size, sizeof(__u32));
  __array(values, int(void *));
} by_protocol SEC(".maps") = {
    .values =
        {
            [IPPROTO_TCP] = (void *)&loadbalancer_tcp,
            [IPPROTO_UDP] = (void *)&loadbalancer_udp,
        },
};

SEC("xdp")
int loadbalancer(struct xdp_md *context) {
  struct iphdr *ip = plain_ipv4(context);
  if (!ip)
    return XDP_PASS;
  bpf_tail_call(context, &by_protocol, ip->protocol);
  no_program++;
  return XDP_PASS;
}

SEC("xdp")
int loadbalancer_tunnel(struct xdp_md *context) {
  struct iphdr *ip = plain_ipv4(context);
  if (!ip || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
    return XDP_PASS;
  __be16 *ports = (void *)(ip + 1); // source, destination: the same place in TCP and UDP
  if ((void *)(ports + 2) > (void *)(long)context->data_end)
    return XDP_DROP;
  struct flow flow = {ip->saddr, ip->daddr, ports[0], ports[1], ip->protocol};
  __u16 inner_length = bpf_ntohs(ip->tot_len);
  __u8 tos = ip->tos;
  __u32 backend = pick_backend(&flow, context->data_end - context->data);
  if (backend >= BACKENDS) {
    not_for_us++;
    return XDP_PASS;
  }

  if (bpf_xdp_adjust_head(context, -(int)sizeof(struct iphdr)))
    return XDP_DROP;
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = (void *)(long)context->data;
  struct ethhdr *old = (void *)ethernet + sizeof(struct iphdr);
  struct iphdr *outer = (void *)(ethernet + 1);
  if ((void *)(old + 1) > end || (void *)(outer + 1) > end)
    return XDP_DROP;
  *ethernet = *old;
  address_frame(ethernet, backend);
  *outer = (struct iphdr){
      .version = 4,
      .ihl = 5,
      .tos = tos,
      .tot_len = bpf_htons(inner_length + sizeof(*outer)),
      .ttl = 64,
      .protocol = IPPROTO_IPIP,
      .saddr = tunnel_source,
      .daddr = backends[backend].address,
  };
  outer->check = ~fold(bpf_csum_diff(NULL, 0, (__be32 *)outer, sizeof(*outer), 0));
  return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
