// Iterator programs (BPF_TRACE_ITER): the context of each (bpf_iter_reg). Slot 0 is always `struct bpf_iter_meta *`,
// trusted; what is not here is a number, in the size of the member of `struct bpf_iter__…`.

import type { ContextPointer } from './types.js';

export interface IteratorRules {
  /** The kernel function that a program names, without `bpf_iter_`. */
  readonly name: string;
  /** Slots after the first: pointers by position; undefined is a number. */
  readonly slots: readonly (ContextPointer | undefined)[];
}

const orNull = (btf: string): ContextPointer => ({ kind: 'btf-id', btf, nullable: true });
const trustedOrNull = (btf: string): ContextPointer => ({ ...orNull(btf), trusted: true });
const trusted = (btf: string): ContextPointer => ({ kind: 'btf-id', btf, trusted: true });
/** A key, which can only be read, and a value. */
const key: ContextPointer = { kind: 'buffer', readOnly: true, nullable: true };
const value: ContextPointer = { kind: 'buffer', nullable: true };

/** What every iterator has in its first slot. */
export const iteratorMeta: ContextPointer = trusted('bpf_iter_meta');

/** By name. */
export const iterators: readonly IteratorRules[] = [
  { name: 'bpf_link', slots: [orNull('bpf_link')] },
  { name: 'bpf_map', slots: [trustedOrNull('bpf_map')] },
  { name: 'bpf_map_elem', slots: [trusted('bpf_map'), key, value] },
  { name: 'bpf_prog', slots: [orNull('bpf_prog')] },
  { name: 'bpf_sk_storage_map', slots: [trusted('bpf_map'), orNull('sock'), value] },
  { name: 'cgroup', slots: [trustedOrNull('cgroup')] },
  { name: 'dmabuf', slots: [orNull('dma_buf')] },
  { name: 'ipv6_route', slots: [orNull('fib6_info')] },
  { name: 'kmem_cache', slots: [trustedOrNull('kmem_cache')] },
  { name: 'ksym', slots: [orNull('kallsym_iter')] },
  { name: 'netlink', slots: [orNull('netlink_sock')] },
  { name: 'sockmap', slots: [trusted('bpf_map'), key, orNull('sock')] },
  { name: 'task', slots: [trustedOrNull('task_struct')] },
  { name: 'task_file', slots: [orNull('task_struct'), undefined, orNull('file')] },
  { name: 'task_vma', slots: [orNull('task_struct'), orNull('vm_area_struct')] },
  { name: 'tcp', slots: [trustedOrNull('sock_common'), undefined] },
  { name: 'udp', slots: [trustedOrNull('udp_sock'), undefined, undefined] },
  { name: 'unix', slots: [orNull('unix_sock'), undefined] },
];

const byName = new Map(iterators.map((row) => [row.name, row]));
/** The rules of an iterator, by the function that a program names (`bpf_iter_task`); undefined when it is none. */
export const iteratorRules = (target: string): IteratorRules | undefined =>
  byName.get(target.replace(/^bpf_iter_/, ''));
