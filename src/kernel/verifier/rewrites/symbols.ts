// The kernel's functions behind helpers. Most are named as the helper is; some helpers are another function for another
// type of program, or where it is attached.

import { AttachType, ProgType } from '../../../bpf/types.js';
import type { ProgramToVerify } from '../program.js';

const P = ProgType;

/** By type of program, or for all. */
type Variant = string | ReadonlyMap<ProgType, string>;

const only = (...rows: readonly (readonly [string, ...ProgType[]])[]): Variant =>
  new Map(rows.flatMap(([symbol, ...types]) => types.map((type) => [type, symbol] as const)));

const classifiers = [P.SchedCls, P.SchedAct] as const;
const packets = [
  P.SocketFilter,
  ...classifiers,
  P.CgroupSkb,
  P.LwtIn,
  P.LwtOut,
  P.LwtXmit,
  P.LwtSeg6local,
  P.SkSkb,
] as const;
const rawTracepoints = [P.RawTracepoint, P.RawTracepointWritable, P.Tracing] as const;
const traced = [P.Tracing, P.Lsm, P.StructOps] as const;

const lookup = (kind: string): Variant =>
  only(
    [`bpf_tc_${kind}`, ...classifiers],
    [`bpf_xdp_${kind}`, P.Xdp],
    [`bpf_sock_addr_${kind}`, P.CgroupSockAddr],
  );
const option = (kind: string): Variant =>
  only(
    [`bpf_sock_addr_${kind}`, P.CgroupSockAddr],
    [`bpf_sock_ops_${kind}`, P.SockOps],
    [`bpf_sk_${kind}`, P.Tracing, P.CgroupSockopt],
    [`bpf_unlocked_sk_${kind}`, P.Lsm],
  );
const stack = (kind: string): Variant =>
  only(
    [`bpf_${kind}_tp`, P.Tracepoint],
    [`bpf_${kind}_raw_tp`, ...rawTracepoints],
    [`bpf_${kind}_pe`, P.PerfEvent],
  );
const ofStream = (kind: string): Variant => only([`sk_${kind}`, P.SkSkb]);

