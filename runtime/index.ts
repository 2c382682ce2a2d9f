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

export {
  array_lookup, array_update, percpu_array_lookup, percpu_array_update,
} from './maps/array';
export {
  htab_delete, htab_lookup, htab_lookup_4, htab_lookup_8, htab_lookup_16, htab_update, percpu_htab_lookup,
  percpu_htab_update,
} from './maps/hash';
export {
  map_create, map_delete, map_destroy, map_lookup, map_lookup_and_delete, map_lookup_copy, map_next_key, map_update,
  map_update_all,
} from './maps/map';
export { redirect_map_may_update } from './maps/devmap';
export { perf_buffer_create, perf_buffer_peek, perf_buffer_release, perf_buffer_times, perf_buffer_wakeups } from './maps/perf';
export {
  ringbuf_length, ringbuf_peek, ringbuf_query, ringbuf_release, ringbuf_wakeups, user_ringbuf_put,
} from './maps/ringbuf';
export * from './helpers/checksum';
export * from './helpers/cpu';
export * from './helpers/maps';
export * from './helpers/redirect';
export * from './helpers/ringbuf';
export * from './helpers/dynptr';
export * from './helpers/callbacks';
export * from './helpers/vlan';
export * from './helpers/storage';
export * from './helpers/strings';
export * from './helpers/sockets';
export * from './helpers/skb-sums';
export * from './helpers/skb';
export * from './helpers/time';
export * from './helpers/xdp';
export { arena_address, kfunc_bpf_arena_alloc_pages, kfunc_bpf_arena_free_pages } from './arena';
export * from './kfuncs/dynptr';
export * from './kfuncs/iterators';
export * from './kfuncs/objects';
export * from './kfuncs/sections';
export { interpret, interpreter_begin, interpreter_resume } from './interpreter';
export { call_helper, helper_table } from './helpers/dispatch';
export { packet_address, skb_buffer_size, skb_frame_end, skb_frame_init } from './skb';
export { frame_buffer_size, frame_init, frames_init, interpret_frames } from './frames';
