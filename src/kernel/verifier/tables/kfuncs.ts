// Kernel functions that programs may call: flags and hooks (BTF_ID_FLAGS, register_btf_kfunc_id_set of Linux 6.18).
// Prototypes come from BTF, where each is a FUNC with the declaration tag `bpf_kfunc`.

import { AttachType, ProgType } from '../../../bpf/types.js';
import type { Kfunc, KfuncFilter, KfuncFlags, KfuncHook } from './types.js';

/** What the flags do not say. */
const more: Readonly<Record<string, Pick<Kfunc, 'callback' | 'changesPacket'>>> = {
  bpf_rbtree_add_impl: { callback: 'now' },
  bpf_wq_set_callback_impl: { callback: 'later' },
  bpf_task_work_schedule_signal_impl: { callback: 'later' },
  bpf_task_work_schedule_resume_impl: { callback: 'later' },
  bpf_xdp_pull_data: { changesPacket: true },
};

/** `retNull iterator:next` as flags. */
const flagsOf = (text: string): KfuncFlags =>
  Object.fromEntries(
    text.split(' ').flatMap((word) => {
      const [flag = '', part] = word.split(':');
      return flag === '' ? [] : [[flag, part ?? true]];
    }),
  );

/** Rows of kfuncs that are registered together; flags are separated by blanks. */
const set = (
  hooks: readonly KfuncHook[],
  rows: Readonly<Record<string, string>>,
  filter?: KfuncFilter,
): Kfunc[] =>
  Object.entries(rows).map(([name, flags]) => ({
    name,
    flags: flagsOf(flags),
    hooks,
    ...(filter ? { filter } : {}),
    ...more[name],
  }));

