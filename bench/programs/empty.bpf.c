// What one run costs by itself.
#include "bench.h"

SEC("xdp")
int empty(struct xdp_md *context) {
  (void)context;
  return XDP_PASS;
}
