// Kernel functions by their number (src/kernel/kfuncs): what the interpreter does at a call. Compiled code calls the same
// functions directly.

import { kfunc_bpf_arena_alloc_pages, kfunc_bpf_arena_free_pages } from '../arena';
import { fault } from '../check';
import { Cpu, FAULT_ARGUMENT } from '../layout';
import {
  kfunc_bpf_iter_num_new, kfunc_bpf_iter_num_next, kfunc_bpf_iter_num_destroy, kfunc_bpf_iter_bits_new,
  kfunc_bpf_iter_bits_next, kfunc_bpf_iter_bits_destroy,
} from './iterators';
import {
  kfunc_bpf_dynptr_from_skb, kfunc_bpf_dynptr_from_xdp, kfunc_bpf_dynptr_slice, kfunc_bpf_dynptr_slice_rdwr,
  kfunc_bpf_dynptr_adjust, kfunc_bpf_dynptr_is_null, kfunc_bpf_dynptr_is_rdonly, kfunc_bpf_dynptr_size,
  kfunc_bpf_dynptr_clone,
} from './dynptr';
import {
  kfunc_bpf_rcu_read_lock, kfunc_bpf_rcu_read_unlock, kfunc_bpf_preempt_disable, kfunc_bpf_preempt_enable,
  kfunc_bpf_local_irq_save, kfunc_bpf_local_irq_restore,
} from './sections';
import {
  kfunc_bpf_obj_new_impl, kfunc_bpf_obj_drop_impl, kfunc_bpf_refcount_acquire_impl,
  kfunc_bpf_list_push_front_impl, kfunc_bpf_list_push_back_impl, kfunc_bpf_list_pop_front,
  kfunc_bpf_list_pop_back, kfunc_bpf_list_front, kfunc_bpf_list_back, kfunc_bpf_rbtree_add_impl,
  kfunc_bpf_rbtree_remove, kfunc_bpf_rbtree_first,
} from './objects';

/** Calls kernel function `number`; its result, 0 for one without. */
export function call_kfunc(owner: Cpu, number: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const cpu = changetype<usize>(owner);
  switch (number) {
    case 1: return kfunc_bpf_iter_num_new(cpu, r1, r2, r3);
    case 2: return kfunc_bpf_iter_num_next(cpu, r1);
    case 3: return kfunc_bpf_iter_num_destroy(cpu, r1);
    case 4: return kfunc_bpf_iter_bits_new(cpu, r1, r2, r3);
    case 5: return kfunc_bpf_iter_bits_next(cpu, r1);
    case 6: return kfunc_bpf_iter_bits_destroy(cpu, r1);
    case 7: return kfunc_bpf_dynptr_from_skb(cpu, r1, r2, r3);
    case 8: return kfunc_bpf_dynptr_from_xdp(cpu, r1, r2, r3);
    case 9: return kfunc_bpf_dynptr_slice(cpu, r1, r2, r3, r4);
    case 10: return kfunc_bpf_dynptr_slice_rdwr(cpu, r1, r2, r3, r4);
    case 11: return kfunc_bpf_dynptr_adjust(cpu, r1, r2, r3);
    case 12: return kfunc_bpf_dynptr_is_null(cpu, r1);
    case 13: return kfunc_bpf_dynptr_is_rdonly(cpu, r1);
    case 14: return kfunc_bpf_dynptr_size(cpu, r1);
    case 15: return kfunc_bpf_dynptr_clone(cpu, r1, r2);
    case 16: return kfunc_bpf_rcu_read_lock(cpu);
    case 17: return kfunc_bpf_rcu_read_unlock(cpu);
    case 18: return kfunc_bpf_preempt_disable(cpu);
    case 19: return kfunc_bpf_preempt_enable(cpu);
    case 20: return kfunc_bpf_local_irq_save(cpu, r1);
    case 21: return kfunc_bpf_local_irq_restore(cpu, r1);
    case 22: return kfunc_bpf_obj_new_impl(cpu, r1, r2);
    case 23: return kfunc_bpf_obj_drop_impl(cpu, r1, r2);
    case 24: return kfunc_bpf_refcount_acquire_impl(cpu, r1, r2);
    case 25: return kfunc_bpf_list_push_front_impl(cpu, r1, r2, r3, r4);
    case 26: return kfunc_bpf_list_push_back_impl(cpu, r1, r2, r3, r4);
    case 27: return kfunc_bpf_list_pop_front(cpu, r1);
    case 28: return kfunc_bpf_list_pop_back(cpu, r1);
    case 29: return kfunc_bpf_list_front(cpu, r1);
    case 30: return kfunc_bpf_list_back(cpu, r1);
    case 31: return kfunc_bpf_rbtree_add_impl(cpu, r1, r2, r3, r4, r5);
    case 32: return kfunc_bpf_rbtree_remove(cpu, r1, r2);
    case 33: return kfunc_bpf_rbtree_first(cpu, r1);
    case 34: return kfunc_bpf_arena_alloc_pages(cpu, r1, r2, r3, r4, r5);
    case 35: return kfunc_bpf_arena_free_pages(cpu, r1, r2, r3);
    default:
  }
  fault(owner, FAULT_ARGUMENT, 0, number, 0);
  return 0;
}
