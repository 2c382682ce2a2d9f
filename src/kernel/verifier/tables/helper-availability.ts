// Which program may call which helper in Linux 6.18 (the get_func_proto of each program type). A program type has
// groups of helpers; `base` is there for all of them but LIRC and some struct_ops.
// scripts/helper-availability.mjs records what a running kernel says of the same.

import { helperNames } from '../../../bpf/helpers.js';
import { AttachType, ProgType } from '../../../bpf/types.js';

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

/** Helpers that belong together, by name. */
export const helperGroups = {
  /** bpf_base_func_proto. */
  base: words(`
    map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem map_peek_elem
    map_lookup_percpu_elem get_prandom_u32 get_smp_processor_id get_numa_node_id tail_call ktime_get_ns
    ktime_get_boot_ns ktime_get_tai_ns ringbuf_output ringbuf_reserve ringbuf_submit ringbuf_discard
    ringbuf_query strncmp strtol strtoul get_current_pid_tgid get_ns_current_pid_tgid get_current_uid_gid`),
  /** The part of it that needs CAP_BPF. */
  baseBpf: words(`
    spin_lock spin_unlock jiffies64 per_cpu_ptr this_cpu_ptr timer_init timer_set_callback timer_start
    timer_cancel kptr_xchg for_each_map_elem loop user_ringbuf_drain ringbuf_reserve_dynptr
    ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_from_mem dynptr_read dynptr_write dynptr_data
    cgrp_storage_get cgrp_storage_delete get_current_cgroup_id get_current_ancestor_cgroup_id
    current_task_under_cgroup get_cgroup_classid task_storage_get task_storage_delete`),
  /** The part of it that needs CAP_PERFMON. */
  basePerfmon: words(`
    trace_printk trace_vprintk get_current_task get_current_task_btf get_current_comm probe_read_user
    probe_read_kernel probe_read_user_str probe_read_kernel_str snprintf snprintf_btf task_pt_regs
    perf_event_read perf_event_read_value send_signal send_signal_thread get_task_stack get_branch_snapshot
    find_vma copy_from_user copy_from_user_task`),
  /** What network programs have beside it (bpf_sk_base_func_proto); all but the clock need CAP_PERFMON. */
  casts: words(`
    skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock
    skc_to_unix_sock skc_to_mptcp_sock`),
  coarseClock: ['ktime_get_coarse_ns'],
  output: ['perf_event_output'],
  tracing: words(`probe_read probe_read_str get_func_ip probe_write_user`),
  stacks: words(`get_stackid get_stack`),
  attachCookie: ['get_attach_cookie'],
  perfEvent: words(`perf_prog_read_value read_branch_records`),
  kprobe: ['override_return'],
  /** Of programs that are attached to functions of the kernel (tracing_prog_func_proto). */
  btfTracing: words(`
    skb_output xdp_output sk_storage_get sk_storage_delete sock_from_file get_socket_cookie
    xdp_get_buff_len d_path`),
  sequence: words(`seq_printf seq_write seq_printf_btf`),
  trampoline: words(`get_func_arg get_func_ret get_func_arg_cnt`),
  lsm: words(`inode_storage_get inode_storage_delete bprm_opts_set ima_inode_hash ima_file_hash`),
  syscall: words(`sys_bpf btf_find_by_name_kind sys_close kallsyms_lookup_name`),
  lirc: words(`
    rc_repeat rc_keydown rc_pointer_rel map_lookup_elem map_update_elem map_delete_elem map_push_elem
    map_pop_elem map_peek_elem ktime_get_ns ktime_get_boot_ns tail_call get_prandom_u32 trace_printk`),

  loadBytes: ['skb_load_bytes'],
  loadRelative: ['skb_load_bytes_relative'],
  socketOfPacket: words(`get_socket_cookie get_socket_uid`),
  cookie: ['get_socket_cookie'],
  netns: ['get_netns_cookie'],
  lwt: words(`
    skb_load_bytes skb_pull_data csum_diff get_route_realm get_hash_recalc skb_under_cgroup`),
  lwtXmit: words(`
    skb_get_tunnel_key skb_set_tunnel_key skb_get_tunnel_opt skb_set_tunnel_opt redirect clone_redirect
    skb_change_tail skb_change_head skb_store_bytes csum_update csum_level l3_csum_replace l4_csum_replace
    set_hash_invalid`),
  encap: ['lwt_push_encap'],
  seg6: words(`lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action`),
  classifier: words(`
    skb_vlan_push skb_vlan_pop skb_change_proto skb_change_type set_hash skb_adjust_room skb_get_xfrm_state
    skb_cgroup_classid redirect_neigh redirect_peer sk_assign skb_set_tstamp`),
  routes: words(`fib_lookup check_mtu`),
  syncookies: words(`tcp_check_syncookie tcp_gen_syncookie`),
  rawSyncookies: words(`
    tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4
    tcp_raw_check_syncookie_ipv6`),
  xdp: words(`
    redirect redirect_map csum_diff xdp_adjust_head xdp_adjust_meta xdp_adjust_tail xdp_get_buff_len
    xdp_load_bytes xdp_store_bytes`),
  skbCgroup: words(`skb_cgroup_id skb_ancestor_cgroup_id`),
  socketCgroup: words(`sk_cgroup_id sk_ancestor_cgroup_id`),
  socketLookup: words(`sk_lookup_tcp sk_lookup_udp skc_lookup_tcp sk_release`),
  socketView: words(`sk_fullsock tcp_sock get_listener_sock skb_ecn_set_ce`),
  tcpSock: ['tcp_sock'],
  socketStorage: words(`sk_storage_get sk_storage_delete`),
  socketStorageGet: ['sk_storage_get'],
  socketOptions: words(`setsockopt getsockopt`),
  /** cgroup_common_func_proto. */
  localStorage: ['get_local_storage'],
  returnValue: words(`get_retval set_retval`),
  bind: ['bind'],
  sysctl: words(`sysctl_get_name sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value`),
  socketOps: words(`
    sock_ops_cb_flags_set sock_map_update sock_hash_update load_hdr_opt store_hdr_opt reserve_hdr_opt`),
  streams: words(`
    skb_store_bytes skb_load_bytes skb_pull_data skb_change_tail skb_change_head skb_adjust_room
    sk_redirect_map sk_redirect_hash`),
  messages: words(`
    msg_redirect_map msg_redirect_hash msg_apply_bytes msg_cork_bytes msg_pull_data msg_push_data
    msg_pop_data`),
  reuseport: words(`sk_select_reuseport skb_load_bytes skb_load_bytes_relative get_socket_cookie`),
  assign: words(`sk_assign sk_release`),
  congestion: ['tcp_send_ack'],
} as const satisfies Record<string, readonly string[]>;
export type HelperGroup = keyof typeof helperGroups;

