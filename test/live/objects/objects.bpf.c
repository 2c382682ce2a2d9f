// Programs that are called back, and that use objects of the kernel: loops, iterators, dynamic pointers, lists and trees.
// Each returns a number that shows what happened.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define __contains(name, node) __attribute__((btf_decl_tag("contains:" #name ":" #node)))

/* Of linux/bpf.h since 6.2. */
struct bpf_list_head { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { __u64 opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { __u64 opaque[4]; } __attribute__((aligned(8)));

struct bpf_iter_num;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *ptr, __u32 start, __u32 end) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *ptr) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *ptr, struct bpf_dynptr *clone) __ksym;
extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct sum {
	__u64 total;
	__u32 rounds;
	__u32 limit;
};

static long add_square(__u32 round, struct sum *sum)
{
	sum->total += (__u64)round * round;
	sum->rounds++;
	return sum->rounds == sum->limit;
}

SEC("tc")
int loops(struct __sk_buff *skb)
{
	struct sum sum = { .limit = skb->len };
	long all = bpf_loop(200, add_square, &sum, 0);

	return sum.total + (all << 20) + bpf_loop(3, add_square, &sum, 1) + bpf_loop(1 << 24, add_square, &sum, 0);
}

static long inner(__u32 round, __u64 *total)
{
	*total += round;
	return 0;
}

static long outer(__u32 round, __u64 *total)
{
	return bpf_loop(round, inner, total, 0) == 7;
}

SEC("tc")
int nested_loops(struct __sk_buff *skb)
{
	__u64 total = skb->len;
	long rounds = bpf_loop(20, outer, &total, 0);

	return total * 100 + rounds;
}

struct bpf_map;
static long visit(struct bpf_map *map, __u32 *key, __u64 *value, struct sum *sum)
{
	/* The order of a hash is nobody's promise. */
	sum->total += *key * 1000 + *value;
	sum->rounds++;
	if (*value & 1)
		bpf_map_delete_elem(map, key);
	return sum->rounds == sum->limit;
}

SEC("tc")
int for_each(struct __sk_buff *skb)
{
	struct sum sum = {};
	struct sum some = { .limit = 4 };
	long all;
	__u32 i;

	for (i = 0; i < 20; i++) {
		__u64 value = i + skb->len;
		__u32 key = i * 3, index = i;

		bpf_map_update_elem(&table, &key, &value, BPF_ANY);
		bpf_map_update_elem(&numbers, &index, &value, BPF_ANY);
	}
	all = bpf_for_each_map_elem(&table, visit, &sum, 0);
	all = all * 100 + bpf_for_each_map_elem(&table, visit, &sum, 0);
	all = all * 100 + bpf_for_each_map_elem(&numbers, visit, &some, 0);
	return all + sum.total * 7 + some.total * 11 - bpf_for_each_map_elem(&numbers, visit, &some, 1);
}

SEC("tc")
int iterator(struct __sk_buff *skb)
{
	struct { __u64 state; } it;
	int total = 0, *i;

	bpf_iter_num_new((void *)&it, 3, skb->len);
	while ((i = bpf_iter_num_next((void *)&it)))
		total += *i * *i;
	bpf_iter_num_destroy((void *)&it);
	return total;
}

SEC("tc")
int dynptrs(struct __sk_buff *skb)
{
	struct bpf_dynptr packet, part, record;
	__u8 bytes[8] = {}, buffer[8];
	__u32 result, *slice;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return -1;
	result = bpf_dynptr_size(&packet);
	result += bpf_dynptr_read(bytes, 8, &packet, 4, 0) * 3 + bytes[0] + bytes[7];
	result += bpf_dynptr_read(bytes, 8, &packet, skb->len - 4, 0) * 5;
	result += bpf_dynptr_write(&packet, 6, "hello", 5, 0) * 7;
	bpf_dynptr_clone(&packet, &part);
	result += bpf_dynptr_adjust(&part, 6, 12) * 11 + bpf_dynptr_adjust(&part, 3, 30) * 13;
	result += bpf_dynptr_size(&part);
	slice = bpf_dynptr_slice(&part, 1, buffer, 4);
	if (slice)
		result += *slice;
	if (!bpf_ringbuf_reserve_dynptr(&ring, 100, 0, &record)) {
		__u32 *data;

		bpf_dynptr_write(&record, 96, "abcd", 4, 0);
		result += bpf_dynptr_write(&record, 98, "abcd", 4, 0);
		data = bpf_dynptr_data(&record, 96, 4);
		if (data)
			result += *data;
	}
	bpf_ringbuf_submit_dynptr(&record, 0);
	return result;
}

