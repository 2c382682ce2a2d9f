// Walks a frame from its Ethernet header to the ports: two VLAN tags at most, IPv4 with options and fragments,
// IPv6 with at most eight extension headers, TCP and UDP. Whatever is cut short or contradicts itself is malformed.
#ifndef EXAMPLES_PARSE_H
#define EXAMPLES_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 8
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_MORE_FRAGMENTS 0x2000

struct vlan_tag {
  __be16 tci;
  __be16 protocol;
};

struct extension {
  __u8 next;
  __u8 length;
};

struct fragment_header {
  __u8 next;
  __u8 reserved;
  __be16 offset_and_more;
  __be32 identification;
};

struct address {
  __be32 word[4]; // IPv4 as ::ffff:a.b.c.d
};

struct packet {
  struct address source;
  struct address destination;
  __be16 ethertype; // behind the VLAN tags
  __u8 vlan_tags;
  __u8 protocol;     // of the transport, IPPROTO_*
  bool fragment;     // one of several
  bool has_ports;    // TCP or UDP, and not a later fragment
  __be16 source_port;
  __be16 destination_port;
};

static __always_inline void map_ipv4(struct address *to, __be32 from) {
  to->word[0] = 0;
  to->word[1] = 0;
  to->word[2] = bpf_htonl(0xffff);
  to->word[3] = from;
}

static __always_inline bool parse_transport(void *at, void *end, struct packet *packet) {
  if (packet->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = at;
    if ((void *)(tcp + 1) > end || tcp->doff < 5)
      return false;
    packet->source_port = tcp->source;
    packet->destination_port = tcp->dest;
    packet->has_ports = true;
  } else if (packet->protocol == IPPROTO_UDP) {
    struct udphdr *udp = at;
    if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) < sizeof(*udp))
      return false;
    packet->source_port = udp->source;
    packet->destination_port = udp->dest;
    packet->has_ports = true;
  }
  return true;
}

static __always_inline bool parse_ipv4(void *at, void *end, struct packet *packet) {
  struct iphdr *ip = at;
  if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
    return false;
  __u32 header = ip->ihl * 4;
  __u32 total = bpf_ntohs(ip->tot_len);
  if (total < header || at + total > end)
    return false;
  map_ipv4(&packet->source, ip->saddr);
  map_ipv4(&packet->destination, ip->daddr);
  packet->protocol = ip->protocol;
  __u16 fragment = bpf_ntohs(ip->frag_off);
  packet->fragment = (fragment & (IP_FRAGMENT_OFFSET | IP_MORE_FRAGMENTS)) != 0;
  if (fragment & IP_FRAGMENT_OFFSET)
    return true;
  return parse_transport(at + header, end, packet);
}

static __always_inline bool parse_ipv6(void *at, void *end, struct packet *packet) {
  struct ipv6hdr *ip = at;
  if ((void *)(ip + 1) > end || ip->version != 6)
    return false;
  __builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
  __builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
  if ((void *)(ip + 1) + bpf_ntohs(ip->payload_len) > end)
    return false;
  __u8 next = ip->nexthdr;
  void *header = ip + 1;
  for (int i = 0; i < MAX_EXTENSIONS; i++) {
    struct extension *extension = header;
    switch (next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH:
      if ((void *)(extension + 1) > end)
        return false;
      next = extension->next;
      header += (extension->length + 1) * 8;
      break;
    case IPPROTO_AH:
      if ((void *)(extension + 1) > end)
        return false;
      next = extension->next;
      header += (extension->length + 2) * 4;
      break;
    case IPPROTO_FRAGMENT: {
      struct fragment_header *fragment = header;
      if ((void *)(fragment + 1) > end)
        return false;
      next = fragment->next;
      header = fragment + 1;
      packet->fragment = true;
      if (fragment->offset_and_more & bpf_htons(0xfff8)) {
        packet->protocol = next;
        return true;
      }
      break;
    }
    default:
      packet->protocol = next;
      return parse_transport(header, end, packet);
    }
  }
  return false;
}

/** Fills `packet` from the frame; false when it is malformed. What is not IP keeps protocol 0. */
static __always_inline bool parse(struct xdp_md *context, struct packet *packet) {
  void *data = (void *)(long)context->data;
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = data;

  __builtin_memset(packet, 0, sizeof(*packet));
  if ((void *)(ethernet + 1) > end)
    return false;
  void *at = ethernet + 1;
  packet->ethertype = ethernet->h_proto;
#pragma unroll
  for (int i = 0; i < MAX_VLAN_TAGS; i++) {
    struct vlan_tag *tag = at;
    if (packet->ethertype != bpf_htons(ETH_P_8021Q) && packet->ethertype != bpf_htons(ETH_P_8021AD))
      break;
    if ((void *)(tag + 1) > end)
      return false;
    packet->ethertype = tag->protocol;
    packet->vlan_tags++;
    at = tag + 1;
  }
  if (packet->ethertype == bpf_htons(ETH_P_IP))
    return parse_ipv4(at, end, packet);
  if (packet->ethertype == bpf_htons(ETH_P_IPV6))
    return parse_ipv6(at, end, packet);
  return true;
}

#endif