/** What a helper asks of a loader beyond the program type; helpers that are not here ask for nothing. */
export const helperCapability = (name: string): 'bpf' | 'perfmon' | undefined =>
  includes('baseBpf', name)
    ? 'bpf'
    : includes('basePerfmon', name) || includes('casts', name)
      ? 'perfmon'
      : undefined;

const includes = (group: HelperGroup, name: string) =>
  (helperGroups[group] as readonly string[]).includes(name);

/** Helpers that a kernel may have been built without, or that its policy may forbid. */
export const optionalHelpers: Readonly<Record<string, string>> = {
  override_return: 'CONFIG_BPF_KPROBE_OVERRIDE',
  probe_write_user: 'no lockdown of writes to user memory',
  rc_repeat: 'CONFIG_BPF_LIRC_MODE2',
  rc_keydown: 'CONFIG_BPF_LIRC_MODE2',
  rc_pointer_rel: 'CONFIG_BPF_LIRC_MODE2',
};

interface GroupsFor {
  readonly groups: readonly HelperGroup[];
  /** More for some expected attach types. */
  readonly also?: readonly {
    readonly attach: readonly AttachType[];
    readonly groups: readonly HelperGroup[];
  }[];
}

const base = ['base', 'baseBpf', 'basePerfmon'] as const;
const network = [...base, 'casts', 'coarseClock'] as const;
const classifier = [
  ...network,
  'output',
  'lwt',
  'lwtXmit',
  'classifier',
  'socketOfPacket',
  'loadRelative',
  'netns',
  'routes',
  'skbCgroup',
  'socketLookup',
  'socketView',
  'socketStorage',
  'syncookies',
  'rawSyncookies',
] as const;
const probe = [...base, 'output', 'tracing', 'stacks', 'attachCookie'] as const;
const btfTracing = [...base, 'casts', 'output', 'tracing', 'stacks', 'btfTracing'] as const;
const { CgroupSetsockopt, CgroupInet4Bind, CgroupInet6Bind, CgroupInet4Connect, CgroupInet6Connect } =
  AttachType;
