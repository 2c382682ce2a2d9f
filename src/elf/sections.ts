// What a section's name says about the programs in it: SEC("xdp"), SEC("kprobe/do_unlinkat"), SEC("?fentry.s/x").
// The conventions are libbpf's (section_defs, version 1.8); here they are rows of one table.
//
//     [?] NAME [.s] [/TARGET]      `?` switches automatic loading off, `.s` makes the program sleepable

import { AttachType, ProgFlag, ProgType } from '../bpf/types.js';

export interface SectionDefinition {
  /** The name, without `?` and target. */
  readonly name: string;
  readonly type: ProgType;
  /** The expected attach type; without one the kernel is given 0. */
  readonly attachType?: AttachType;
  /** BPF_F_* for the load. */
  readonly flags: number;
  /** Whether `/TARGET` may follow: a function, an event, a program. */
  readonly target: boolean;
  /** The target is looked up in the BTF of the kernel or of another program when the program is loaded. */
  readonly btfTarget: boolean;
}

/** What the whole name of a section says. */
export interface ParsedSection {
  readonly definition: SectionDefinition;
  /** What follows the first slash. */
  readonly target?: string;
}

interface Row {
  names: readonly string[];
  type: ProgType;
  attach?: AttachType;
  /** `/TARGET` may follow. */
  target?: true | 'btf';
  /** `also`: each name exists with `.s` too. `always`: sleepable under its plain name. */
  sleepable?: 'also' | 'always';
  frags?: true;
}

const cgroup = (type: ProgType, attaches: Record<string, AttachType>): Row[] =>
  Object.entries(attaches).map(([name, attach]) => ({ names: [`cgroup/${name}`], type, attach }));

