// Kernel functions for dynamic pointers (helpers/dynptr.ts has the helpers).

import { addressIn, dynptrAt, holds, pointerTo, setDynptr, setNull, SKB, XDP } from '../dynptr';
import { SKB_BEHIND, SkbFrame, XdpFrame } from '../layout';
import { EINVAL } from '../maps/errno';
import { isSkb } from '../skb';

const ERANGE: i32 = 34;

@inline function error(errno: i32): u64 {
  return -errno as i64 as u64;
}

/** bpf_dynptr_from_skb(skb, flags, ptr). What may be written is the verifier's to say. */
export function kfunc_bpf_dynptr_from_skb(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  if (r2) {
    setNull(r3);
    return error(EINVAL);
  }
  const at = isSkb(cpu) ? (r1 as usize) : (r1 as usize) + SKB_BEHIND;
  const frame = changetype<SkbFrame>(at);
  setDynptr(r3, pointerTo(at), SKB, frame.tail - frame.head, false);
  return 0;
}

/** bpf_dynptr_from_xdp(xdp, flags, ptr). */
export function kfunc_bpf_dynptr_from_xdp(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  if (r2) {
    setNull(r3);
    return error(EINVAL);
  }
  const frame = changetype<XdpFrame>(r1 as usize);
  setDynptr(r3, r1, XDP, frame.dataEnd - frame.data, false);
  return 0;
}

/** bpf_dynptr_slice(ptr, offset, buffer, size): everything lies in one piece, so that the buffer is not needed. */
export function kfunc_bpf_dynptr_slice(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  const ptr = dynptrAt(r1);
  if (!ptr.data || !holds(ptr, r2 as u32, r4 as u32)) return 0;
  return pointerTo(addressIn(ptr, r2 as u32));
}

export function kfunc_bpf_dynptr_slice_rdwr(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64): u64 {
  return dynptrAt(r1).readOnly ? 0 : kfunc_bpf_dynptr_slice(cpu, r1, r2, r3, r4);
}

/** bpf_dynptr_adjust(ptr, start, end). */
export function kfunc_bpf_dynptr_adjust(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const ptr = dynptrAt(r1);
  const start = r2 as u32;
  const end = r3 as u32;
  if (!ptr.data || start > end) return error(EINVAL);
  if (end > ptr.size) return error(ERANGE);
  ptr.offset += start;
  ptr.size = end - start;
  return 0;
}

export function kfunc_bpf_dynptr_is_null(cpu: usize, r1: u64): u64 {
  return dynptrAt(r1).data ? 0 : 1;
}

export function kfunc_bpf_dynptr_is_rdonly(cpu: usize, r1: u64): u64 {
  const ptr = dynptrAt(r1);
  return ptr.data && ptr.readOnly ? 1 : 0;
}

export function kfunc_bpf_dynptr_size(cpu: usize, r1: u64): u64 {
  const ptr = dynptrAt(r1);
  return ptr.data ? (ptr.size as u64) : (error(EINVAL) & 0xffffffff);
}

export function kfunc_bpf_dynptr_clone(cpu: usize, r1: u64, r2: u64): u64 {
  if (!dynptrAt(r1).data) {
    setNull(r2);
    return error(EINVAL);
  }
  memory.copy(r2 as usize, r1 as usize, 16);
  return 0;
}