const variants: Readonly<Record<string, Variant>> = {
  get_prandom_u32: 'bpf_user_rnd_u32',
  probe_read: 'bpf_probe_read_compat',
  probe_read_str: 'bpf_probe_read_compat_str',
  skb_output: 'bpf_skb_event_output',
  xdp_output: 'bpf_xdp_event_output',
  sk_select_reuseport: 'sk_select_reuseport',
  load_hdr_opt: 'bpf_sock_ops_load_hdr_opt',
  store_hdr_opt: 'bpf_sock_ops_store_hdr_opt',
  reserve_hdr_opt: 'bpf_sock_ops_reserve_hdr_opt',
  get_stack: stack('get_stack'),
  get_stackid: stack('get_stackid'),
  setsockopt: option('setsockopt'),
  getsockopt: option('getsockopt'),
  sk_lookup_tcp: lookup('sk_lookup_tcp'),
  sk_lookup_udp: lookup('sk_lookup_udp'),
  skc_lookup_tcp: lookup('skc_lookup_tcp'),
  skb_pull_data: ofStream('skb_pull_data'),
  skb_change_tail: ofStream('skb_change_tail'),
  skb_change_head: ofStream('skb_change_head'),
  skb_adjust_room: ofStream('skb_adjust_room'),
  skb_load_bytes: only(
    ['bpf_flow_dissector_load_bytes', P.FlowDissector],
    ['sk_reuseport_load_bytes', P.SkReuseport],
  ),
  skb_load_bytes_relative: only(['sk_reuseport_load_bytes_relative', P.SkReuseport]),
  check_mtu: only(['bpf_skb_check_mtu', ...packets], ['bpf_xdp_check_mtu', P.Xdp]),
  fib_lookup: only(['bpf_skb_fib_lookup', ...packets], ['bpf_xdp_fib_lookup', P.Xdp]),
  redirect: only(['bpf_xdp_redirect', P.Xdp]),
  redirect_map: only(['bpf_xdp_redirect_map', P.Xdp]),
  lwt_push_encap: only(['bpf_lwt_in_push_encap', P.LwtIn], ['bpf_lwt_xmit_push_encap', P.LwtXmit]),
  sk_assign: only(['bpf_sk_lookup_assign', P.SkLookup]),
  sk_storage_get: only(['bpf_sk_storage_get_tracing', P.Tracing]),
  sk_storage_delete: only(['bpf_sk_storage_delete_tracing', P.Tracing]),
  task_storage_get: only(['bpf_task_storage_get_recur', P.Tracing]),
  task_storage_delete: only(['bpf_task_storage_delete_recur', P.Tracing]),
  get_netns_cookie: only(
    ['bpf_get_netns_cookie_sock_addr', P.CgroupSockAddr],
    ['bpf_get_netns_cookie_sock', P.CgroupSock],
    ['bpf_get_netns_cookie_sock_ops', P.SockOps],
    ['bpf_get_netns_cookie_sk_msg', P.SkMsg],
    ['bpf_get_netns_cookie_sockopt', P.CgroupSockopt],
  ),
  get_socket_cookie: only(
    ['bpf_get_socket_cookie_sock_addr', P.CgroupSockAddr],
    ['bpf_get_socket_cookie_sock', P.CgroupSock],
    ['bpf_get_socket_cookie_sock_ops', P.SockOps],
    ['bpf_get_socket_ptr_cookie', P.SkReuseport, ...traced],
  ),
  get_attach_cookie: only(
    ['bpf_get_attach_cookie_trace', P.Kprobe, P.Tracepoint],
    ['bpf_get_attach_cookie_pe', P.PerfEvent],
    ['bpf_get_attach_cookie_tracing', P.RawTracepoint, ...traced],
  ),
  get_func_ip: only(['bpf_get_func_ip_kprobe', P.Kprobe]),
  perf_event_output: only(
    ['bpf_perf_event_output_tp', P.Tracepoint],
    ['bpf_perf_event_output_raw_tp', ...rawTracepoints],
    ['bpf_skb_event_output', ...packets],
    ['bpf_xdp_event_output', P.Xdp],
    [
      'bpf_event_output_data',
      P.SockOps,
      P.SkMsg,
      P.CgroupSock,
      P.CgroupSockAddr,
      P.CgroupDevice,
      P.CgroupSockopt,
      P.CgroupSysctl,
    ],
  ),
};

/** A kprobe program that is attached to many functions at once, or to a user's program, asks other functions. */
function ofMany(helper: string, { type, expectedAttachType: attach }: ProgramToVerify): string | undefined {
  if (type !== P.Kprobe || (helper !== 'get_func_ip' && helper !== 'get_attach_cookie')) return undefined;
  const { TraceKprobeMulti, TraceKprobeSession, TraceUprobeMulti, TraceUprobeSession } = AttachType;
  if (attach === TraceKprobeMulti || attach === TraceKprobeSession) return `bpf_${helper}_kprobe_multi`;
  return attach === TraceUprobeMulti || attach === TraceUprobeSession
    ? `bpf_${helper}_uprobe_multi`
    : undefined;
}

/** The name of the function that is called for a helper. */
export function helperSymbol(helper: string, program: ProgramToVerify): string {
  const many = ofMany(helper, program);
  if (many !== undefined) return many;
  // BPF_F_SLEEPABLE.
  if (helper === 'get_stack' && program.type === P.Kprobe && program.flags & 16)
    return 'bpf_get_stack_sleepable';
  const variant = variants[helper];
  return (typeof variant === 'string' ? variant : variant?.get(program.type)) ?? `bpf_${helper}`;
}

/** All names that helpers have, for the table of symbols. */
export function helperSymbols(helpers: readonly string[]): string[] {
  const found = new Set(helpers.map((helper) => `bpf_${helper}`));
  for (const variant of Object.values(variants)) {
    for (const symbol of typeof variant === 'string' ? [variant] : variant.values()) found.add(symbol);
  }
  for (const helper of ['get_func_ip', 'get_attach_cookie']) {
    for (const kind of ['kprobe', 'uprobe']) found.add(`bpf_${helper}_${kind}_multi`);
  }
  return [...found.add('bpf_get_stack_sleepable')];
}
