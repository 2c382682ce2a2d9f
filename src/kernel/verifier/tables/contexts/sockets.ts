// Programs that are called with a socket, a message or an address, and what a socket pointer lets a program read.

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { ContextField, FieldContext, ProgramRules } from '../types.js';
import {
  only,
  packetEnd,
  packetStart,
  pointer,
  sockCommonOrNull,
  socket,
  socketOrNull,
  u32,
  whole,
  words,
  writable,
} from './fields.js';

const { CgroupInetSockCreate, CgroupInetSockRelease, CgroupInet4PostBind, CgroupInet6PostBind } = AttachType;
const start = (name: string, offset: number): ContextField => ({
  name,
  offset,
  size: 4,
  read: { sizes: 'narrow-at-start' },
});
const array = (name: string, offset: number, count: number): ContextField => ({
  name,
  offset,
  size: 4 * count,
  unit: 4,
  read: { sizes: 'narrow' },
});

/** struct bpf_sock as a socket pointer shows it. */
const bpfSock: readonly ContextField[] = [
  whole('bound_dev_if', 0),
  start('family', 4),
  start('type', 8),
  start('protocol', 12),
  whole('mark', 16),
  whole('priority', 20),
  u32('src_ip4', 24),
  array('src_ip6', 28, 4),
  start('src_port', 44),
  // 16 bits and padding; programs once read it as 32 bits.
  { name: 'dst_port', offset: 48, size: 2, read: { sizes: 'narrow', orBytes: 4 } },
  u32('dst_ip4', 52),
  array('dst_ip6', 56, 4),
  start('state', 72),
  start('rx_queue_mapping', 76),
];

const creation = [CgroupInetSockCreate, CgroupInetSockRelease];
const whenBound: Readonly<Record<string, readonly AttachType[]>> = {
  src_ip4: [CgroupInet4PostBind],
  src_ip6: [CgroupInet6PostBind],
  src_port: [CgroupInet4PostBind, CgroupInet6PostBind],
};
const cgroupSock: FieldContext = {
  kind: 'fields',
  struct: 'bpf_sock',
  size: 80,
  fields: bpfSock.map((field) => {
    if (['bound_dev_if', 'mark', 'priority'].includes(field.name)) return only(writable(field), creation);
    const attach = whenBound[field.name];
    return attach ? only(field, attach) : field;
  }),
};

const v4 = [
  AttachType.CgroupInet4Bind,
  AttachType.CgroupInet4Connect,
  AttachType.CgroupInet4Getpeername,
  AttachType.CgroupInet4Getsockname,
  AttachType.CgroupUdp4Sendmsg,
  AttachType.CgroupUdp4Recvmsg,
];
const v6 = [
  AttachType.CgroupInet6Bind,
  AttachType.CgroupInet6Connect,
  AttachType.CgroupInet6Getpeername,
  AttachType.CgroupInet6Getsockname,
  AttachType.CgroupUdp6Sendmsg,
  AttachType.CgroupUdp6Recvmsg,
];
const unix = [
  AttachType.CgroupUnixConnect,
  AttachType.CgroupUnixSendmsg,
  AttachType.CgroupUnixRecvmsg,
  AttachType.CgroupUnixGetpeername,
  AttachType.CgroupUnixGetsockname,
];
/** Hooks that can only look at what has already happened. */
const afterwards = [
  AttachType.CgroupUdp4Recvmsg,
  AttachType.CgroupUdp6Recvmsg,
  AttachType.CgroupUnixRecvmsg,
  AttachType.CgroupInet4Getpeername,
  AttachType.CgroupInet6Getpeername,
  AttachType.CgroupUnixGetpeername,
  AttachType.CgroupInet4Getsockname,
  AttachType.CgroupInet6Getsockname,
  AttachType.CgroupUnixGetsockname,
];
const address = (name: string, offset: number): ContextField => ({
  name,
  offset,
  size: 16,
  unit: 4,
  read: { sizes: 'narrow-or-wide' },
  write: { sizes: 'exact-or-wide' },
});
const sockAddr: FieldContext = {
  kind: 'fields',
  struct: 'bpf_sock_addr',
  size: 72,
  fields: [
    whole('user_family', 0),
    only(writable(u32('user_ip4', 4)), v4),
    only(address('user_ip6', 8), v6),
    writable(u32('user_port', 24)),
    whole('family', 28),
    whole('type', 32),
    whole('protocol', 36),
    only(writable(u32('msg_src_ip4', 40)), [AttachType.CgroupUdp4Sendmsg]),
    only(address('msg_src_ip6', 44), [AttachType.CgroupUdp6Sendmsg]),
    pointer('sk', 64, socket),
  ],
};

/** Numbers of 32 bits from `family` (20) on, in the order of struct bpf_sock_ops. */
const sockOpsNumbers =
  'family remote_ip4 local_ip4 remote_ip6.4 local_ip6.4 remote_port local_port is_fullsock snd_cwnd srtt_us bpf_sock_ops_cb_flags state rtt_min snd_ssthresh rcv_nxt snd_nxt snd_una mss_cache ecn_flags rate_delivered rate_interval_us packets_out retrans_out total_retrans segs_in data_segs_in segs_out data_segs_out lost_out sacked_out sk_txhash';
