// The first program of every book: greets each packet and counts it in a global variable.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u32 counter;

SEC("xdp")
int hello(struct xdp_md *context) {
  counter++;
  bpf_printk("Hello, packet %u of %u bytes", counter, context->data_end - context->data);
  return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
