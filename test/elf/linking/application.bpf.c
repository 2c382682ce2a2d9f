// The application: uses what the library defines, and shares types, a map and a weak function with it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct node;

struct session {
	__u32 id;
	struct node *owner;
	union {
		__u64 bytes;
		struct {
			__u32 low, high;
		};
	};
};

enum verdict { VERDICT_DROP = 1, VERDICT_PASS = 2 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

extern __u64 seen;
extern const volatile int limit;
extern int lookup(__u32 id, enum verdict fallback);
extern int LINUX_KERNEL_VERSION __kconfig;

__u32 calls;
static int own_state = 3;

static __attribute__((noinline)) int helper(int x)
{
	own_state += x;
	return own_state;
}

__attribute__((weak, noinline)) int policy(__u32 id)
{
	return id % 3 + calls;
}

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	calls++;
	seen += limit;
	if (policy(ctx->rx_queue_index) == 7)
		return helper(LINUX_KERNEL_VERSION) & 3;
	return lookup(ctx->ingress_ifindex, VERDICT_PASS);
}

char LICENSE[] SEC("license") = "GPL";