function inOrder(names: string, from: number): ContextField[] {
  let at = from;
  return names.split(' ').map((word) => {
    const [name = '', count = '1'] = word.split('.');
    const field = words(name, at, Number(count));
    at += field.size;
    return field;
  });
}
const sockOps: FieldContext = {
  kind: 'fields',
  struct: 'bpf_sock_ops',
  size: 224,
  fields: [
    whole('op', 0),
    writable(whole('reply', 4)),
    words('args', 8, 3),
    ...inOrder(sockOpsNumbers, 20).map((field) => (field.name === 'sk_txhash' ? writable(field) : field)),
    whole('bytes_received', 168, 8),
    whole('bytes_acked', 176, 8),
    pointer('sk', 184, socketOrNull),
    pointer('skb_data', 192, packetStart),
    pointer('skb_data_end', 200, packetEnd),
    whole('skb_len', 208),
    start('skb_tcp_flags', 212),
    whole('skb_hwtstamp', 216, 8),
  ],
};

const pair = (first: string, second: string): ContextField[] => [
  pointer(first, 0, packetStart),
  pointer(second, 8, packetEnd),
];
const network = { capability: 'net-admin' } as const;

export const socketPrograms: readonly ProgramRules[] = [
  {
    type: ProgType.CgroupSock,
    ...network,
    kernelContext: 'sock',
    attachTypes: [...creation, CgroupInet4PostBind, CgroupInet6PostBind],
    attachDefault: CgroupInetSockCreate,
    context: cgroupSock,
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.CgroupSockAddr,
    ...network,
    kernelContext: 'bpf_sock_addr_kern',
    attachTypes: [...v4, ...v6, ...unix],
    context: sockAddr,
    returns: [
      { attach: afterwards, range: [1, 1] },
      // The second bit skips the check of privileged ports.
      { attach: [AttachType.CgroupInet4Bind, AttachType.CgroupInet6Bind], range: [0, 3] },
      { range: [0, 1] },
    ],
  },
  {
    type: ProgType.SockOps,
    ...network,
    kernelContext: 'bpf_sock_ops_kern',
    context: sockOps,
    packet: { read: true },
    packetToHelpers: 'none',
    returns: [{ range: [0, 1] }],
  },
  {
    type: ProgType.SkMsg,
    ...network,
    kernelContext: 'sk_msg',
    context: {
      kind: 'fields',
      struct: 'sk_msg_md',
      size: 80,
      fields: [
        ...pair('data', 'data_end'),
        ...inOrder('family remote_ip4 local_ip4 remote_ip6.4 local_ip6.4 remote_port local_port size', 16),
        pointer('sk', 72, socket),
      ],
    },
    packet: { read: true, write: true },
    returns: [{ range: 'any' }],
  },
  {
    type: ProgType.SkReuseport,
    kernelContext: 'sk_reuseport_kern',
    attachTypes: [AttachType.SkReuseportSelect, AttachType.SkReuseportSelectOrMigrate],
    attachDefault: AttachType.SkReuseportSelect,
    context: {
      kind: 'fields',
      struct: 'sk_reuseport_md',
      size: 56,
      fields: [
        ...pair('data', 'data_end'),
        u32('len', 16),
        { name: 'eth_protocol', offset: 20, size: 4, read: { sizes: 'narrow', atLeast: 2 } },
        u32('ip_protocol', 24),
        u32('bind_inany', 28),
        whole('hash', 32),
        pointer('sk', 40, socket),
        pointer('migrating_sk', 48, sockCommonOrNull),
      ],
    },
    packet: { read: true },
    returns: [{ range: 'any' }],
  },
  {
    type: ProgType.SkLookup,
    kernelContext: 'bpf_sk_lookup_kern',
    attachTypes: [AttachType.SkLookup],
    context: {
      kind: 'fields',
      struct: 'bpf_sk_lookup',
      size: 72,
      fields: [
        pointer('sk', 0, socketOrNull),
        u32('family', 8),
        u32('protocol', 12),
        u32('remote_ip4', 16),
        array('remote_ip6', 20, 4),
        { name: 'remote_port', offset: 36, size: 2, read: { sizes: 'narrow', orBytes: 4 } },
        { name: 'padding', offset: 38, size: 2, read: { sizes: 'narrow' } },
        u32('local_ip4', 40),
        array('local_ip6', 44, 4),
        u32('local_port', 60),
        u32('ingress_ifindex', 64),
      ],
    },
    // SK_DROP, SK_PASS.
    returns: [{ range: [0, 1] }],
  },
];

/** What may be read through a socket pointer; nothing may be written. */
export const socketPointers = {
  socket: { kind: 'fields', struct: 'bpf_sock', size: 80, fields: bpfSock },
  'sock-common': {
    kind: 'fields',
    struct: 'bpf_sock',
    size: 80,
    fields: bpfSock.filter(({ name }) => !['type', 'protocol', 'mark', 'priority'].includes(name)),
  },
  'tcp-sock': {
    kind: 'fields',
    struct: 'bpf_tcp_sock',
    size: 120,
    fields: [
      ...inOrder(
        'snd_cwnd srtt_us rtt_min snd_ssthresh rcv_nxt snd_nxt snd_una mss_cache ecn_flags rate_delivered rate_interval_us packets_out retrans_out total_retrans segs_in data_segs_in segs_out data_segs_out lost_out sacked_out',
        0,
      ),
      whole('bytes_received', 80, 8),
      whole('bytes_acked', 88, 8),
      ...inOrder('dsack_dups delivered delivered_ce icsk_retransmits', 96),
    ],
  },
  'xdp-sock': { kind: 'fields', struct: 'bpf_xdp_sock', size: 4, fields: [whole('queue_id', 0)] },
} as const satisfies Record<string, FieldContext>;
