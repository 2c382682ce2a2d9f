// The first version of Linux that has something: what a profile (`--kernel-version 5.15`) gates. Helpers carry their
// version in their signatures.

import type { AttachType, MapType, ProgType } from '../../../bpf/types.js';

export const mapTypeSince: Readonly<
  Record<Exclude<keyof typeof MapType, 'Unspec' | 'InsnArray' | 'Rhash'>, string>
> = {
  Hash: '3.19',
  Array: '3.19',
  ProgArray: '4.2',
  PerfEventArray: '4.3',
  PercpuHash: '4.6',
  PercpuArray: '4.6',
  StackTrace: '4.6',
  CgroupArray: '4.8',
  LruHash: '4.10',
  LruPercpuHash: '4.10',
  LpmTrie: '4.11',
  ArrayOfMaps: '4.12',
  HashOfMaps: '4.12',
  Devmap: '4.14',
  Sockmap: '4.14',
  Cpumap: '4.15',
  Xskmap: '4.18',
  Sockhash: '4.18',
  CgroupStorage: '4.19',
  ReuseportSockarray: '4.19',
  PercpuCgroupStorage: '4.20',
  Queue: '4.20',
  Stack: '4.20',
  SkStorage: '5.2',
  DevmapHash: '5.4',
  StructOps: '5.6',
  Ringbuf: '5.8',
  InodeStorage: '5.10',
  TaskStorage: '5.11',
  BloomFilter: '5.16',
  UserRingbuf: '6.1',
  CgrpStorage: '6.2',
  Arena: '6.9',
};

export const progTypeSince: Readonly<Record<Exclude<keyof typeof ProgType, 'Unspec'>, string>> = {
  SocketFilter: '3.19',
  Kprobe: '4.1',
  SchedCls: '4.1',
  SchedAct: '4.1',
  Tracepoint: '4.7',
  Xdp: '4.8',
  PerfEvent: '4.9',
  CgroupSkb: '4.10',
  CgroupSock: '4.10',
  LwtIn: '4.10',
  LwtOut: '4.10',
  LwtXmit: '4.10',
  SockOps: '4.13',
  SkSkb: '4.14',
  CgroupDevice: '4.15',
  SkMsg: '4.17',
  RawTracepoint: '4.17',
  CgroupSockAddr: '4.17',
  LwtSeg6local: '4.18',
  LircMode2: '4.18',
  SkReuseport: '4.19',
  FlowDissector: '4.20',
  CgroupSysctl: '5.2',
  RawTracepointWritable: '5.2',
  CgroupSockopt: '5.3',
  Tracing: '5.5',
  StructOps: '5.6',
  Ext: '5.6',
  Lsm: '5.7',
  SkLookup: '5.9',
  Syscall: '5.14',
  Netfilter: '6.4',
};

