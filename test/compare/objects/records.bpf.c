// What goes to user space: records of a ring buffer, reserved and copied; samples of a perf event array, with and
// without a part of the packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event {
  __u32 number;
  __u32 length;
  __u8 bytes[4];
};

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} reserved SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8192);
} copied SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(key_size, 4);
  __uint(value_size, 4);
} samples SEC(".maps");

__u32 number;
__u64 refused;

SEC("xdp")
int records(struct xdp_md *ctx) {
  __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + 14 > end) return XDP_ABORTED;
  struct event event = {.number = number++, .length = end - data, .bytes = {data[12], data[13], data[0], data[5]}};

  // Every fourth is thought better of.
  struct event *slot = bpf_ringbuf_reserve(&reserved, sizeof(event), 0);
  if (slot) {
    *slot = event;
    if (event.number % 4)
      bpf_ringbuf_submit(slot, 0);
    else
      bpf_ringbuf_discard(slot, BPF_RB_NO_WAKEUP);
  }
  if (bpf_ringbuf_output(&copied, &event, 1 + (event.number & 7), 0)) refused++;

  // The upper half of the flags says how much of the packet goes behind the data.
  __u64 part = (__u64)(event.length & 31) << 32;
  if (bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU | part, &event, sizeof(event))) refused++;
  return event.number & 1 ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
