// Short branches over moves: the integer logarithm of 128 numbers, each by halving the width five times.
#include "bench.h"

static __always_inline __u32 log2_of(__u32 value) {
  __u32 result = 0;
  if (value >= 1u << 16) {
    value >>= 16;
    result += 16;
  }
  if (value >= 1u << 8) {
    value >>= 8;
    result += 8;
  }
  if (value >= 1u << 4) {
    value >>= 4;
    result += 4;
  }
  if (value >= 1u << 2) {
    value >>= 2;
    result += 2;
  }
  if (value >= 1u << 1)
    result += 1;
  return result;
}

SEC("xdp")
int log2_loop(struct xdp_md *context) {
  __u32 *packet = packet_of(context, sizeof(*packet));
  if (!packet)
    return TOO_SHORT;
  __u32 value = *packet;
  __u32 sum = 0;
  for (__u32 i = 0; i < 128; i++) {
    sum = sum * 3 + log2_of(value >> (i & 31));
    value = value * 1664525 + 1013904223;
    opaque(sum);
  }
  return sum;
}