const { CgroupUdp4Sendmsg, CgroupUdp6Sendmsg, CgroupUnixConnect, CgroupUnixSendmsg } = AttachType;
const { TraceIter, TraceRawTp, TraceFentry, TraceFexit, ModifyReturn, TraceFsession } = AttachType;

/** Groups by program type. `ext` has those of the program that it replaces a function of. */
export const helperAvailability: ReadonlyMap<ProgType, GroupsFor> = new Map<ProgType, GroupsFor>([
  [
    ProgType.SocketFilter,
    { groups: [...network, 'output', 'loadBytes', 'loadRelative', 'socketOfPacket', 'netns'] },
  ],
  [ProgType.Kprobe, { groups: [...probe, 'kprobe'] }],
  [ProgType.SchedCls, { groups: classifier }],
  [ProgType.SchedAct, { groups: classifier }],
  [ProgType.Tracepoint, { groups: probe }],
  [
    ProgType.Xdp,
    { groups: [...network, 'output', 'xdp', 'routes', 'socketLookup', 'syncookies', 'rawSyncookies'] },
  ],
  [ProgType.PerfEvent, { groups: [...probe, 'perfEvent'] }],
  [
    ProgType.CgroupSkb,
    {
      groups: [
        ...network,
        'output',
        'loadBytes',
        'loadRelative',
        'socketOfPacket',
        'netns',
        'localStorage',
        'skbCgroup',
        'socketCgroup',
        'socketLookup',
        'socketView',
        'socketStorage',
      ],
    },
  ],
  [
    ProgType.CgroupSock,
    {
      groups: [
        ...base,
        'coarseClock',
        'output',
        'cookie',
        'netns',
        'localStorage',
        'socketStorageGet',
        'returnValue',
      ],
    },
  ],
  [ProgType.LwtIn, { groups: [...network, 'output', 'lwt', 'encap'] }],
  [ProgType.LwtOut, { groups: [...network, 'output', 'lwt'] }],
  [ProgType.LwtXmit, { groups: [...network, 'output', 'lwt', 'lwtXmit', 'encap'] }],
  [
    ProgType.SockOps,
    {
      groups: [
        ...network,
        'output',
        'cookie',
        'netns',
        'localStorage',
        'socketOptions',
        'socketOps',
        'socketStorage',
        'tcpSock',
      ],
    },
  ],
  [ProgType.SkSkb, { groups: [...network, 'output', 'streams', 'socketOfPacket', 'socketLookup'] }],
  [
    ProgType.CgroupDevice,
    {
      groups: [...base, 'output', 'localStorage'],
      // Not with the attach type that programs have which name none: that is ingress.
      also: [{ attach: [AttachType.CgroupDevice], groups: ['returnValue'] }],
    },
  ],
  [ProgType.SkMsg, { groups: [...network, 'output', 'messages', 'netns', 'socketStorage'] }],
  [ProgType.RawTracepoint, { groups: probe }],
  [
    ProgType.CgroupSockAddr,
    {
      groups: [
        ...network,
        'output',
        'cookie',
        'netns',
        'localStorage',
        'socketOptions',
        'socketLookup',
        'socketStorage',
      ],
      also: [
        { attach: [CgroupInet4Connect, CgroupInet6Connect], groups: ['bind'] },
        {
          attach: [
            CgroupInet4Bind,
            CgroupInet6Bind,
            CgroupInet4Connect,
            CgroupInet6Connect,
            CgroupUdp4Sendmsg,
            CgroupUdp6Sendmsg,
            CgroupUnixConnect,
            CgroupUnixSendmsg,
          ],
          groups: ['returnValue'],
        },
      ],
    },
  ],
  [ProgType.LwtSeg6local, { groups: [...network, 'output', 'lwt', 'seg6'] }],
  [ProgType.LircMode2, { groups: ['lirc'] }],
  [ProgType.SkReuseport, { groups: [...base, 'coarseClock', 'reuseport'] }],
  [ProgType.FlowDissector, { groups: [...network, 'loadBytes'] }],
  [
    ProgType.CgroupSysctl,
    {
      groups: [...base, 'coarseClock', 'output', 'localStorage', 'sysctl'],
      also: [{ attach: [AttachType.CgroupSysctl], groups: ['returnValue'] }],
    },
  ],
  [ProgType.RawTracepointWritable, { groups: probe }],
  [
    ProgType.CgroupSockopt,
    {
      groups: [...base, 'output', 'localStorage', 'netns', 'socketStorage', 'tcpSock', 'returnValue'],
      also: [{ attach: [CgroupSetsockopt], groups: ['socketOptions'] }],
    },
  ],
  [
    ProgType.Tracing,
    {
      groups: btfTracing,
      also: [
        {
          attach: [TraceRawTp, TraceFentry, TraceFexit, ModifyReturn, TraceFsession],
          groups: ['attachCookie'],
        },
        { attach: [TraceFentry, TraceFexit, ModifyReturn, TraceFsession], groups: ['trampoline'] },
        { attach: [TraceIter], groups: ['sequence'] },
      ],
    },
  ],
  [ProgType.StructOps, { groups: base }],
  [
    ProgType.Lsm,
    {
      groups: [...btfTracing, 'lsm', 'attachCookie', 'trampoline'],
      also: [{ attach: [AttachType.LsmCgroup], groups: ['localStorage', 'returnValue', 'socketOptions'] }],
    },
  ],
  [ProgType.SkLookup, { groups: [...network, 'output', 'assign'] }],
  [ProgType.Syscall, { groups: [...btfTracing, 'syscall'] }],
  [ProgType.Netfilter, { groups: base }],
]);

