// Helpers by their number: what the interpreter does at a call. The JIT calls the same functions directly.

import { fault } from '../check';
import { Cpu, FAULT_ARGUMENT, HELPERS } from '../layout';
import { bpf_csum_diff } from './checksum';
import { bpf_get_numa_node_id, bpf_get_prandom_u32, bpf_get_smp_processor_id } from './cpu';
import {
  bpf_map_delete_elem, bpf_map_lookup_elem, bpf_map_lookup_percpu_elem, bpf_map_peek_elem, bpf_map_pop_elem,
  bpf_map_push_elem, bpf_map_update_elem,
} from './maps';
import { bpf_jiffies64, bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns, bpf_ktime_get_ns } from './time';
import { bpf_perf_event_output, bpf_redirect, bpf_redirect_map } from './redirect';
import {
  bpf_ringbuf_discard, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
} from './ringbuf';
import {
  bpf_xdp_adjust_head, bpf_xdp_adjust_meta, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len,
  bpf_xdp_load_bytes, bpf_xdp_store_bytes,
} from './xdp';

@external('host', 'call_host')
declare function call_host(cpu: usize, id: u32): void;

/** The kinds of each helper's arguments, packed (ARG_*): u32[HELPERS]. */
const kinds = memory.data(1024, 4);

/** Where that table lies; the kernel fills it from its helper definitions. */
export function helper_table(): usize {
  return kinds;
}

/** The packed argument kinds of helper `id`. */
export function helper_arguments(cpu: Cpu, id: u32, slot: u32): u32 {
  if (id >= HELPERS) fault(cpu, FAULT_ARGUMENT, slot, id, 0);
  return load<u32>(kinds + (id << 2));
}

/**
 * Calls helper `id`, its arguments checked before; its result, 0 for a helper without one. What is not in the
 * runtime runs in the host, with its arguments and result on the CPU.
 */
export function call_helper(owner: Cpu, id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const cpu = changetype<usize>(owner);
  switch (id) {
    case 1: return bpf_map_lookup_elem(cpu, r1, r2);
    case 2: return bpf_map_update_elem(cpu, r1, r2, r3, r4);
    case 3: return bpf_map_delete_elem(cpu, r1, r2);
    case 5: return bpf_ktime_get_ns(cpu);
    case 7: return bpf_get_prandom_u32(cpu);
    case 8: return bpf_get_smp_processor_id(cpu);
    case 23: return bpf_redirect(cpu, r1, r2);
    case 25: return bpf_perf_event_output(cpu, r1, r2, r3, r4, r5);
    case 28: return bpf_csum_diff(cpu, r1, r2, r3, r4, r5);
    case 42: return bpf_get_numa_node_id(cpu);
    case 44: return bpf_xdp_adjust_head(cpu, r1, r2);
    case 51: return bpf_redirect_map(cpu, r1, r2, r3);
    case 54: return bpf_xdp_adjust_meta(cpu, r1, r2);
    case 65: return bpf_xdp_adjust_tail(cpu, r1, r2);
    case 87: return bpf_map_push_elem(cpu, r1, r2, r3);
    case 88: return bpf_map_pop_elem(cpu, r1, r2);
    case 89: return bpf_map_peek_elem(cpu, r1, r2);
    case 118: return bpf_jiffies64(cpu);
    case 125: return bpf_ktime_get_boot_ns(cpu);
    case 130: return bpf_ringbuf_output(cpu, r1, r2, r3, r4);
    case 131: return bpf_ringbuf_reserve(cpu, r1, r2, r3);
    case 132: return bpf_ringbuf_submit(cpu, r1, r2);
    case 133: return bpf_ringbuf_discard(cpu, r1, r2);
    case 134: return bpf_ringbuf_query(cpu, r1, r2);
    case 160: return bpf_ktime_get_coarse_ns(cpu);
    case 188: return bpf_xdp_get_buff_len(cpu, r1);
    case 189: return bpf_xdp_load_bytes(cpu, r1, r2, r3, r4);
    case 190: return bpf_xdp_store_bytes(cpu, r1, r2, r3, r4);
    case 195: return bpf_map_lookup_percpu_elem(cpu, r1, r2, r3);
    default:
  }
  owner.arg1 = r1;
  owner.arg2 = r2;
  owner.arg3 = r3;
  owner.arg4 = r4;
  owner.arg5 = r5;
  owner.result = 0;
  call_host(cpu, id);
  return owner.result;
}
