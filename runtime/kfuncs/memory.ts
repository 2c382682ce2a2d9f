// Memory that a program names without being trusted to (Linux: copy_from_kernel_nofault).

import { FIRST_OFFSET, POINTER_BASE } from '../layout';

/** Whether `size` bytes at `pointer` are memory of the emulated kernel. */
export function isReadable(pointer: u64, size: u32): bool {
  if (pointer >> 32 != POINTER_BASE >> 32 && pointer >> 32 != 0) return false;
  const at = pointer & 0xffffffff;
  return at >= (FIRST_OFFSET as u64) && at + size <= ((memory.size() as u64) << 16);
}