/** What a struct_ops program has beside `base`, by structure; `none`: not even that. */
export const structOpsHelpers: Readonly<
  Record<
    string,
    | {
        readonly groups: readonly HelperGroup[];
        readonly except?: Readonly<Record<string, readonly HelperGroup[]>>;
      }
    | 'none'
  >
> = {
  tcp_congestion_ops: {
    groups: ['congestion', 'socketStorage', 'socketOptions', 'coarseClock'],
    // The socket is going away.
    except: { release: ['socketOptions'] },
  },
  bpf_dummy_ops: 'none',
};

/** Iterators over sockets may also get and set options. */
export const iteratorHelpers: Readonly<Record<string, readonly HelperGroup[]>> = {
  bpf_iter_tcp: ['socketOptions'],
  bpf_iter_unix: ['socketOptions'],
};

/** Where a program of a type is attached, as far as its helpers depend on it. */
export interface HelperContext {
  readonly attach?: AttachType;
  /** struct_ops: structure and member. */
  readonly structOps?: { readonly struct: string; readonly member: string };
  /** Tracing: the kernel function. */
  readonly target?: string;
}

/** Names of the helpers that a program may call. Not every kernel has all of them: see optionalHelpers. */
export function helpersFor(type: ProgType, context: HelperContext = {}): ReadonlySet<string> {
  const row = helperAvailability.get(type);
  const groups = new Set<HelperGroup>(row?.groups);
  for (const { attach, groups: more } of row?.also ?? []) {
    if (context.attach !== undefined && attach.includes(context.attach))
      for (const one of more) groups.add(one);
  }
  if (type === ProgType.StructOps && context.structOps) {
    const { struct, member } = context.structOps;
    const more = structOpsHelpers[struct];
    if (more === 'none') return new Set();
    for (const one of more?.groups ?? []) if (!more?.except?.[member]?.includes(one)) groups.add(one);
  }
  if (type === ProgType.Tracing && context.attach === TraceIter) {
    for (const one of iteratorHelpers[context.target ?? ''] ?? []) groups.add(one);
  }
  const names = new Set<string>();
  for (const group of groups) for (const name of helperGroups[group]) names.add(name);
  return names;
}

/** Sets that were asked for before: a verification asks at every call. */
const known = new Map<string, ReadonlySet<string>>();

/** Whether a program may call helper `id` (bpf_func_proto is not NULL), given the capabilities of root. */
export function mayCall(type: ProgType, id: number, context: HelperContext = {}): boolean {
  const name = helperNames[id];
  if (name === undefined || id <= 0) return false;
  const { attach, structOps, target } = context;
  const iterator = iteratorHelpers[target ?? ''] ? target : '';
  const key = `${type} ${attach} ${structOps?.struct} ${structOps?.member} ${iterator}`;
  let names = known.get(key);
  if (!names) {
    names = helpersFor(type, context);
    known.set(key, names);
  }
  return names.has(name);
}