/** Attach types that are not here are younger than 6.18. */
export const attachTypeSince: Readonly<Partial<Record<keyof typeof AttachType, string>>> = {
  CgroupInetIngress: '4.10',
  CgroupInetEgress: '4.10',
  CgroupInetSockCreate: '4.10',
  CgroupSockOps: '4.13',
  SkSkbStreamParser: '4.14',
  SkSkbStreamVerdict: '4.14',
  CgroupDevice: '4.15',
  SkMsgVerdict: '4.17',
  CgroupInet4Bind: '4.17',
  CgroupInet6Bind: '4.17',
  CgroupInet4Connect: '4.17',
  CgroupInet6Connect: '4.17',
  CgroupInet4PostBind: '4.17',
  CgroupInet6PostBind: '4.17',
  CgroupUdp4Sendmsg: '4.18',
  CgroupUdp6Sendmsg: '4.18',
  LircMode2: '4.18',
  FlowDissector: '4.20',
  CgroupSysctl: '5.2',
  CgroupUdp4Recvmsg: '5.2',
  CgroupUdp6Recvmsg: '5.2',
  CgroupGetsockopt: '5.3',
  CgroupSetsockopt: '5.3',
  TraceRawTp: '5.5',
  TraceFentry: '5.5',
  TraceFexit: '5.5',
  ModifyReturn: '5.7',
  LsmMac: '5.7',
  TraceIter: '5.8',
  CgroupInet4Getpeername: '5.8',
  CgroupInet6Getpeername: '5.8',
  CgroupInet4Getsockname: '5.8',
  CgroupInet6Getsockname: '5.8',
  XdpDevmap: '5.8',
  CgroupInetSockRelease: '5.9',
  XdpCpumap: '5.9',
  SkLookup: '5.9',
  Xdp: '5.9',
  SkSkbVerdict: '5.13',
  SkReuseportSelect: '5.14',
  SkReuseportSelectOrMigrate: '5.14',
  PerfEvent: '5.15',
  TraceKprobeMulti: '5.18',
  LsmCgroup: '6.0',
  StructOps: '6.4',
  Netfilter: '6.4',
  TcxIngress: '6.6',
  TcxEgress: '6.6',
  TraceUprobeMulti: '6.6',
  CgroupUnixConnect: '6.7',
  CgroupUnixSendmsg: '6.7',
  CgroupUnixRecvmsg: '6.7',
  CgroupUnixGetpeername: '6.7',
  CgroupUnixGetsockname: '6.7',
  NetkitPrimary: '6.7',
  NetkitPeer: '6.7',
  TraceKprobeSession: '6.10',
  TraceUprobeSession: '6.13',
};

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

