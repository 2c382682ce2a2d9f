// Copying small values: calling memory.copy costs more than the copy itself.

/** Copies `size` bytes; the ranges may be the same, but do not overlap otherwise. */
@inline
export function copy(to: usize, from: usize, size: u32): void {
  if (size == 8) {
    store<u64>(to, load<u64>(from));
  } else if (size == 4) {
    store<u32>(to, load<u32>(from));
  } else if (size <= 64) {
    let at: u32 = 0;
    for (; at + 8 <= size; at += 8) store<u64>(to + at, load<u64>(from + at));
    for (; at < size; at++) store<u8>(to + at, load<u8>(from + at));
  } else {
    memory.copy(to, from, size);
  }
}
