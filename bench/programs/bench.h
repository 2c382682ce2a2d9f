// What every benchmark program needs: the packet as a fixed number of bytes, and a way to keep the compiler honest.
#ifndef BENCH_H
#define BENCH_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/** Returned when the packet is shorter than the program needs: never a right answer of any of them. */
#define TOO_SHORT 0xffffffff

/** Makes the compiler forget what it knows about a variable, so that it does the work again. */
#define opaque(variable) __asm__ volatile("" : "+r"(variable))

static __always_inline void *packet_of(struct xdp_md *context, __u32 size) {
  void *data = (void *)(long)context->data;
  void *end = (void *)(long)context->data_end;
  return data + size <= end ? data : 0;
}

static __always_inline __u32 fold64(__u64 value) { return (__u32)value ^ (__u32)(value >> 32); }

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif
