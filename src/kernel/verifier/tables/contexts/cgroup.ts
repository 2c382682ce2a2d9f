// Control groups: devices, sysctl and socket options; beside these, netfilter and infrared, which are as small.

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { ProgramRules } from '../types.js';
import { only, packetEnd, packetStart, pointer, socket, u32, whole, writable } from './fields.js';

const { CgroupGetsockopt, CgroupSetsockopt } = AttachType;
const network = { capability: 'net-admin' } as const;

export const cgroupPrograms: readonly ProgramRules[] = [
  {
    type: ProgType.CgroupDevice,
    ...network,
    kernelContext: 'bpf_cgroup_dev_ctx',
    context: {
      kind: 'fields',
      struct: 'bpf_cgroup_dev_ctx',
      size: 12,
      fields: [u32('access_type', 0), whole('major', 4), whole('minor', 8)],
    },
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.CgroupSysctl,
    ...network,
    kernelContext: 'bpf_sysctl_kern',
    context: {
      kind: 'fields',
      struct: 'bpf_sysctl',
      size: 8,
      fields: [u32('write', 0), writable(u32('file_pos', 4))],
    },
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.CgroupSockopt,
    ...network,
    kernelContext: 'bpf_sockopt_kern',
    attachTypes: [CgroupSetsockopt, CgroupGetsockopt],
    context: {
      kind: 'fields',
      struct: 'bpf_sockopt',
      size: 40,
      fields: [
        pointer('sk', 0, socket),
        pointer('optval', 8, packetStart),
        pointer('optval_end', 16, packetEnd),
        writable(whole('level', 24), 'exact', [CgroupSetsockopt]),
        writable(whole('optname', 28), 'exact', [CgroupSetsockopt]),
        writable(whole('optlen', 32)),
        only(writable(whole('retval', 36)), [CgroupGetsockopt]),
      ],
    },
    packet: { read: true, write: true },
    packetToHelpers: 'any',
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.Netfilter,
    ...network,
    kernelContext: 'bpf_nf_ctx',
    attachTypes: [AttachType.Netfilter],
    context: {
      kind: 'fields',
      struct: 'bpf_nf_ctx',
      size: 16,
      fields: [
        pointer('state', 0, { kind: 'btf-id', trusted: true, btf: 'nf_hook_state' }),
        pointer('skb', 8, { kind: 'btf-id', trusted: true, btf: 'sk_buff' }),
      ],
    },
    // NF_DROP, NF_ACCEPT.
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.LircMode2,
    context: { kind: 'fields', struct: '__u32', size: 4, fields: [whole('sample', 0)] },
    returns: [{ range: 'any' }],
  },
];
