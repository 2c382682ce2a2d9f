// Loads and additions: the sum of the 187 64-bit words in 1496 bytes of packet.
#include "bench.h"

#define WORDS 187

SEC("xdp")
int sum(struct xdp_md *context) {
  __u64 *packet = packet_of(context, WORDS * 8);
  if (!packet)
    return TOO_SHORT;
  __u64 total = 0;
  for (__u32 i = 0; i < WORDS; i++)
    total += packet[i];
  return fold64(total);
}