const kfuncVersions: readonly (readonly [version: string, names: readonly string[]])[] = [
  [
    '5.13',
    words(`
    bbr_cwnd_event bbr_init bbr_main bbr_min_tso_segs bbr_set_state bbr_sndbuf_expand bbr_ssthresh
    bbr_undo_cwnd cubictcp_acked cubictcp_cong_avoid cubictcp_cwnd_event cubictcp_init
    cubictcp_recalc_ssthresh cubictcp_state tcp_cong_avoid_ai tcp_reno_cong_avoid tcp_reno_ssthresh
    tcp_reno_undo_cwnd tcp_slow_start
  `),
  ],
  [
    '5.18',
    words(`
    bpf_ct_release bpf_skb_ct_lookup bpf_xdp_ct_lookup
  `),
  ],
  [
    '5.19',
    words(`
    bpf_dynptr_is_rdonly
  `),
  ],
  [
    '6.0',
    words(`
    bpf_ct_change_status bpf_ct_change_timeout bpf_ct_insert_entry bpf_ct_set_status bpf_ct_set_timeout
    bpf_skb_ct_alloc bpf_xdp_ct_alloc
  `),
  ],
  [
    '6.1',
    words(`
    bpf_ct_set_nat_info bpf_key_put bpf_lookup_system_key bpf_lookup_user_key
  `),
  ],
  [
    '6.2',
    words(`
    bpf_cast_to_kern_ctx bpf_cgroup_acquire bpf_cgroup_ancestor bpf_cgroup_release bpf_list_pop_back
    bpf_list_pop_front bpf_obj_drop_impl bpf_obj_new_impl bpf_rcu_read_lock bpf_rcu_read_unlock
    bpf_rdonly_cast bpf_task_acquire bpf_task_from_pid bpf_task_release
  `),
  ],
  [
    '6.3',
    words(`
    bpf_cpumask_acquire bpf_cpumask_and bpf_cpumask_clear bpf_cpumask_clear_cpu bpf_cpumask_copy
    bpf_cpumask_create bpf_cpumask_empty bpf_cpumask_equal bpf_cpumask_first bpf_cpumask_first_zero
    bpf_cpumask_full bpf_cpumask_intersects bpf_cpumask_or bpf_cpumask_release bpf_cpumask_set_cpu
    bpf_cpumask_setall bpf_cpumask_subset bpf_cpumask_test_and_clear_cpu bpf_cpumask_test_and_set_cpu
    bpf_cpumask_test_cpu bpf_cpumask_xor bpf_rbtree_first bpf_rbtree_remove bpf_xdp_metadata_rx_hash
    bpf_xdp_metadata_rx_timestamp
  `),
  ],
  [
    '6.4',
    words(`
    bpf_cgroup_from_id bpf_dynptr_from_skb bpf_dynptr_from_xdp bpf_dynptr_slice bpf_dynptr_slice_rdwr
    bpf_iter_num_destroy bpf_iter_num_new bpf_iter_num_next bpf_list_push_back_impl bpf_list_push_front_impl
    bpf_rbtree_add_impl bpf_refcount_acquire_impl
  `),
  ],
  [
    '6.5',
    words(`
    bpf_cpumask_any_and_distribute bpf_cpumask_any_distribute bpf_cpumask_first_and bpf_dynptr_adjust
    bpf_dynptr_clone bpf_dynptr_is_null bpf_dynptr_size bpf_sock_destroy bpf_task_under_cgroup
  `),
  ],
  [
    '6.6',
    words(`
    bpf_map_sum_elem_count
  `),
  ],
  [
    '6.7',
    words(`
    bpf_iter_css_destroy bpf_iter_css_new bpf_iter_css_next bpf_iter_css_task_destroy bpf_iter_css_task_new
    bpf_iter_css_task_next bpf_iter_task_destroy bpf_iter_task_new bpf_iter_task_next
    bpf_iter_task_vma_destroy bpf_iter_task_vma_new bpf_iter_task_vma_next bpf_percpu_obj_drop_impl
    bpf_percpu_obj_new_impl bpf_sock_addr_set_sun_path bpf_throw
  `),
  ],
  [
    '6.8',
    words(`
    bpf_cpumask_weight bpf_get_file_xattr bpf_task_get_cgroup1 bpf_xdp_get_xfrm_state
    bpf_xdp_metadata_rx_vlan_tag bpf_xdp_xfrm_state_release
  `),
  ],
  [
    '6.9',
    words(`
    bpf_arena_alloc_pages bpf_arena_free_pages
  `),
  ],
  [
    '6.10',
    words(`
    bpf_crypto_ctx_acquire bpf_crypto_ctx_create bpf_crypto_ctx_release bpf_crypto_decrypt
    bpf_crypto_encrypt bpf_preempt_disable bpf_preempt_enable bpf_session_cookie bpf_session_is_return
    bpf_wq_init bpf_wq_set_callback_impl bpf_wq_start
  `),
  ],
  [
    '6.11',
    words(`
    bpf_iter_bits_destroy bpf_iter_bits_new bpf_iter_bits_next bpf_sk_assign_tcp_reqsk
  `),
  ],
  [
    '6.12',
    words(`
    bpf_copy_from_user_str bpf_get_dentry_xattr bpf_get_task_exe_file bpf_path_d_path bpf_put_file
  `),
  ],
  [
    '6.13',
    words(`
    bpf_get_kmem_cache bpf_iter_kmem_cache_destroy bpf_iter_kmem_cache_new bpf_iter_kmem_cache_next
    bpf_send_signal_task bpf_task_from_vpid
  `),
  ],
  [
    '6.14',
    words(`
    bpf_local_irq_restore bpf_local_irq_save
  `),
  ],
  [
    '6.15',
    words(`
    bpf_copy_from_user_task_str bpf_cpumask_populate bpf_dynptr_copy bpf_remove_dentry_xattr
    bpf_res_spin_lock bpf_res_spin_lock_irqsave bpf_res_spin_unlock bpf_res_spin_unlock_irqrestore
    bpf_set_dentry_xattr bpf_sock_ops_enable_tx_tstamp
  `),
  ],
  [
    '6.16',
    words(`
    __bpf_trap bpf_copy_from_user_dynptr bpf_copy_from_user_str_dynptr bpf_copy_from_user_task_dynptr
    bpf_copy_from_user_task_str_dynptr bpf_iter_dmabuf_destroy bpf_iter_dmabuf_new bpf_iter_dmabuf_next
    bpf_list_back bpf_list_front bpf_probe_read_kernel_dynptr bpf_probe_read_kernel_str_dynptr
    bpf_probe_read_user_dynptr bpf_probe_read_user_str_dynptr bpf_rbtree_left bpf_rbtree_right
    bpf_rbtree_root css_rstat_flush css_rstat_updated
  `),
  ],
  [
    '6.17',
    words(`
    bpf_arena_reserve_pages bpf_cgroup_read_xattr bpf_dynptr_memset bpf_strchr bpf_strchrnul bpf_strcmp
    bpf_strcspn bpf_stream_vprintk_impl bpf_strlen bpf_strnlen bpf_strnchr bpf_strnstr bpf_strrchr bpf_strspn bpf_strstr
  `),
  ],
  [
    '6.18',
    words(`
    bpf_dynptr_from_skb_meta bpf_strcasecmp bpf_task_work_schedule_resume_impl
    bpf_task_work_schedule_signal_impl bpf_xdp_pull_data
  `),
  ],
];