/** All that a common build of Linux 6.18 has, by name. */
export const kfuncs: readonly Kfunc[] = [
  ...set(['common'], {
    __bpf_trap: '',
    bpf_arena_alloc_pages: 'retNull trustedArgs sleepable arenaReturn arenaArg2',
    bpf_arena_free_pages: 'trustedArgs sleepable arenaArg2',
    bpf_arena_reserve_pages: 'trustedArgs sleepable arenaArg2',
    bpf_cast_to_kern_ctx: 'fastcall',
    bpf_cgroup_read_xattr: 'rcu',
    bpf_copy_from_user_dynptr: 'sleepable',
    bpf_copy_from_user_str: 'sleepable',
    bpf_copy_from_user_str_dynptr: 'sleepable',
    bpf_copy_from_user_task_dynptr: 'trustedArgs sleepable',
    bpf_copy_from_user_task_str: 'sleepable',
    bpf_copy_from_user_task_str_dynptr: 'trustedArgs sleepable',
    bpf_dynptr_adjust: '',
    bpf_dynptr_clone: '',
    bpf_dynptr_copy: '',
    bpf_dynptr_is_null: '',
    bpf_dynptr_is_rdonly: '',
    bpf_dynptr_memset: '',
    bpf_dynptr_size: '',
    bpf_dynptr_slice: 'retNull',
    bpf_dynptr_slice_rdwr: 'retNull',
    bpf_get_kmem_cache: '',
    bpf_iter_bits_destroy: 'iterator:destroy',
    bpf_iter_bits_new: 'iterator:new',
    bpf_iter_bits_next: 'retNull iterator:next',
    bpf_iter_css_destroy: 'iterator:destroy',
    bpf_iter_css_new: 'trustedArgs rcuProtected iterator:new',
    bpf_iter_css_next: 'retNull iterator:next',
    bpf_iter_css_task_destroy: 'iterator:destroy',
    bpf_iter_css_task_new: 'trustedArgs iterator:new',
    bpf_iter_css_task_next: 'retNull iterator:next',
    bpf_iter_dmabuf_destroy: 'sleepable iterator:destroy',
    bpf_iter_dmabuf_new: 'sleepable iterator:new',
    bpf_iter_dmabuf_next: 'retNull sleepable iterator:next',
    bpf_iter_kmem_cache_destroy: 'sleepable iterator:destroy',
    bpf_iter_kmem_cache_new: 'sleepable iterator:new',
    bpf_iter_kmem_cache_next: 'retNull sleepable iterator:next',
    bpf_iter_num_destroy: 'iterator:destroy',
    bpf_iter_num_new: 'iterator:new',
    bpf_iter_num_next: 'retNull iterator:next',
    bpf_iter_task_destroy: 'iterator:destroy',
    bpf_iter_task_new: 'trustedArgs rcuProtected iterator:new',
    bpf_iter_task_next: 'retNull iterator:next',
    bpf_iter_task_vma_destroy: 'iterator:destroy',
    bpf_iter_task_vma_new: 'rcu iterator:new',
    bpf_iter_task_vma_next: 'retNull iterator:next',
    bpf_local_irq_restore: '',
    bpf_local_irq_save: '',
    bpf_map_sum_elem_count: 'trustedArgs',
    bpf_preempt_disable: '',
    bpf_preempt_enable: '',
    bpf_probe_read_kernel_dynptr: '',
    bpf_probe_read_kernel_str_dynptr: '',
    bpf_probe_read_user_dynptr: '',
    bpf_probe_read_user_str_dynptr: '',
    bpf_rcu_read_lock: '',
    bpf_rcu_read_unlock: '',
    bpf_rdonly_cast: 'fastcall',
    bpf_res_spin_lock: 'retNull',
    bpf_res_spin_lock_irqsave: 'retNull',
    bpf_res_spin_unlock: '',
    bpf_res_spin_unlock_irqrestore: '',
    bpf_strcasecmp: '',
    bpf_strchr: '',
    bpf_strchrnul: '',
    bpf_strcmp: '',
    bpf_strcspn: '',
    bpf_stream_vprintk_impl: 'trustedArgs',
    bpf_strlen: '',
    bpf_strnchr: '',
    bpf_strnlen: '',
    bpf_strnstr: '',
    bpf_strrchr: '',
    bpf_strspn: '',
    bpf_strstr: '',
    bpf_task_work_schedule_resume_impl: 'trustedArgs',
    bpf_task_work_schedule_signal_impl: 'trustedArgs',
    bpf_wq_init: '',
    bpf_wq_set_callback_impl: '',
    bpf_wq_start: '',
  }),
  ...set(['struct-ops'], {
    bbr_cwnd_event: '',
    bbr_init: '',
    bbr_main: '',
    bbr_min_tso_segs: '',
    bbr_set_state: '',
    bbr_sndbuf_expand: '',
    bbr_ssthresh: '',
    bbr_undo_cwnd: '',
    cubictcp_acked: '',
    cubictcp_cong_avoid: '',
    cubictcp_cwnd_event: '',
    cubictcp_init: '',
    cubictcp_recalc_ssthresh: '',
    cubictcp_state: '',
    tcp_cong_avoid_ai: '',
    tcp_reno_cong_avoid: '',
    tcp_reno_ssthresh: '',
    tcp_reno_undo_cwnd: '',
    tcp_slow_start: '',
  }),
  ...set(['xdp', 'tc', 'struct-ops', 'tracing', 'syscall', 'cgroup'], {
    bpf_cgroup_acquire: 'acquire retNull rcu',
    bpf_cgroup_ancestor: 'acquire retNull rcu',
    bpf_cgroup_from_id: 'acquire retNull',
    bpf_cgroup_release: 'release',
    bpf_key_put: 'release',
    bpf_list_back: 'retNull',
    bpf_list_front: 'retNull',
    bpf_list_pop_back: 'acquire retNull',
    bpf_list_pop_front: 'acquire retNull',
    bpf_list_push_back_impl: '',
    bpf_list_push_front_impl: '',
    bpf_lookup_system_key: 'acquire retNull',
    bpf_lookup_user_key: 'acquire retNull sleepable',
    bpf_obj_drop_impl: 'release',
    bpf_obj_new_impl: 'acquire retNull',
    bpf_percpu_obj_drop_impl: 'release',
    bpf_percpu_obj_new_impl: 'acquire retNull',
    bpf_rbtree_add_impl: '',
    bpf_rbtree_first: 'retNull',
    bpf_rbtree_left: 'retNull',
    bpf_rbtree_remove: 'acquire retNull',
    bpf_rbtree_right: 'retNull',
    bpf_rbtree_root: 'retNull',
    bpf_refcount_acquire_impl: 'acquire retNull rcu',
    bpf_send_signal_task: 'trustedArgs',
    bpf_task_acquire: 'acquire retNull rcu',
    bpf_task_from_pid: 'acquire retNull',
    bpf_task_from_vpid: 'acquire retNull',
    bpf_task_get_cgroup1: 'acquire retNull rcu',
    bpf_task_release: 'release',
    bpf_task_under_cgroup: 'rcu',
    bpf_throw: '',
  }),
  ...set(['struct-ops', 'tracing', 'syscall'], {
    bpf_cpumask_acquire: 'acquire trustedArgs',
    bpf_cpumask_and: 'rcu',
    bpf_cpumask_any_and_distribute: 'rcu',
    bpf_cpumask_any_distribute: 'rcu',
    bpf_cpumask_clear: 'rcu',
    bpf_cpumask_clear_cpu: 'rcu',
    bpf_cpumask_copy: 'rcu',
    bpf_cpumask_create: 'acquire retNull',
    bpf_cpumask_empty: 'rcu',
    bpf_cpumask_equal: 'rcu',
    bpf_cpumask_first: 'rcu',
    bpf_cpumask_first_and: 'rcu',
    bpf_cpumask_first_zero: 'rcu',
    bpf_cpumask_full: 'rcu',
    bpf_cpumask_intersects: 'rcu',
    bpf_cpumask_or: 'rcu',
    bpf_cpumask_populate: 'rcu',
    bpf_cpumask_release: 'release',
    bpf_cpumask_set_cpu: 'rcu',
    bpf_cpumask_setall: 'rcu',
    bpf_cpumask_subset: 'rcu',
    bpf_cpumask_test_and_clear_cpu: 'rcu',
    bpf_cpumask_test_and_set_cpu: 'rcu',
    bpf_cpumask_test_cpu: 'rcu',
    bpf_cpumask_weight: 'rcu',
    bpf_cpumask_xor: 'rcu',
  }),
  ...set(['syscall'], {
    bpf_crypto_ctx_acquire: 'acquire retNull rcu',
    bpf_crypto_ctx_create: 'acquire retNull sleepable',
    bpf_crypto_ctx_release: 'release',
  }),
  ...set(['xdp', 'tc', 'sched-act'], {
    bpf_crypto_decrypt: 'rcu',
    bpf_crypto_encrypt: 'rcu',
  }),
  ...set(['xdp', 'tc'], {
    bpf_ct_change_status: 'trustedArgs',
    bpf_ct_change_timeout: 'trustedArgs',
    bpf_ct_insert_entry: 'acquire release retNull',
    bpf_ct_release: 'release',
    bpf_ct_set_nat_info: 'trustedArgs',
    bpf_ct_set_status: 'trustedArgs',
    bpf_ct_set_timeout: 'trustedArgs',
    bpf_skb_ct_alloc: 'acquire retNull',
    bpf_skb_ct_lookup: 'acquire retNull',
    bpf_xdp_ct_alloc: 'acquire retNull',
    bpf_xdp_ct_lookup: 'acquire retNull',
  }),
  ...set(['tc', 'tracing', 'cgroup', 'sched-act', 'sk-skb', 'socket-filter', 'lwt', 'netfilter'], {
    bpf_dynptr_from_skb: 'trustedArgs',
  }),
  ...set(['tc', 'sched-act'], {
    bpf_dynptr_from_skb_meta: 'trustedArgs',
  }),
  ...set(['xdp'], {
    bpf_dynptr_from_xdp: '',
    bpf_xdp_get_xfrm_state: 'acquire retNull',
    bpf_xdp_pull_data: '',
    bpf_xdp_xfrm_state_release: 'release',
  }),
  ...set(['fmod-ret'], {
    bpf_fentry_test1: 'sleepable',
    bpf_modify_return_test: '',
    bpf_modify_return_test2: '',
  }),
  ...set(
    ['tracing'],
    {
      bpf_get_dentry_xattr: 'trustedArgs sleepable',
      bpf_get_file_xattr: 'trustedArgs sleepable',
      bpf_get_task_exe_file: 'acquire retNull trustedArgs',
      bpf_path_d_path: 'trustedArgs',
      bpf_put_file: 'release',
      bpf_remove_dentry_xattr: 'trustedArgs sleepable',
      bpf_set_dentry_xattr: 'trustedArgs sleepable',
    },
    'lsm',
  ),
  ...set(['tc', 'tracing', 'syscall'], {
    bpf_kfunc_call_memb_release: 'release',
    bpf_kfunc_call_test_release: 'release',
  }),
  ...set(['common', 'fmod-ret'], {
    bpf_modify_return_test_tp: '',
  }),
  ...set(
    ['kprobe'],
    {
      bpf_session_cookie: '',
      bpf_session_is_return: '',
    },
    'session',
  ),
  ...set(['tc'], {
    bpf_sk_assign_tcp_reqsk: 'trustedArgs',
  }),
  ...set(['cgroup'], {
    bpf_sock_addr_set_sun_path: '',
    bpf_sock_ops_enable_tx_tstamp: 'trustedArgs',
  }),
  ...set(
    ['tracing'],
    {
      bpf_sock_destroy: 'trustedArgs',
    },
    'iterator',
  ),
  ...set(
    ['xdp'],
    {
      bpf_xdp_metadata_rx_hash: '',
      bpf_xdp_metadata_rx_timestamp: '',
      bpf_xdp_metadata_rx_vlan_tag: '',
    },
    'device-bound',
  ),
  ...set(['tracing'], {
    css_rstat_flush: 'sleepable',
    css_rstat_updated: '',
  }),
];

