// The hooks of a cgroup, and the words for them.

import { AttachType, attachTypeName } from '../../bpf/types.js';

/** In the order in which they are asked for. */
export const CGROUP_HOOKS: readonly AttachType[] = [
  AttachType.CgroupInetIngress,
  AttachType.CgroupInetEgress,
  AttachType.CgroupInetSockCreate,
  AttachType.CgroupInetSockRelease,
  AttachType.CgroupInet4Bind,
  AttachType.CgroupInet6Bind,
  AttachType.CgroupInet4PostBind,
  AttachType.CgroupInet6PostBind,
  AttachType.CgroupInet4Connect,
  AttachType.CgroupInet6Connect,
  AttachType.CgroupUnixConnect,
  AttachType.CgroupInet4Getpeername,
  AttachType.CgroupInet6Getpeername,
  AttachType.CgroupUnixGetpeername,
  AttachType.CgroupInet4Getsockname,
  AttachType.CgroupInet6Getsockname,
  AttachType.CgroupUnixGetsockname,
  AttachType.CgroupUdp4Sendmsg,
  AttachType.CgroupUdp6Sendmsg,
  AttachType.CgroupUnixSendmsg,
  AttachType.CgroupUdp4Recvmsg,
  AttachType.CgroupUdp6Recvmsg,
  AttachType.CgroupUnixRecvmsg,
  AttachType.CgroupSockOps,
  AttachType.CgroupDevice,
  AttachType.CgroupSysctl,
  AttachType.CgroupGetsockopt,
  AttachType.CgroupSetsockopt,
  AttachType.LsmCgroup,
];

/** Older words, which may be abbreviated. Types without one are meant by the beginning of their present name. */
const olderWords: Partial<Record<AttachType, string>> = {
  [AttachType.CgroupInetIngress]: 'ingress',
  [AttachType.CgroupInetEgress]: 'egress',
  [AttachType.CgroupInetSockCreate]: 'sock_create',
  [AttachType.CgroupInetSockRelease]: 'sock_release',
  [AttachType.CgroupSockOps]: 'sock_ops',
  [AttachType.CgroupDevice]: 'device',
  [AttachType.CgroupInet4Bind]: 'bind4',
  [AttachType.CgroupInet6Bind]: 'bind6',
  [AttachType.CgroupInet4Connect]: 'connect4',
  [AttachType.CgroupInet6Connect]: 'connect6',
  [AttachType.CgroupInet4PostBind]: 'post_bind4',
  [AttachType.CgroupInet6PostBind]: 'post_bind6',
  [AttachType.CgroupInet4Getpeername]: 'getpeername4',
  [AttachType.CgroupInet6Getpeername]: 'getpeername6',
  [AttachType.CgroupInet4Getsockname]: 'getsockname4',
  [AttachType.CgroupInet6Getsockname]: 'getsockname6',
  [AttachType.CgroupUdp4Sendmsg]: 'sendmsg4',
  [AttachType.CgroupUdp6Sendmsg]: 'sendmsg6',
  [AttachType.CgroupSysctl]: 'sysctl',
  [AttachType.CgroupUdp4Recvmsg]: 'recvmsg4',
  [AttachType.CgroupUdp6Recvmsg]: 'recvmsg6',
  [AttachType.CgroupGetsockopt]: 'getsockopt',
  [AttachType.CgroupSetsockopt]: 'setsockopt',
  [AttachType.TraceRawTp]: 'raw_tp',
  [AttachType.TraceFentry]: 'fentry',
  [AttachType.TraceFexit]: 'fexit',
  [AttachType.ModifyReturn]: 'mod_ret',
  [AttachType.TraceFsession]: 'fsession',
  [AttachType.SkReuseportSelect]: 'sk_skb_reuseport_select',
  [AttachType.SkReuseportSelectOrMigrate]: 'sk_skb_reuseport_select_or_migrate',
};

/**
 * The attach type that a word means: a whole name such as `cgroup_inet_ingress`, otherwise the first type whose older word
 * begins so. Undefined for any other word.
 */
export function attachTypeByWord(word: string): AttachType | undefined {
  const types = Object.values(AttachType).sort((a, b) => a - b);
  return (
    types.find((type) => attachTypeName(type) === word) ??
    types.find((type) => (olderWords[type] ?? attachTypeName(type))?.startsWith(word))
  );
}
