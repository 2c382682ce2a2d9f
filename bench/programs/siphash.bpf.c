// 64-bit adds, rotates and exclusive ors: SipHash-2-4 (Aumasson and Bernstein, 2012) of 128 bytes, its key the bytes
// 0 to 15; the answer is the low half of the hash xor the high half.
#include "bench.h"

#define WORDS 16

struct sip {
  __u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotate(__u64 value, int bits) { return value << bits | value >> (64 - bits); }

static __always_inline void round(struct sip *s) {
  s->v0 += s->v1;
  s->v2 += s->v3;
  s->v1 = rotate(s->v1, 13) ^ s->v0;
  s->v3 = rotate(s->v3, 16) ^ s->v2;
  s->v0 = rotate(s->v0, 32);
  s->v2 += s->v1;
  s->v0 += s->v3;
  s->v1 = rotate(s->v1, 17) ^ s->v2;
  s->v3 = rotate(s->v3, 21) ^ s->v0;
  s->v2 = rotate(s->v2, 32);
}

SEC("xdp")
int siphash(struct xdp_md *context) {
  __u64 *packet = packet_of(context, WORDS * 8);
  if (!packet)
    return TOO_SHORT;
  const __u64 key0 = 0x0706050403020100;
  const __u64 key1 = 0x0f0e0d0c0b0a0908;
  struct sip s = {
      key0 ^ 0x736f6d6570736575, // "somepseudorandomlygeneratedbytes", four words, most significant byte first
      key1 ^ 0x646f72616e646f6d,
      key0 ^ 0x6c7967656e657261,
      key1 ^ 0x7465646279746573,
  };
  for (__u32 i = 0; i < WORDS; i++) {
    s.v3 ^= packet[i];
    round(&s);
    round(&s);
    s.v0 ^= packet[i];
  }
  const __u64 last = (__u64)(WORDS * 8) << 56;
  s.v3 ^= last;
  round(&s);
  round(&s);
  s.v0 ^= last;
  s.v2 ^= 0xff;
  round(&s);
  round(&s);
  round(&s);
  round(&s);
  return fold64(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}
