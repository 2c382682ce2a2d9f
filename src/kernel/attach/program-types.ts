// Which programs hang on which hooks (Linux: attach_type_to_prog_type).

import { AttachType, ProgType } from '../../bpf/types.js';

const A = AttachType;

const table: readonly (readonly [ProgType, readonly AttachType[]])[] = [
  [ProgType.Xdp, [A.Xdp]],
  [ProgType.SchedCls, [A.TcxIngress, A.TcxEgress, A.NetkitPrimary, A.NetkitPeer]],
  [ProgType.CgroupSkb, [A.CgroupInetIngress, A.CgroupInetEgress]],
  [
    ProgType.CgroupSock,
    [A.CgroupInetSockCreate, A.CgroupInetSockRelease, A.CgroupInet4PostBind, A.CgroupInet6PostBind],
  ],
  [
    ProgType.CgroupSockAddr,
    [
      ...[A.CgroupInet4Bind, A.CgroupInet6Bind],
      ...[A.CgroupInet4Connect, A.CgroupInet6Connect, A.CgroupUnixConnect],
      ...[A.CgroupInet4Getpeername, A.CgroupInet6Getpeername, A.CgroupUnixGetpeername],
      ...[A.CgroupInet4Getsockname, A.CgroupInet6Getsockname, A.CgroupUnixGetsockname],
      ...[A.CgroupUdp4Sendmsg, A.CgroupUdp6Sendmsg, A.CgroupUnixSendmsg],
      ...[A.CgroupUdp4Recvmsg, A.CgroupUdp6Recvmsg, A.CgroupUnixRecvmsg],
    ],
  ],
  [ProgType.SockOps, [A.CgroupSockOps]],
  [ProgType.CgroupDevice, [A.CgroupDevice]],
  [ProgType.CgroupSysctl, [A.CgroupSysctl]],
  [ProgType.CgroupSockopt, [A.CgroupGetsockopt, A.CgroupSetsockopt]],
  [ProgType.SkMsg, [A.SkMsgVerdict]],
  [ProgType.SkSkb, [A.SkSkbStreamParser, A.SkSkbStreamVerdict, A.SkSkbVerdict]],
  [ProgType.LircMode2, [A.LircMode2]],
  [ProgType.FlowDissector, [A.FlowDissector]],
  [ProgType.SkLookup, [A.SkLookup]],
  [ProgType.Tracing, [A.TraceIter, A.TraceRawTp, A.TraceFentry, A.TraceFexit, A.ModifyReturn]],
  [ProgType.Lsm, [A.LsmMac, A.LsmCgroup]],
  [ProgType.Netfilter, [A.Netfilter]],
];

const byAttachType: ReadonlyMap<AttachType, ProgType> = new Map(
  table.flatMap(([program, hooks]) => hooks.map((hook) => [hook, program] as const)),
);

/** The type of the programs of a hook; undefined where several types share it, or none has it. */
export const programTypeOf = (attachType: AttachType): ProgType | undefined => byAttachType.get(attachType);