const ROWS: readonly Row[] = [
  // Packets on their way into and out of the machine.
  { names: ['xdp'], type: ProgType.Xdp, attach: AttachType.Xdp },
  { names: ['xdp.frags'], type: ProgType.Xdp, attach: AttachType.Xdp, frags: true },
  { names: ['xdp/devmap'], type: ProgType.Xdp, attach: AttachType.XdpDevmap },
  { names: ['xdp.frags/devmap'], type: ProgType.Xdp, attach: AttachType.XdpDevmap, frags: true },
  { names: ['xdp/cpumap'], type: ProgType.Xdp, attach: AttachType.XdpCpumap },
  { names: ['xdp.frags/cpumap'], type: ProgType.Xdp, attach: AttachType.XdpCpumap, frags: true },
  { names: ['tc', 'classifier'], type: ProgType.SchedCls },
  { names: ['tc/ingress', 'tcx/ingress'], type: ProgType.SchedCls, attach: AttachType.TcxIngress },
  { names: ['tc/egress', 'tcx/egress'], type: ProgType.SchedCls, attach: AttachType.TcxEgress },
  { names: ['netkit/primary'], type: ProgType.SchedCls, attach: AttachType.NetkitPrimary },
  { names: ['netkit/peer'], type: ProgType.SchedCls, attach: AttachType.NetkitPeer },
  { names: ['action'], type: ProgType.SchedAct },
  { names: ['lwt_in'], type: ProgType.LwtIn },
  { names: ['lwt_out'], type: ProgType.LwtOut },
  { names: ['lwt_xmit'], type: ProgType.LwtXmit },
  { names: ['lwt_seg6local'], type: ProgType.LwtSeg6local },
  { names: ['flow_dissector'], type: ProgType.FlowDissector, attach: AttachType.FlowDissector },
  { names: ['netfilter'], type: ProgType.Netfilter, attach: AttachType.Netfilter },

  // Sockets.
  { names: ['socket'], type: ProgType.SocketFilter },
  { names: ['sk_reuseport'], type: ProgType.SkReuseport, attach: AttachType.SkReuseportSelect },
  {
    names: ['sk_reuseport/migrate'],
    type: ProgType.SkReuseport,
    attach: AttachType.SkReuseportSelectOrMigrate,
  },
  { names: ['sk_lookup'], type: ProgType.SkLookup, attach: AttachType.SkLookup },
  { names: ['sk_msg'], type: ProgType.SkMsg, attach: AttachType.SkMsgVerdict },
  { names: ['sk_skb'], type: ProgType.SkSkb },
  { names: ['sk_skb/verdict'], type: ProgType.SkSkb, attach: AttachType.SkSkbVerdict },
  { names: ['sk_skb/stream_parser'], type: ProgType.SkSkb, attach: AttachType.SkSkbStreamParser },
  { names: ['sk_skb/stream_verdict'], type: ProgType.SkSkb, attach: AttachType.SkSkbStreamVerdict },
  { names: ['sockops'], type: ProgType.SockOps, attach: AttachType.CgroupSockOps },

  // Control groups.
  { names: ['cgroup/skb'], type: ProgType.CgroupSkb },
  { names: ['cgroup_skb/ingress'], type: ProgType.CgroupSkb, attach: AttachType.CgroupInetIngress },
  { names: ['cgroup_skb/egress'], type: ProgType.CgroupSkb, attach: AttachType.CgroupInetEgress },
  ...cgroup(ProgType.CgroupDevice, { dev: AttachType.CgroupDevice }),
  ...cgroup(ProgType.CgroupSysctl, { sysctl: AttachType.CgroupSysctl }),
  ...cgroup(ProgType.CgroupSockopt, {
    getsockopt: AttachType.CgroupGetsockopt,
    setsockopt: AttachType.CgroupSetsockopt,
  }),
  ...cgroup(ProgType.CgroupSock, {
    sock: AttachType.CgroupInetSockCreate,
    sock_create: AttachType.CgroupInetSockCreate,
    sock_release: AttachType.CgroupInetSockRelease,
    post_bind4: AttachType.CgroupInet4PostBind,
    post_bind6: AttachType.CgroupInet6PostBind,
  }),
  ...cgroup(ProgType.CgroupSockAddr, {
    bind4: AttachType.CgroupInet4Bind,
    bind6: AttachType.CgroupInet6Bind,
    connect4: AttachType.CgroupInet4Connect,
    connect6: AttachType.CgroupInet6Connect,
    connect_unix: AttachType.CgroupUnixConnect,
    sendmsg4: AttachType.CgroupUdp4Sendmsg,
    sendmsg6: AttachType.CgroupUdp6Sendmsg,
    sendmsg_unix: AttachType.CgroupUnixSendmsg,
    recvmsg4: AttachType.CgroupUdp4Recvmsg,
    recvmsg6: AttachType.CgroupUdp6Recvmsg,
    recvmsg_unix: AttachType.CgroupUnixRecvmsg,
    getpeername4: AttachType.CgroupInet4Getpeername,
    getpeername6: AttachType.CgroupInet6Getpeername,
    getpeername_unix: AttachType.CgroupUnixGetpeername,
    getsockname4: AttachType.CgroupInet4Getsockname,
    getsockname6: AttachType.CgroupInet6Getsockname,
    getsockname_unix: AttachType.CgroupUnixGetsockname,
  }),

  // Kernel and user functions, events.
  { names: ['kprobe', 'kretprobe', 'ksyscall', 'kretsyscall'], type: ProgType.Kprobe, target: true },
  { names: ['uprobe', 'uretprobe', 'usdt'], type: ProgType.Kprobe, target: true, sleepable: 'also' },
  {
    names: ['kprobe.multi', 'kretprobe.multi'],
    type: ProgType.Kprobe,
    attach: AttachType.TraceKprobeMulti,
    target: true,
  },
  { names: ['kprobe.session'], type: ProgType.Kprobe, attach: AttachType.TraceKprobeSession, target: true },
  {
    names: ['uprobe.multi', 'uretprobe.multi'],
    type: ProgType.Kprobe,
    attach: AttachType.TraceUprobeMulti,
    target: true,
    sleepable: 'also',
  },
  {
    names: ['uprobe.session'],
    type: ProgType.Kprobe,
    attach: AttachType.TraceUprobeSession,
    target: true,
    sleepable: 'also',
  },
  { names: ['tracepoint', 'tp'], type: ProgType.Tracepoint, target: true, sleepable: 'also' },
  { names: ['raw_tracepoint', 'raw_tp'], type: ProgType.RawTracepoint, target: true, sleepable: 'also' },
  { names: ['raw_tracepoint.w', 'raw_tp.w'], type: ProgType.RawTracepointWritable, target: true },
  { names: ['perf_event'], type: ProgType.PerfEvent },
  {
    names: ['tp_btf'],
    type: ProgType.Tracing,
    attach: AttachType.TraceRawTp,
    target: 'btf',
    sleepable: 'also',
  },
  {
    names: ['fentry'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFentry,
    target: 'btf',
    sleepable: 'also',
  },
  {
    names: ['fexit'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFexit,
    target: 'btf',
    sleepable: 'also',
  },
  {
    names: ['fmod_ret'],
    type: ProgType.Tracing,
    attach: AttachType.ModifyReturn,
    target: 'btf',
    sleepable: 'also',
  },
  {
    names: ['fsession'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFsession,
    target: 'btf',
    sleepable: 'also',
  },
  {
    names: ['fentry.multi'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFentryMulti,
    target: true,
    sleepable: 'also',
  },
  {
    names: ['fexit.multi'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFexitMulti,
    target: true,
    sleepable: 'also',
  },
  {
    names: ['fsession.multi'],
    type: ProgType.Tracing,
    attach: AttachType.TraceFsessionMulti,
    target: true,
    sleepable: 'also',
  },
  { names: ['iter'], type: ProgType.Tracing, attach: AttachType.TraceIter, target: 'btf', sleepable: 'also' },
  { names: ['freplace'], type: ProgType.Ext, target: 'btf' },
  { names: ['lsm'], type: ProgType.Lsm, attach: AttachType.LsmMac, target: 'btf', sleepable: 'also' },
  { names: ['lsm_cgroup'], type: ProgType.Lsm, attach: AttachType.LsmCgroup, target: 'btf' },

  // The rest.
  { names: ['struct_ops'], type: ProgType.StructOps, target: true, sleepable: 'also' },
  { names: ['syscall'], type: ProgType.Syscall, sleepable: 'always' },
  { names: ['lirc_mode2'], type: ProgType.LircMode2, attach: AttachType.LircMode2 },
];

function define(row: Row, name: string, sleepable: boolean): SectionDefinition {
  return {
    name,
    type: row.type,
    ...(row.attach === undefined ? {} : { attachType: row.attach }),
    flags: (sleepable ? ProgFlag.Sleepable : 0) | (row.frags ? ProgFlag.XdpHasFrags : 0),
    target: row.target !== undefined,
    btfTarget: row.target === 'btf',
  };
}

/** Every section name that stands for a program type. */
export const sectionDefinitions: readonly SectionDefinition[] = ROWS.flatMap((row) =>
  row.names.flatMap((name) => {
    const plain = define(row, name, row.sleepable === 'always');
    return row.sleepable === 'also' ? [plain, define(row, `${name}.s`, true)] : [plain];
  }),
);

const byName = new Map(sectionDefinitions.map((definition) => [definition.name, definition]));

/** What `name` says, with or without its `?`; undefined when it is no name that libbpf knows. */
export function parseSectionName(name: string): ParsedSection | undefined {
  const plain = name.startsWith('?') ? name.slice(1) : name;
  const whole = byName.get(plain);
  if (whole !== undefined) return { definition: whole };
  const slash = plain.indexOf('/');
  if (slash < 0) return undefined;
  const definition = byName.get(plain.slice(0, slash));
  if (definition === undefined || !definition.target) return undefined;
  return { definition, target: plain.slice(slash + 1) };
}

/** What libbpf before 1.0 took a name for, by its beginning: SEC("xdp_firewall"), SEC("socket/3"). */
export function looselyNamed(name: string): SectionDefinition | undefined {
  const plain = name.startsWith('?') ? name.slice(1) : name;
  let known: SectionDefinition | undefined;
  for (const definition of sectionDefinitions) {
    if (plain.startsWith(definition.name) && definition.name.length > (known?.name.length ?? 0)) {
      known = definition;
    }
  }
  return known;
}

/** Why a section's name stands for no program type, for a person. */
export function explainUnknownSection(name: string): { message: string; hint: string } {
  const plain = name.startsWith('?') ? name.slice(1) : name;
  const known = looselyNamed(name);
  if (known === undefined) {
    return {
      message: `section '${plain}' does not say which type of program it holds`,
      hint: 'Name the section by the type of the program: SEC("xdp"), SEC("tc"), SEC("kprobe/FUNCTION").',
    };
  }
  const form = known.target ? `SEC("${known.name}") or SEC("${known.name}/TARGET")` : `SEC("${known.name}")`;
  return {
    message: `section '${plain}' is named as libbpf before 1.0 allowed; since then it must be ${form}`,
    hint: `Write ${form} and recompile.`,
  };
}
