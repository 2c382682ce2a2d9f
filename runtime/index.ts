// The part of the kernel that runs inside linear memory: all that a program can reach without leaving
// WebAssembly. One module, made once, shared by all programs of a kernel.

export * from './layout';
export { check_access, check_arguments, check_map, fault } from './check';

/** Zeroed memory of `size` bytes, 16-byte aligned, or 0 when there is none. */
export function alloc(size: usize): usize {
  const at = heap.alloc(size);
  memory.fill(at, 0, size);
  return at;
}

/** Gives memory from `alloc` back. */
export function free(at: usize): void {
  heap.free(at);
}