/** By name; kfuncs that only test Linux itself are not in it. */
export const kfuncSince: ReadonlyMap<string, string> = new Map(
  kfuncVersions.flatMap(([version, names]) => names.map((name) => [name, version] as const)),
);

/** What the verifier and the instruction set can do. */
export const featureSince = {
  /** Calls between functions of a program (BPF_PSEUDO_CALL). */
  subprograms: '4.16',
  /** JMP32. */
  jump32: '5.1',
  spinLocks: '5.1',
  /** Addresses of values of array maps as constants (BPF_PSEUDO_MAP_VALUE): global variables. */
  globalData: '5.2',
  /** A million instructions, verified or loaded, with CAP_BPF; see limits. */
  millionInstructions: '5.2',
  boundedLoops: '5.3',
  /** Programs that are typed by the BTF of what they are attached to. */
  tracingBtf: '5.5',
  /** Functions that are verified alone, by their BTF. */
  globalFunctions: '5.6',
  /** Tail calls in programs with subprograms (x86-64). */
  tailCallsInSubprograms: '5.10',
  sleepable: '5.10',
  kernelVariables: '5.10',
  /** Fetching atomics, exchange, compare and exchange; and, or, xor. */
  atomics: '5.12',
  kfuncs: '5.13',
  callbacks: '5.13',
  timers: '5.15',
  dynptrs: '5.19',
  kptrs: '5.19',
  rcuReadLock: '6.2',
  linkedLists: '6.2',
  redBlackTrees: '6.3',
  /** Iterators in programs (bpf_iter_num_new …). */
  openIterators: '6.4',
  /** Sign-extending loads and moves, signed division, unconditional swaps, long jumps (-mcpu=v4). */
  instructionsV4: '6.6',
  exceptions: '6.7',
  mayGoto: '6.9',
  arenas: '6.9',
  /** Nested sections without preemption. */
  preemptDisable: '6.10',
  workqueues: '6.10',
  /** Spills around calls that keep registers are dropped. */
  fastcalls: '6.12',
  privateStacks: '6.13',
  irqSave: '6.14',
  /** Load-acquire and store-release. */
  loadAcquire: '6.15',
  resilientLocks: '6.15',
  /** Tags of programs are SHA-256, no longer SHA-1. */
  tagSha256: '6.18',
} as const satisfies Readonly<Record<string, string>>;
export type Feature = keyof typeof featureSince;

/** Instructions that a program may have, and that the verifier looks at along all paths, from a version on. */
export const limits: readonly { since: string; instructions: number; verified: number }[] = [
  { since: '3.18', instructions: 4096, verified: 32768 },
  { since: '4.7', instructions: 4096, verified: 65536 },
  { since: '4.12', instructions: 4096, verified: 98304 },
  { since: '4.14', instructions: 4096, verified: 131072 },
  { since: '5.2', instructions: 1000000, verified: 1000000 },
];

/** A version as a number that compares: `6.18.3` and `6.18` are the same. Throws for what is no version. */
export function versionNumber(version: string): number {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined)
    throw new RangeError(`${JSON.stringify(version)} is no version of Linux`);
  return Number(major) * 1000 + Number(minor);
}

/** Whether a kernel of `version` has what came with `since`. */
export const hasSince = (version: string, since: string): boolean =>
  versionNumber(version) >= versionNumber(since);
