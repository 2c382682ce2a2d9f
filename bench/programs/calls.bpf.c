// 64 calls of a subprogram that does little.
#include "bench.h"

static __noinline __u32 step(__u32 value, __u32 turn) {
  value = value << 5 | value >> 27;
  return (value ^ turn) * 2654435761u;
}

SEC("xdp")
int calls(struct xdp_md *context) {
  __u32 *packet = packet_of(context, sizeof(*packet));
  if (!packet)
    return TOO_SHORT;
  __u32 value = *packet;
  for (__u32 i = 0; i < 64; i++)
    value = step(value, i);
  return value;
}
