// 32-bit arithmetic: Bob Jenkins' lookup3 hash (2006) of 120 bytes with initial value 0.
#include "bench.h"

#define WORDS 30

struct jenkins {
  __u32 a, b, c;
};

static __always_inline __u32 rotate(__u32 value, int bits) { return value << bits | value >> (32 - bits); }

/** The reversible mixing step between blocks of three words. */
static __always_inline void mix(struct jenkins *h) {
  h->a = (h->a - h->c) ^ rotate(h->c, 4);
  h->c += h->b;
  h->b = (h->b - h->a) ^ rotate(h->a, 6);
  h->a += h->c;
  h->c = (h->c - h->b) ^ rotate(h->b, 8);
  h->b += h->a;
  h->a = (h->a - h->c) ^ rotate(h->c, 16);
  h->c += h->b;
  h->b = (h->b - h->a) ^ rotate(h->a, 19);
  h->a += h->c;
  h->c = (h->c - h->b) ^ rotate(h->b, 4);
  h->b += h->a;
}

/** The last step, from which only `c` is taken. */
static __always_inline void finish(struct jenkins *h) {
  h->c = (h->c ^ h->b) - rotate(h->b, 14);
  h->a = (h->a ^ h->c) - rotate(h->c, 11);
  h->b = (h->b ^ h->a) - rotate(h->a, 25);
  h->c = (h->c ^ h->b) - rotate(h->b, 16);
  h->a = (h->a ^ h->c) - rotate(h->c, 4);
  h->b = (h->b ^ h->a) - rotate(h->a, 14);
  h->c = (h->c ^ h->b) - rotate(h->b, 24);
}

SEC("xdp")
int jhash(struct xdp_md *context) {
  __u32 *packet = packet_of(context, WORDS * 4);
  if (!packet)
    return TOO_SHORT;
  __u32 start = 0xdeadbeef + WORDS * 4;
  struct jenkins h = {start, start, start};
  __u32 i;
  for (i = 0; i < WORDS - 3; i += 3) {
    h.a += packet[i];
    h.b += packet[i + 1];
    h.c += packet[i + 2];
    mix(&h);
  }
  h.a += packet[WORDS - 3];
  h.b += packet[WORDS - 2];
  h.c += packet[WORDS - 1];
  finish(&h);
  return h.c;
}
