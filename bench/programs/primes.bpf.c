// Modulo and a nested loop that ends early: the primes below 1000, by trial division with odd numbers.
#include "bench.h"

SEC("xdp")
int primes(struct xdp_md *context) {
  (void)context;
  __u32 count = 1; // 2
  for (__u32 number = 3; number < 1000; number += 2) {
    __u32 prime = 1;
    for (__u32 divisor = 3; divisor * divisor <= number; divisor += 2) {
      if (number % divisor == 0) {
        prime = 0;
        break;
      }
    }
    count += prime;
  }
  return count;
}
