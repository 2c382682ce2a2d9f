// What the verifier knows of single kernel structures beyond their BTF: fields whose pointers stay good, fields that
// programs may write, and structures that a map value may own.

/** How a pointer may be used that was loaded from a field. */
export type SafeField =
  /** As the pointer that it was loaded from: trusted, not NULL. */
  | 'trusted'
  | 'trusted-or-null'
  /** Good until the RCU read section ends. */
  | 'rcu'
  | 'rcu-or-null';

/**
 * Fields that are safe where the pointer to the structure is trusted (or RCU-protected, for `rcu`). The name counts, also
 * for a field of that name in a structure that is part of it. Any other pointer that is loaded is neither trusted nor
 * untrusted: it can be read through, but not handed to kfuncs.
 */
export const safeFields: Readonly<Record<string, Readonly<Record<string, SafeField>>>> = {
  task_struct: { cpus_ptr: 'rcu', cgroups: 'rcu', real_parent: 'rcu', group_leader: 'rcu' },
  cgroup: { kn: 'rcu' },
  css_set: { dfl_cgrp: 'rcu' },
  mm_struct: { exe_file: 'rcu-or-null' },
  sk_buff: { sk: 'rcu-or-null' },
  request_sock: { sk: 'rcu-or-null' },
  bpf_iter_meta: { seq: 'trusted' },
  bpf_iter__task: { meta: 'trusted', task: 'trusted' },
  linux_binprm: { file: 'trusted' },
  file: { f_inode: 'trusted' },
  dentry: { d_inode: 'trusted-or-null' },
  socket: { sk: 'trusted-or-null' },
};

/** A field of a kernel structure that programs may write through a BTF pointer. */
export interface WritableField {
  readonly struct: string;
  readonly field: string;
  /** A store may begin anywhere inside; otherwise at the field's first byte. It must end inside in any case. */
  readonly anywhere?: true;
}

const sock = (field: string): WritableField => ({ struct: 'sock', field });
const connection = (field: string): WritableField => ({ struct: 'inet_connection_sock', field });
const tcp = (field: string): WritableField => ({ struct: 'tcp_sock', field });

/** By struct_ops structure (btf_struct_access); a `struct sock *` argument of a congestion control is a tcp_sock. */
export const structOpsWrites: Readonly<
  Record<string, readonly WritableField[] | { readonly whole: string }>
> = {
  tcp_congestion_ops: [
    sock('sk_pacing_rate'),
    sock('sk_pacing_status'),
    { ...connection('icsk_ca_priv'), anywhere: true },
    connection('icsk_ack.pending'),
    tcp('snd_cwnd'),
    tcp('snd_cwnd_cnt'),
    tcp('snd_cwnd_stamp'),
    tcp('snd_ssthresh'),
    tcp('ecn_flags'),
    tcp('app_limited'),
  ],
  bpf_dummy_ops: { whole: 'bpf_dummy_ops_state' },
};

/** Of XDP programs and classifiers: connections of conntrack. */
export const packetWrites: readonly WritableField[] = [{ struct: 'nf_conn', field: 'mark' }];

/** Structures that a referenced kptr may point to, and the kfunc that gives one back when the map goes. */
export const kptrDestructors: Readonly<Record<string, string>> = {
  task_struct: 'bpf_task_release',
  cgroup: 'bpf_cgroup_release',
  bpf_cpumask: 'bpf_cpumask_release',
  bpf_crypto_ctx: 'bpf_crypto_ctx_release',
  prog_test_ref_kfunc: 'bpf_kfunc_call_test_release',
  prog_test_member: 'bpf_kfunc_call_memb_release',
};

/** Their kptrs may be loaded inside an RCU read section without taking a reference. */
export const rcuProtected: readonly string[] = [
  'prog_test_ref_kfunc',
  'cgroup',
  'bpf_cpumask',
  'task_struct',
  'bpf_crypto_ctx',
];
