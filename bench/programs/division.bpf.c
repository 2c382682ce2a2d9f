// Unsigned division and modulo, 64 and 32 bits wide, by divisors that the compiler cannot know.
#include "bench.h"

SEC("xdp")
int division(struct xdp_md *context) {
  __u64 *packet = packet_of(context, 16);
  if (!packet)
    return TOO_SHORT;
  __u64 number = packet[0];
  __u32 divisor = packet[1];
  __u64 result = 0;
  for (__u32 i = 0; i < 64; i++) {
    number = number * 6364136223846793005ULL + 1442695040888963407ULL;
    divisor = divisor * 1664525 + 1013904223;
    result += number / (divisor | 1);
    result ^= number % (__u64)(divisor >> 7 | 1);
    result += (__u32)number / (divisor >> 12 | 1);
    result ^= (__u32)(number >> 32) % (divisor >> 3 | 1);
  }
  return fold64(result);
}
