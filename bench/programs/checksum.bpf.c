// Half-word loads: the Internet checksum (RFC 1071) of 1500 bytes.
#include "bench.h"

#define SIZE 1500

SEC("xdp")
int checksum(struct xdp_md *context) {
  __u16 *packet = packet_of(context, SIZE);
  if (!packet)
    return TOO_SHORT;
  __u32 total = 0;
  for (__u32 i = 0; i < SIZE / 2; i++)
    total += packet[i];
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return (__u16)~total;
}
