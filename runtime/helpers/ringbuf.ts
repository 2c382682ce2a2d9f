// Helpers for ring buffers. Arguments and results are eBPF registers, as in maps.ts.

import { POINTER_BASE } from '../layout';
import { ringbuf_commit, ringbuf_output, ringbuf_query, ringbuf_reserve } from '../maps/ringbuf';

export function bpf_ringbuf_output(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  return ringbuf_output(r1 as usize, r2 as usize, r3, r4) as i64 as u64;
}

/** Room for a record, or null: there is none, or a flag is set. */
export function bpf_ringbuf_reserve(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  if (r3) return 0;
  const record = ringbuf_reserve(r1 as usize, r2);
  return record ? POINTER_BASE | (record as u64) : 0;
}

export function bpf_ringbuf_submit(cpu: usize, r1: u64, r2: u64): u64 {
  ringbuf_commit(r1 as usize, r2, false);
  return 0;
}

export function bpf_ringbuf_discard(cpu: usize, r1: u64, r2: u64): u64 {
  ringbuf_commit(r1 as usize, r2, true);
  return 0;
}

export function bpf_ringbuf_query(cpu: usize, r1: u64, r2: u64): u64 {
  return ringbuf_query(r1 as usize, r2);
}
