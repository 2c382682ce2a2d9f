// Goes on in another program, if there is one in the slot.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} stages SEC(".maps");

SEC("xdp")
int entry(struct xdp_md *context) {
  bpf_tail_call(context, &stages, 1);
  bpf_printk("entry: nobody at stage 1");
  return XDP_PASS;
}

SEC("xdp")
int refuse(struct xdp_md *context) {
  bpf_printk("refuse: %u bytes", context->data_end - context->data);
  return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
