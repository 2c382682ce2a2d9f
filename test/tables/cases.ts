// Every program type that this machine's kernel may load, with every attach type that may change what it allows.

import { AttachType, ProgFlag, ProgType } from '../../src/bpf/types.js';
import { kernelBtf } from './raw.js';

export interface LoadCase {
  readonly label: string;
  readonly type: ProgType;
  readonly attach: AttachType;
  readonly flags?: number;
  readonly btfId?: number;
  /** Tracing: the function that is attached to. */
  readonly target?: string;
  readonly structOps?: { readonly struct: string; readonly member: string };
}

const A = AttachType;
const plain: readonly (readonly [keyof typeof ProgType, readonly (keyof typeof AttachType)[], number?])[] = [
  ['SocketFilter', ['CgroupInetIngress']],
  [
    'Kprobe',
    ['CgroupInetIngress', 'TraceKprobeMulti', 'TraceUprobeMulti', 'TraceKprobeSession', 'TraceUprobeSession'],
  ],
  ['Kprobe', ['CgroupInetIngress', 'TraceUprobeMulti'], ProgFlag.Sleepable],
  ['SchedCls', ['CgroupInetIngress', 'TcxIngress', 'TcxEgress', 'NetkitPrimary', 'NetkitPeer']],
  ['SchedAct', ['CgroupInetIngress']],
  ['Tracepoint', ['CgroupInetIngress']],
  ['Xdp', ['Xdp', 'XdpDevmap', 'XdpCpumap']],
  ['PerfEvent', ['PerfEvent']],
  ['CgroupSkb', ['CgroupInetIngress', 'CgroupInetEgress']],
  [
    'CgroupSock',
    ['CgroupInetSockCreate', 'CgroupInetSockRelease', 'CgroupInet4PostBind', 'CgroupInet6PostBind'],
  ],
  ['LwtIn', ['CgroupInetIngress']],
  ['LwtOut', ['CgroupInetIngress']],
  ['LwtXmit', ['CgroupInetIngress']],
  ['SockOps', ['CgroupSockOps']],
  ['SkSkb', ['SkSkbStreamParser', 'SkSkbStreamVerdict', 'SkSkbVerdict']],
  ['CgroupDevice', ['CgroupDevice']],
  ['SkMsg', ['SkMsgVerdict']],
  ['RawTracepoint', ['CgroupInetIngress']],
  [
    'CgroupSockAddr',
    [
      'CgroupInet4Bind',
      'CgroupInet6Bind',
      'CgroupInet4Connect',
      'CgroupInet6Connect',
      'CgroupUdp4Sendmsg',
      'CgroupUdp6Sendmsg',
      'CgroupUdp4Recvmsg',
      'CgroupUdp6Recvmsg',
      'CgroupInet4Getpeername',
      'CgroupInet6Getpeername',
      'CgroupInet4Getsockname',
      'CgroupInet6Getsockname',
      'CgroupUnixConnect',
      'CgroupUnixSendmsg',
      'CgroupUnixRecvmsg',
      'CgroupUnixGetpeername',
      'CgroupUnixGetsockname',
    ],
  ],
  ['LwtSeg6local', ['CgroupInetIngress']],
  ['SkReuseport', ['SkReuseportSelect', 'SkReuseportSelectOrMigrate']],
  ['FlowDissector', ['FlowDissector']],
  ['CgroupSysctl', ['CgroupSysctl']],
  ['RawTracepointWritable', ['CgroupInetIngress']],
  ['CgroupSockopt', ['CgroupGetsockopt', 'CgroupSetsockopt']],
  ['SkLookup', ['SkLookup']],
  ['Syscall', ['CgroupInetIngress'], ProgFlag.Sleepable],
  ['Netfilter', ['Netfilter']],
];

/** Types whose loads need no BTF id. */
export const plainCases: readonly LoadCase[] = plain.flatMap(([name, attach, flags]) =>
  attach.map((one) => ({
    label: `${name} ${one}${flags ? ' sleepable' : ''}`,
    type: ProgType[name],
    attach: A[one],
    ...(flags ? { flags } : {}),
  })),
);

const idOf = (kind: 'FUNC' | 'TYPEDEF' | 'STRUCT', name: string): number | undefined =>
  kernelBtf().findByName(name, kind);

/** Types that are attached to something that the kernel's BTF names; only what this kernel has. */
export function btfCases(): LoadCase[] {
  const cases: LoadCase[] = [];
  const rawTp = idOf('TYPEDEF', 'btf_trace_sched_switch');
  if (rawTp) {
    cases.push({
      label: 'Tracing raw_tp',
      type: ProgType.Tracing,
      attach: A.TraceRawTp,
      btfId: rawTp,
      target: 'sched_switch',
    });
  }
  for (const target of ['bpf_iter_task', 'bpf_iter_tcp', 'bpf_iter_unix', 'bpf_iter_bpf_map']) {
    const btfId = idOf('FUNC', target);
    if (btfId)
      cases.push({ label: `Tracing ${target}`, type: ProgType.Tracing, attach: A.TraceIter, btfId, target });
  }
  const members: Record<string, string[]> = {
    tcp_congestion_ops: ['ssthresh', 'cong_avoid', 'init', 'release'],
    bpf_dummy_ops: ['test_1'],
  };
  for (const [struct, wanted] of Object.entries(members)) {
    const btfId = idOf('STRUCT', struct);
    const type = btfId && kernelBtf().type(btfId);
    if (type === undefined || type === 0 || type.kind !== 'STRUCT') continue;
    for (const member of wanted) {
      const index = type.members.findIndex(({ name }) => name === member);
      if (index < 0) continue;
      cases.push({
        label: `StructOps ${struct}.${member}`,
        type: ProgType.StructOps,
        attach: index as AttachType,
        btfId: type.id,
        structOps: { struct, member },
      });
    }
  }
  return cases;
}
