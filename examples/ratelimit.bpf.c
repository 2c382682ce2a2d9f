// A rate limiter: each source address owns a bucket of tokens, a packet costs one, tokens come back with time.
// Tokens are counted in billionths, so that (nanoseconds passed) * (packets per second) is what came back.
#include "parse.h"

#define ONE_TOKEN 1000000000ULL

/** Sustained rate of one source. */
const volatile __u32 packets_per_second = 1000;
/** What a source may send at once after a pause. */
const volatile __u32 burst = 64;

struct bucket {
  __u64 tokens;      // billionths of a packet
  __u64 refilled_at; // bpf_ktime_get_ns
  __u64 passed;
  __u64 limited;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct address);
  __type(value, struct bucket);
} buckets SEC(".maps");

enum outcome {
  OUTCOME_PASSED,
  OUTCOME_LIMITED,
  OUTCOME_NOT_IP,
  OUTCOME_MALFORMED,
  OUTCOME_TABLE_FULL,
  OUTCOME_COUNT,
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, OUTCOME_COUNT);
  __type(key, __u32); // enum outcome
  __type(value, __u64);
} outcomes SEC(".maps");

static __always_inline int finish(__u32 outcome, int action) {
  __u64 *count = bpf_map_lookup_elem(&outcomes, &outcome);
  if (count)
    (*count)++;
  return action;
}

/** Adds what came back since the last packet, never more than the burst. */
static __always_inline void refill(struct bucket *bucket, __u64 now) {
  __u64 full = burst * ONE_TOKEN;
  __u64 elapsed = now - bucket->refilled_at;
  __u64 rate = packets_per_second;

  bucket->refilled_at = now;
  if (rate == 0)
    return;
  if (elapsed >= full / rate) {
    bucket->tokens = full;
    return;
  }
  bucket->tokens += elapsed * rate;
  if (bucket->tokens > full)
    bucket->tokens = full;
}

SEC("xdp")
int ratelimit(struct xdp_md *context) {
  struct packet packet;
  if (!parse(context, &packet))
    return finish(OUTCOME_MALFORMED, XDP_DROP);
  if (packet.ethertype != bpf_htons(ETH_P_IP) && packet.ethertype != bpf_htons(ETH_P_IPV6))
    return finish(OUTCOME_NOT_IP, XDP_PASS);

  __u64 now = bpf_ktime_get_ns();
  struct bucket *bucket = bpf_map_lookup_elem(&buckets, &packet.source);
  if (!bucket) {
    struct bucket fresh = {.tokens = burst * ONE_TOKEN, .refilled_at = now};
    if (bpf_map_update_elem(&buckets, &packet.source, &fresh, BPF_NOEXIST))
      return finish(OUTCOME_TABLE_FULL, XDP_PASS);
    bucket = bpf_map_lookup_elem(&buckets, &packet.source);
    if (!bucket)
      return finish(OUTCOME_TABLE_FULL, XDP_PASS);
  }

  refill(bucket, now);
  if (bucket->tokens < ONE_TOKEN) {
    if (bucket->limited++ == 0)
      bpf_printk("limit: %pI6c after %llu packets", &packet.source, bucket->passed);
    return finish(OUTCOME_LIMITED, XDP_DROP);
  }
  bucket->tokens -= ONE_TOKEN;
  bucket->passed++;
  return finish(OUTCOME_PASSED, XDP_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
