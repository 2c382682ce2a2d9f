// Helpers for dynamic pointers.

import { addressIn, dynptrAt, holds, LOCAL, MAX_SIZE, pointerTo, RINGBUF, SKB, setDynptr, setNull } from '../dynptr';
import { E2BIG, EINVAL } from '../maps/errno';
import { ringbuf_commit, ringbuf_reserve } from '../maps/ringbuf';

const BPF_F_RECOMPUTE_CSUM: u64 = 1;
const BPF_F_INVALIDATE_HASH: u64 = 2;

@inline function error(errno: i32): u64 {
  return -errno as i64 as u64;
}

/** bpf_dynptr_from_mem(data, size, flags, ptr). */
export function bpf_dynptr_from_mem(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const size = r2 as u32;
  if (size > MAX_SIZE || r3) {
    setNull(r4);
    return error(size > MAX_SIZE ? E2BIG : EINVAL);
  }
  setDynptr(r4, r1, LOCAL, size, false);
  return 0;
}

/** bpf_dynptr_read(dst, len, src, offset, flags). */
export function bpf_dynptr_read(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const ptr = dynptrAt(r3);
  if (!ptr.data || r5) return error(EINVAL);
  if (!holds(ptr, r4 as u32, r2 as u32)) return error(E2BIG);
  memory.copy(r1 as usize, addressIn(ptr, r4 as u32), r2 as u32);
  return 0;
}

/** bpf_dynptr_write(dst, offset, src, len, flags). */
export function bpf_dynptr_write(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const ptr = dynptrAt(r1);
  if (!ptr.data || ptr.readOnly) return error(EINVAL);
  if (!holds(ptr, r2 as u32, r4 as u32)) return error(E2BIG);
  const allowed = ptr.kind == SKB ? BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH : 0;
  if (r5 & ~allowed) return error(EINVAL);
  memory.copy(addressIn(ptr, r2 as u32), r3 as usize, r4 as u32);
  return 0;
}

/** bpf_dynptr_data(ptr, offset, len). */
export function bpf_dynptr_data(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const ptr = dynptrAt(r1);
  if (!ptr.data || ptr.readOnly || !holds(ptr, r2 as u32, r3 as u32)) return 0;
  return ptr.kind <= RINGBUF ? pointerTo(addressIn(ptr, r2 as u32)) : 0;
}

/** bpf_ringbuf_reserve_dynptr(ringbuf, size, flags, ptr). */
export function bpf_ringbuf_reserve_dynptr(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const size = r2 as u32;
  setNull(r4);
  if (r3) return error(EINVAL);
  if (size > MAX_SIZE) return error(E2BIG);
  const record = ringbuf_reserve(r1 as usize, size);
  if (!record) return error(EINVAL);
  setDynptr(r4, pointerTo(record), RINGBUF, size, false);
  return 0;
}

export function bpf_ringbuf_submit_dynptr(cpu: usize, r1: u64, r2: u64): u64 {
  const ptr = dynptrAt(r1);
  if (ptr.data) ringbuf_commit(ptr.data as usize, r2, false);
  setNull(r1);
  return 0;
}

export function bpf_ringbuf_discard_dynptr(cpu: usize, r1: u64, r2: u64): u64 {
  const ptr = dynptrAt(r1);
  if (ptr.data) ringbuf_commit(ptr.data as usize, r2, true);
  setNull(r1);
  return 0;
}