const byName = new Map(kfuncs.map((row) => [row.name, row]));
/** The row of a kfunc; undefined for a name that is none. */
export const kfunc = (name: string): Kfunc | undefined => byName.get(name);

/** The hook of a program type; types that are not here may only call what is common. */
export const kfuncHooks: ReadonlyMap<ProgType, KfuncHook> = new Map<ProgType, KfuncHook>([
  [ProgType.Xdp, 'xdp'],
  [ProgType.SchedCls, 'tc'],
  [ProgType.StructOps, 'struct-ops'],
  [ProgType.Tracing, 'tracing'],
  [ProgType.Tracepoint, 'tracing'],
  [ProgType.PerfEvent, 'tracing'],
  [ProgType.Lsm, 'tracing'],
  [ProgType.Syscall, 'syscall'],
  [ProgType.CgroupSkb, 'cgroup'],
  [ProgType.CgroupSock, 'cgroup'],
  [ProgType.CgroupDevice, 'cgroup'],
  [ProgType.CgroupSockAddr, 'cgroup'],
  [ProgType.CgroupSockopt, 'cgroup'],
  [ProgType.CgroupSysctl, 'cgroup'],
  [ProgType.SockOps, 'cgroup'],
  [ProgType.SchedAct, 'sched-act'],
  [ProgType.SkSkb, 'sk-skb'],
  [ProgType.SocketFilter, 'socket-filter'],
  [ProgType.LwtIn, 'lwt'],
  [ProgType.LwtOut, 'lwt'],
  [ProgType.LwtXmit, 'lwt'],
  [ProgType.LwtSeg6local, 'lwt'],
  [ProgType.Netfilter, 'netfilter'],
  [ProgType.Kprobe, 'kprobe'],
]);

const { TraceIter, TraceKprobeSession, TraceUprobeSession, ModifyReturn } = AttachType;

/** Whether a program may call a kfunc; otherwise `calling kernel function … is not allowed`. */
export function mayCallKfunc(row: Kfunc, type: ProgType, attach: AttachType): boolean {
  const hook = kfuncHooks.get(type);
  const registered =
    row.hooks.includes('common') ||
    (hook !== undefined && row.hooks.includes(hook)) ||
    (row.hooks.includes('fmod-ret') && type === ProgType.Tracing && attach === ModifyReturn);
  if (!registered) return false;
  switch (row.filter) {
    case 'lsm':
      return type === ProgType.Lsm;
    case 'iterator':
      return type === ProgType.Tracing && attach === TraceIter;
    case 'session':
      return attach === TraceKprobeSession || attach === TraceUprobeSession;
    default:
      // Whether a program is bound to a device is asked first, and said in other words.
      return true;
  }
}
