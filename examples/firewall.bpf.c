// A port firewall: drops TCP and UDP to blocked ports and packets from blocked sources, drops what is malformed,
// passes the rest, and counts packets and bytes by protocol and by the reason for a drop.
#include "parse.h"

/** Destination port that is always blocked; 0 blocks none. */
const volatile __u16 blocked_port = 80;
/** Later fragments carry no ports: pass them (false) or drop them (true). */
const volatile bool drop_fragments = false;
/** At most so many drops are written to the trace log. */
const volatile __u32 log_limit = 8;

enum protocol {
  PROTOCOL_OTHER,
  PROTOCOL_ARP,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  PROTOCOL_FRAGMENT,
  PROTOCOL_MALFORMED,
  PROTOCOL_COUNT,
};

enum reason {
  REASON_MALFORMED = 1,
  REASON_SOURCE,
  REASON_PORT,
  REASON_FRAGMENT,
};

struct counter {
  __u64 packets;
  __u64 bytes;
};

struct port {
  __u16 number; // host byte order
  __u16 protocol;
};

struct drop {
  enum reason reason;
  struct port port;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, PROTOCOL_COUNT);
  __type(key, __u32); // enum protocol
  __type(value, struct counter);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct drop);
  __type(value, struct counter);
} drops SEC(".maps");

/** Further ports to block; the value is not read. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct port);
  __type(value, __u8);
} blocked_ports SEC(".maps");

/** Sources to block (IPv4 as ::ffff:a.b.c.d); the value counts their packets. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct address);
  __type(value, __u64);
} blocked_sources SEC(".maps");

__u32 dropped;
__u32 passed;
__u32 vlan_tagged;

static __noinline int count_protocol(__u32 protocol, __u32 bytes) {
  struct counter *counter = bpf_map_lookup_elem(&counters, &protocol);
  if (!counter)
    return 0;
  counter->packets++;
  counter->bytes += bytes;
  return 1;
}

static __noinline int count_drop(struct drop *drop, __u32 bytes) {
  struct counter *counter = bpf_map_lookup_elem(&drops, drop);
  if (counter) {
    __sync_fetch_and_add(&counter->packets, 1);
    __sync_fetch_and_add(&counter->bytes, bytes);
    return 1;
  }
  struct counter first = {.packets = 1, .bytes = bytes};
  return bpf_map_update_elem(&drops, drop, &first, BPF_NOEXIST) == 0;
}

static __always_inline __u32 classify(const struct packet *packet) {
  if (packet->ethertype == bpf_htons(ETH_P_ARP))
    return PROTOCOL_ARP;
  if (packet->fragment && !packet->has_ports)
    return PROTOCOL_FRAGMENT;
  switch (packet->protocol) {
  case IPPROTO_ICMP:
    return PROTOCOL_ICMP;
  case IPPROTO_ICMPV6:
    return PROTOCOL_ICMPV6;
  case IPPROTO_TCP:
    return PROTOCOL_TCP;
  case IPPROTO_UDP:
    return PROTOCOL_UDP;
  default:
    return PROTOCOL_OTHER;
  }
}

static __always_inline enum reason judge(struct packet *packet, struct port *port) {
  __u64 *hits = bpf_map_lookup_elem(&blocked_sources, &packet->source);
  if (hits) {
    __sync_fetch_and_add(hits, 1);
    return REASON_SOURCE;
  }
  if (packet->has_ports) {
    port->number = bpf_ntohs(packet->destination_port);
    port->protocol = packet->protocol;
    if ((blocked_port && port->number == blocked_port) || bpf_map_lookup_elem(&blocked_ports, port))
      return REASON_PORT;
  } else if (packet->fragment && drop_fragments) {
    return REASON_FRAGMENT;
  }
  return 0;
}

SEC("xdp")
int firewall(struct xdp_md *context) {
  __u32 bytes = context->data_end - context->data;
  struct packet packet;
  struct drop drop = {};

  if (parse(context, &packet)) {
    count_protocol(classify(&packet), bytes);
    drop.reason = judge(&packet, &drop.port);
  } else {
    count_protocol(PROTOCOL_MALFORMED, bytes);
    drop.reason = REASON_MALFORMED;
  }
  if (packet.vlan_tags)
    __sync_fetch_and_add(&vlan_tagged, 1);
  if (!drop.reason) {
    __sync_fetch_and_add(&passed, 1);
    return XDP_PASS;
  }

  count_drop(&drop, bytes);
  if (__sync_fetch_and_add(&dropped, 1) < log_limit) {
    if (drop.reason == REASON_MALFORMED)
      bpf_printk("drop: malformed, %u bytes", bytes);
    else
      bpf_printk("drop: %pI6c, protocol %u, port %u", &packet.source, packet.protocol, drop.port.number);
  }
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
