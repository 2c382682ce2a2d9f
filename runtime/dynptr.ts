// Dynamic pointers (struct bpf_dynptr_kern): 16 bytes on a program's stack that name memory whose size is known when the
// program runs.
//
//   +0 what it points to (8)   +8 size, and in its upper bits the kind and whether it is read-only (4)   +12 offset (4)

import { POINTER_BASE, SkbFrame, XdpFrame } from './layout';

export const LOCAL: u32 = 1;
export const RINGBUF: u32 = 2;
export const SKB: u32 = 3;
export const XDP: u32 = 4;

const SIZE_MASK: u32 = 0xffffff;
const KIND_SHIFT: u32 = 28;
const KIND_MASK: u32 = 7;
const READ_ONLY: u32 = 1 << 31;
/** DYNPTR_MAX_SIZE. */
export const MAX_SIZE: u32 = (1 << 24) - 1;

@unmanaged export class Dynptr {
  data: u64 = 0;
  word: u32 = 0;
  offset: u32 = 0;

  @inline get size(): u32 {
    return this.word & SIZE_MASK;
  }
  @inline set size(value: u32) {
    this.word = (this.word & ~SIZE_MASK) | value;
  }
  @inline get kind(): u32 {
    return (this.word >> KIND_SHIFT) & KIND_MASK;
  }
  @inline get readOnly(): bool {
    return (this.word & READ_ONLY) != 0;
  }
}

@inline export function dynptrAt(at: u64): Dynptr {
  return changetype<Dynptr>(at as usize);
}

export function setDynptr(at: u64, data: u64, kind: u32, size: u32, readOnly: bool): void {
  const ptr = dynptrAt(at);
  ptr.data = data;
  ptr.word = size | (kind << KIND_SHIFT) | (readOnly ? READ_ONLY : 0);
  ptr.offset = 0;
}

export function setNull(at: u64): void {
  const ptr = dynptrAt(at);
  ptr.data = 0;
  ptr.word = 0;
  ptr.offset = 0;
}

/** Whether [offset, offset + size) lies in it. */
export function holds(ptr: Dynptr, offset: u32, size: u32): bool {
  const all = ptr.size;
  return size <= all && offset <= all - size;
}

/** Where byte `offset` is; packets lie in one piece. */
export function addressIn(ptr: Dynptr, offset: u32): usize {
  const at = ptr.offset + offset;
  const owner = ptr.data as usize;
  if (ptr.kind == SKB) return changetype<SkbFrame>(owner).head + at;
  if (ptr.kind == XDP) return changetype<XdpFrame>(owner).data + at;
  return owner + at;
}

@inline export function pointerTo(at: usize): u64 {
  return POINTER_BASE | (at as u64);
}
