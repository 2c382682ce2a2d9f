// The five fields that name a flow, from an Ethernet frame with IPv4 or IPv6 and TCP or UDP.
#ifndef TUPLE_H
#define TUPLE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "bench.h"

struct tuple {
  __u32 source;
  __u32 destination;
  __u32 ports;
  __u32 protocol;
};

static __always_inline __u32 join(const struct in6_addr *address) {
  const __u32 *word = (const void *)address;
  return word[0] ^ word[1] ^ word[2] ^ word[3];
}

/** 0, or the number of the check that the frame failed. */
static __always_inline int parse_tuple(void *data, void *end, struct tuple *tuple) {
  struct ethhdr *ethernet = data;
  void *transport;
  if ((void *)(ethernet + 1) > end)
    return 1;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = (void *)(ethernet + 1);
    if ((void *)(ip + 1) > end)
      return 2;
    if (ip->version != 4 || ip->ihl < 5)
      return 3;
    if (ip->frag_off & bpf_htons(0x1fff))
      return 4;
    tuple->source = ip->saddr;
    tuple->destination = ip->daddr;
    tuple->protocol = ip->protocol;
    transport = (void *)ip + ip->ihl * 4;
  } else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(ethernet + 1);
    if ((void *)(ip + 1) > end)
      return 5;
    tuple->source = join(&ip->saddr);
    tuple->destination = join(&ip->daddr);
    tuple->protocol = ip->nexthdr;
    transport = ip + 1;
  } else {
    return 6;
  }
  if (tuple->protocol != IPPROTO_TCP && tuple->protocol != IPPROTO_UDP)
    return 7;
  if (transport + 4 > end)
    return 8;
  tuple->ports = *(__u32 *)transport;
  return 0;
}

static __always_inline __u32 hash_tuple(const struct tuple *tuple) {
  __u32 hash = tuple->source * 0x85ebca6b;
  hash = (hash ^ tuple->destination) * 0xc2b2ae35;
  hash = (hash ^ tuple->ports) * 0x85ebca6b;
  return hash ^ hash >> 15 ^ tuple->protocol;
}

#endif
