// The library: the same map and types, a variable and a function for the application, static names that collide.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct node {
	struct node *next;
	__u8 key[3];
};

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

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct node);
} nodes SEC(".maps");

__u64 seen = 5;
const volatile int limit = 10;
extern int LINUX_KERNEL_VERSION __kconfig;

static int own_state;

static __attribute__((noinline)) int helper(int x)
{
	own_state -= x;
	return own_state + LINUX_KERNEL_VERSION;
}

__attribute__((noinline)) int policy(__u32 id)
{
	return helper(id);
}

__attribute__((noinline)) int lookup(__u32 id, enum verdict fallback)
{
	struct session *session = bpf_map_lookup_elem(&sessions, &id);
	__u32 zero = 0;
	struct node *node = bpf_map_lookup_elem(&nodes, &zero);

	if (!session || !node)
		return fallback;
	session->bytes++;
	bpf_printk("session %d %d", session->id, node->key[0]);
	return helper(session->low) & VERDICT_PASS;
}

char LICENSE[] SEC("license") = "GPL";
