// A third object: tracing with CO-RE, its own programs in sections that others have too, and the library's map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

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

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

struct task_struct {
	int pid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

extern __u64 seen;
extern void bpf_rcu_read_lock(void) __ksym;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 pid = BPF_CORE_READ(task, real_parent, pid);
	struct session *session = bpf_map_lookup_elem(&sessions, &pid);

	if (session)
		session->high++;
	if (bpf_core_field_exists(task->pid))
		seen++;
	return 0;
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	const char text[] = "the second program in its section";

	bpf_trace_printk(text, sizeof(text));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
