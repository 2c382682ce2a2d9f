// Disagrees with the library: with -D one of VARIABLE, MAP, FUNCTION declares it in another way.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifdef VARIABLE
extern __u32 seen;
#define USE (int)seen
#endif

#ifdef MAP
extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} nodes SEC(".maps");
#define USE bpf_map_update_elem(&nodes, &(__u32){0}, &(__u64){0}, 0)
#endif

#ifdef FUNCTION
extern int lookup(__u32 id);
#define USE lookup(1)
#endif

SEC("xdp")
int stranger(struct xdp_md *ctx)
{
	return USE;
}

char LICENSE[] SEC("license") = "GPL";
