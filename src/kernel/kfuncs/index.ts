// The kernel functions that the emulated kernel has, one table. Their bodies are in runtime/kfuncs; what programs may pass
// and what they get is what the verifier reads in the kernel's types and in its own table.

export interface KfuncDefinition {
  readonly name: string;
  /** Of the runtime's dispatch (runtime/kfuncs/dispatch.ts). */
  readonly number: number;
  /** The runtime exports `kfunc_<name>(cpu, r1..)` with so many registers. */
  readonly args: number;
  /** Registers that the kernel fills in: the type of an object, and where a node lies in its object. */
  readonly typeAt?: 1 | 2 | 3 | 4;
  readonly offsetAt?: 4 | 5;
  /** It calls a function of the program. */
  readonly callsBack?: true;
}

type Row = readonly [name: string, args: number, more?: Omit<KfuncDefinition, 'name' | 'number' | 'args'>];

/** In the order of their numbers, which begin with 1. */
const rows: readonly Row[] = [
  ['bpf_iter_num_new', 3],
  ['bpf_iter_num_next', 1],
  ['bpf_iter_num_destroy', 1],
  ['bpf_iter_bits_new', 3],
  ['bpf_iter_bits_next', 1],
  ['bpf_iter_bits_destroy', 1],
  ['bpf_dynptr_from_skb', 3],
  ['bpf_dynptr_from_xdp', 3],
  ['bpf_dynptr_slice', 4],
  ['bpf_dynptr_slice_rdwr', 4],
  ['bpf_dynptr_adjust', 3],
  ['bpf_dynptr_is_null', 1],
  ['bpf_dynptr_is_rdonly', 1],
  ['bpf_dynptr_size', 1],
  ['bpf_dynptr_clone', 2],
  ['bpf_rcu_read_lock', 0],
  ['bpf_rcu_read_unlock', 0],
  ['bpf_preempt_disable', 0],
  ['bpf_preempt_enable', 0],
  ['bpf_local_irq_save', 1],
  ['bpf_local_irq_restore', 1],
  ['bpf_obj_new_impl', 2, { typeAt: 1 }],
  ['bpf_obj_drop_impl', 2, { typeAt: 2 }],
  ['bpf_refcount_acquire_impl', 2, { typeAt: 2 }],
  ['bpf_list_push_front_impl', 4, { typeAt: 3, offsetAt: 4 }],
  ['bpf_list_push_back_impl', 4, { typeAt: 3, offsetAt: 4 }],
  ['bpf_list_pop_front', 1],
  ['bpf_list_pop_back', 1],
  ['bpf_list_front', 1],
  ['bpf_list_back', 1],
  ['bpf_rbtree_add_impl', 5, { typeAt: 4, offsetAt: 5, callsBack: true }],
  ['bpf_rbtree_remove', 2],
  ['bpf_rbtree_first', 1],
  ['bpf_arena_alloc_pages', 5],
  ['bpf_arena_free_pages', 3],
];

export const kfuncs: readonly KfuncDefinition[] = rows.map(([name, args, more], i) => ({
  name,
  args,
  number: i + 1,
  ...more,
}));

const byName = new Map(kfuncs.map((row) => [row.name, row]));

/** The kernel function of this name; undefined when the emulated kernel does not have it. */
export const kfuncByName = (name: string): KfuncDefinition | undefined => byName.get(name);
