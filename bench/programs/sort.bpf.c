// Stack traffic at addresses known only at run time: 16 numbers of the packet, sorted by insertion. They come in
// ascending order and are wanted in descending order, so that every one moves all the way: 120 moves.
#include "bench.h"

#define COUNT 16

SEC("xdp")
int sort(struct xdp_md *context) {
  __u32 *packet = packet_of(context, COUNT * 4);
  if (!packet)
    return TOO_SHORT;
  __u32 number[COUNT];
  for (__u32 i = 0; i < COUNT; i++)
    number[i] = bpf_ntohl(packet[i]);
  for (__u32 i = 1; i < COUNT; i++) {
    __u32 moving = number[i];
    __u32 at = i;
    while (at > 0 && number[at - 1] < moving) {
      number[at] = number[at - 1];
      at--;
    }
    number[at] = moving;
  }
  __u32 result = 0;
  for (__u32 i = 0; i < COUNT; i++)
    result = result * 31 + number[i];
  return result;
}
