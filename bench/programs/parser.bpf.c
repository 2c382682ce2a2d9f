// The commonest thing that an XDP program does: Ethernet, IP and ports, each behind its bounds check.
#include "tuple.h"

SEC("xdp")
int parser(struct xdp_md *context) {
  struct tuple tuple;
  int failed = parse_tuple((void *)(long)context->data, (void *)(long)context->data_end, &tuple);
  return failed ? failed : (int)hash_tuple(&tuple);
}
