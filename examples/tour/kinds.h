// What packets are counted by, in a map that more than one program may use.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum kind { OTHER, IPV4, IPV6, ARP, KINDS };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, KINDS);
  __type(key, __u32);
  __type(value, __u64);
} kinds SEC(".maps");