SEC("tc")
int texts(struct __sk_buff *skb)
{
	static const char format[] = "%d and %s, %x";
	__u64 args[] = { skb->len, (unsigned long)"words", 0xbeef };
	char text[24], number[] = " -0x1f rest";
	long parsed = 0, result;

	result = bpf_snprintf(text, sizeof(text), format, args, sizeof(args));
	result = result * 100 + text[0] + text[8];
	result = result * 100 + bpf_strtol(number, sizeof(number), 0, &parsed);
	return result + parsed + bpf_strncmp(text, 5, "80 and");
}

struct item {
	struct bpf_list_node link;
	__u64 key;
};

struct leaf {
	__u64 key;
	struct bpf_rb_node node;
};

#define guarded(name) SEC(".data." #name) __attribute__((visibility("hidden"), aligned(8)))

guarded(list) struct bpf_spin_lock list_lock;
guarded(list) struct bpf_list_head list __contains(item, link);
guarded(tree) struct bpf_spin_lock tree_lock;
guarded(tree) struct bpf_rb_root tree __contains(leaf, node);

#define new_object(type) ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), 0))

SEC("tc")
int lists(struct __sk_buff *skb)
{
	__u64 result = 0;
	int i;

	for (i = 0; i < 6; i++) {
		struct item *item = new_object(struct item);

		if (!item)
			return -1;
		item->key = skb->len + i;
		bpf_spin_lock(&list_lock);
		if (i & 1)
			bpf_list_push_back_impl(&list, &item->link, 0, 0);
		else
			bpf_list_push_front_impl(&list, &item->link, 0, 0);
		bpf_spin_unlock(&list_lock);
	}
	for (i = 0; i < 8; i++) {
		struct bpf_list_node *node;
		struct item *item;

		bpf_spin_lock(&list_lock);
		node = i % 3 ? bpf_list_pop_front(&list) : bpf_list_pop_back(&list);
		bpf_spin_unlock(&list_lock);
		if (!node) {
			result = result * 31 + 7;
			continue;
		}
		item = container_of(node, struct item, link);
		result = result * 31 + item->key;
		bpf_obj_drop_impl(item, 0);
	}
	return result ^ (result >> 32);
}

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, node)->key < container_of(b, struct leaf, node)->key;
}

SEC("tc")
int trees(struct __sk_buff *skb)
{
	__u64 result = 0;
	int i;

	for (i = 0; i < 12; i++) {
		struct leaf *leaf = new_object(struct leaf);

		if (!leaf)
			return -1;
		leaf->key = (i * 7 + skb->len) % 11;
		bpf_spin_lock(&tree_lock);
		bpf_rbtree_add_impl(&tree, &leaf->node, less, 0, 0);
		bpf_spin_unlock(&tree_lock);
	}
	for (i = 0; i < 13; i++) {
		struct bpf_rb_node *node;

		bpf_spin_lock(&tree_lock);
		node = bpf_rbtree_first(&tree);
		if (node)
			node = bpf_rbtree_remove(&tree, node);
		bpf_spin_unlock(&tree_lock);
		if (!node) {
			result = result * 31 + 13;
			continue;
		}
		result = result * 31 + container_of(node, struct leaf, node)->key;
		bpf_obj_drop_impl(container_of(node, struct leaf, node), 0);
	}
	return result ^ (result >> 32);
}

char _license[] SEC("license") = "GPL";
