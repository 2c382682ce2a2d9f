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
import {
  bpf_perf_event_output, bpf_redirect, bpf_redirect_map, bpf_redirect_neigh, bpf_redirect_peer,
} from './redirect';
import {
  bpf_ringbuf_discard, bpf_ringbuf_output, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
} from './ringbuf';
import {
  bpf_xdp_adjust_head, bpf_xdp_adjust_meta, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len,
  bpf_xdp_load_bytes, bpf_xdp_store_bytes,
} from './xdp';
import {
  bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_skb_store_bytes, bpf_skb_pull_data,
  bpf_skb_change_tail, bpf_skb_change_head, bpf_skb_change_type, bpf_skb_change_proto, bpf_skb_adjust_room,
  bpf_skb_set_tstamp,
} from './skb';
import {
  bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_csum_update, bpf_csum_level, bpf_get_hash_recalc,
  bpf_set_hash, bpf_set_hash_invalid, bpf_skb_ecn_set_ce,
} from './skb-sums';
import {
  bpf_sk_lookup_tcp, bpf_sk_lookup_udp, bpf_skc_lookup_tcp, bpf_sk_release, bpf_sk_fullsock, bpf_tcp_sock,
  bpf_get_listener_sock, bpf_skc_to_tcp_sock, bpf_skc_to_tcp6_sock, bpf_skc_to_tcp_timewait_sock,
  bpf_skc_to_tcp_request_sock, bpf_skc_to_udp6_sock, bpf_skc_to_unix_sock, bpf_skc_to_mptcp_sock,
  bpf_get_socket_cookie, bpf_get_socket_uid,
} from './sockets';
import { bpf_strtol, bpf_strtoul, bpf_strncmp } from './strings';
import { bpf_sk_storage_get, bpf_sk_storage_delete, bpf_get_local_storage } from './storage';
import { bpf_skb_vlan_push, bpf_skb_vlan_pop } from './vlan';
import { bpf_loop, bpf_for_each_map_elem, bpf_spin_lock, bpf_spin_unlock, bpf_kptr_xchg } from './callbacks';
import {
  bpf_dynptr_from_mem, bpf_dynptr_read, bpf_dynptr_write, bpf_dynptr_data, bpf_ringbuf_reserve_dynptr,
  bpf_ringbuf_submit_dynptr, bpf_ringbuf_discard_dynptr,
} from './dynptr';

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
    case 9: return bpf_skb_store_bytes(cpu, r1, r2, r3, r4, r5);
    case 10: return bpf_l3_csum_replace(cpu, r1, r2, r3, r4, r5);
    case 11: return bpf_l4_csum_replace(cpu, r1, r2, r3, r4, r5);
    case 18: return bpf_skb_vlan_push(cpu, r1, r2, r3);
    case 19: return bpf_skb_vlan_pop(cpu, r1);
    case 23: return bpf_redirect(cpu, r1, r2);
    case 25: return bpf_perf_event_output(cpu, r1, r2, r3, r4, r5);
    case 26: return bpf_skb_load_bytes(cpu, r1, r2, r3, r4);
    case 28: return bpf_csum_diff(cpu, r1, r2, r3, r4, r5);
    case 31: return bpf_skb_change_proto(cpu, r1, r2, r3);
    case 32: return bpf_skb_change_type(cpu, r1, r2);
    case 34: return bpf_get_hash_recalc(cpu, r1);
    case 38: return bpf_skb_change_tail(cpu, r1, r2, r3);
    case 39: return bpf_skb_pull_data(cpu, r1, r2);
    case 40: return bpf_csum_update(cpu, r1, r2);
    case 41: return bpf_set_hash_invalid(cpu, r1);
    case 42: return bpf_get_numa_node_id(cpu);
    case 43: return bpf_skb_change_head(cpu, r1, r2, r3);
    case 44: return bpf_xdp_adjust_head(cpu, r1, r2);
    case 46: return bpf_get_socket_cookie(cpu, r1);
    case 47: return bpf_get_socket_uid(cpu, r1);
    case 48: return bpf_set_hash(cpu, r1, r2);
    case 50: return bpf_skb_adjust_room(cpu, r1, r2, r3, r4);
    case 51: return bpf_redirect_map(cpu, r1, r2, r3);
    case 54: return bpf_xdp_adjust_meta(cpu, r1, r2);
    case 65: return bpf_xdp_adjust_tail(cpu, r1, r2);
    case 68: return bpf_skb_load_bytes_relative(cpu, r1, r2, r3, r4, r5);
    case 81: return bpf_get_local_storage(cpu, r1, r2);
    case 84: return bpf_sk_lookup_tcp(cpu, r1, r2, r3, r4, r5);
    case 85: return bpf_sk_lookup_udp(cpu, r1, r2, r3, r4, r5);
    case 86: return bpf_sk_release(cpu, r1);
    case 87: return bpf_map_push_elem(cpu, r1, r2, r3);
    case 88: return bpf_map_pop_elem(cpu, r1, r2);
    case 89: return bpf_map_peek_elem(cpu, r1, r2);
    case 93: return bpf_spin_lock(cpu, r1);
    case 94: return bpf_spin_unlock(cpu, r1);
    case 95: return bpf_sk_fullsock(cpu, r1);
    case 96: return bpf_tcp_sock(cpu, r1);
    case 97: return bpf_skb_ecn_set_ce(cpu, r1);
    case 98: return bpf_get_listener_sock(cpu, r1);
    case 99: return bpf_skc_lookup_tcp(cpu, r1, r2, r3, r4, r5);
    case 105: return bpf_strtol(cpu, r1, r2, r3, r4);
    case 106: return bpf_strtoul(cpu, r1, r2, r3, r4);
    case 107: return bpf_sk_storage_get(cpu, r1, r2, r3, r4);
    case 108: return bpf_sk_storage_delete(cpu, r1, r2);
    case 118: return bpf_jiffies64(cpu);
    case 125: return bpf_ktime_get_boot_ns(cpu);
    case 130: return bpf_ringbuf_output(cpu, r1, r2, r3, r4);
    case 131: return bpf_ringbuf_reserve(cpu, r1, r2, r3);
    case 132: return bpf_ringbuf_submit(cpu, r1, r2);
    case 133: return bpf_ringbuf_discard(cpu, r1, r2);
    case 134: return bpf_ringbuf_query(cpu, r1, r2);
    case 135: return bpf_csum_level(cpu, r1, r2);
    case 136: return bpf_skc_to_tcp6_sock(cpu, r1);
    case 137: return bpf_skc_to_tcp_sock(cpu, r1);
    case 138: return bpf_skc_to_tcp_timewait_sock(cpu, r1);
    case 139: return bpf_skc_to_tcp_request_sock(cpu, r1);
    case 140: return bpf_skc_to_udp6_sock(cpu, r1);
    case 152: return bpf_redirect_neigh(cpu, r1, r2, r3, r4);
    case 155: return bpf_redirect_peer(cpu, r1, r2);
    case 160: return bpf_ktime_get_coarse_ns(cpu);
    case 164: return bpf_for_each_map_elem(cpu, r1, r2, r3, r4);
    case 178: return bpf_skc_to_unix_sock(cpu, r1);
    case 181: return bpf_loop(cpu, r1, r2, r3, r4);
    case 182: return bpf_strncmp(cpu, r1, r2, r3);
    case 188: return bpf_xdp_get_buff_len(cpu, r1);
    case 189: return bpf_xdp_load_bytes(cpu, r1, r2, r3, r4);
    case 190: return bpf_xdp_store_bytes(cpu, r1, r2, r3, r4);
    case 192: return bpf_skb_set_tstamp(cpu, r1, r2, r3);
    case 194: return bpf_kptr_xchg(cpu, r1, r2);
    case 195: return bpf_map_lookup_percpu_elem(cpu, r1, r2, r3);
    case 196: return bpf_skc_to_mptcp_sock(cpu, r1);
    case 197: return bpf_dynptr_from_mem(cpu, r1, r2, r3, r4);
    case 198: return bpf_ringbuf_reserve_dynptr(cpu, r1, r2, r3, r4);
    case 199: return bpf_ringbuf_submit_dynptr(cpu, r1, r2);
    case 200: return bpf_ringbuf_discard_dynptr(cpu, r1, r2);
    case 201: return bpf_dynptr_read(cpu, r1, r2, r3, r4, r5);
    case 202: return bpf_dynptr_write(cpu, r1, r2, r3, r4, r5);
    case 203: return bpf_dynptr_data(cpu, r1, r2, r3);
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
