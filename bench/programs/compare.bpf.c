// A loop with an early way out: where two strings of 60 bytes differ first (they do not).
#include "bench.h"

#define SIZE 60

SEC("xdp")
int compare(struct xdp_md *context) {
  __u8 *packet = packet_of(context, 2 * SIZE);
  if (!packet)
    return TOO_SHORT;
  __u32 i;
  for (i = 0; i < SIZE; i++) {
    if (packet[i] != packet[SIZE + i])
      break;
  }
  return i;
}
