// Sockets, addresses, messages: what programs see of them, and where the kernel has it.

import type { InsnFields } from '../code.js';
import { alu32Imm, goto, jumpImm, load, mov32Imm, movImm, store, storeAs } from '../emit.js';
import { bytesOf } from '../layout.js';
import { sharedInfo } from './skb.js';
import {
  type ContextAccess,
  type Conversion,
  type Conversions,
  type Converted,
  field,
  follow,
  read,
  readIfThere,
  spare,
  through,
  writeThrough,
} from './words.js';

const NO_QUEUE = 0xffff;
const V6_REMOTE = 'sock_common.skc_v6_daddr.in6_u.u6_addr32';
const V6_LOCAL = 'sock_common.skc_v6_rcv_saddr.in6_u.u6_addr32';

/** A kernel that does not know the queue says that there is none. */
const rxQueue: Conversion = (access) => {
  const { dst } = access.insn;
  const queue = 'sock_common.skc_rx_queue_mapping';
  if (!access.layout.has(queue)) return { insns: [movImm(dst, -1)], target: 4 };
  const { insns, target } = follow(access, queue);
  return { insns: [...insns, jumpImm('JNE', dst, NO_QUEUE, 1), movImm(dst, -1)], target };
};

/** struct bpf_sock, as a context and behind pointers. */
export const sock: Conversions = {
  bound_dev_if: field('sock.__sk_common.skc_bound_dev_if'),
  family: field('sock_common.skc_family'),
  type: field('sock.sk_type'),
  protocol: field('sock.sk_protocol'),
  mark: field('sock.sk_mark'),
  priority: field('sock.sk_priority'),
  src_ip4: field('sock_common.skc_rcv_saddr', 'access'),
  src_ip6: field(V6_LOCAL, 'access'),
  src_port: field('sock_common.skc_num'),
  dst_port: field('sock_common.skc_dport'),
  dst_ip4: field('sock_common.skc_daddr', 'access'),
  dst_ip6: field(V6_REMOTE, 'access'),
  state: field('sock_common.skc_state'),
  rx_queue_mapping: rxQueue,
};

const names = (list: string, structure: string, convert: (path: string) => Conversion): Conversions =>
  Object.fromEntries(list.split(' ').map((name) => [name, convert(`${structure}.${name}`)]));

/** Counters of a connection that struct bpf_tcp_sock and struct bpf_sock_ops both show. */
const COUNTERS =
  'snd_cwnd srtt_us snd_ssthresh rcv_nxt snd_nxt snd_una mss_cache ecn_flags rate_delivered rate_interval_us packets_out ' +
  'retrans_out total_retrans segs_in data_segs_in segs_out data_segs_out lost_out sacked_out bytes_received bytes_acked';

/** Of the smallest round trip time the newest sample, which is the first. */
const RTT_MIN = 'tcp_sock.rtt_min.s';
const rttMin = (access: ContextAccess, from: number): InsnFields =>
  load(4, access.insn.dst, from, access.layout.offset(RTT_MIN) + access.layout.offset('minmax_sample.v'));

export const tcpSock: Conversions = {
  ...names(`${COUNTERS} dsack_dups delivered delivered_ce`, 'tcp_sock', (path) => read(path)),
  rtt_min: (access) => ({ insns: [rttMin(access, access.insn.src)], target: 4 }),
  icsk_retransmits: read('inet_connection_sock.icsk_retransmits'),
};

export const xdpSock: Conversions = { queue_id: read('xdp_sock.queue_id') };

const ADDRESS = 'bpf_sock_addr_kern';
const TEMP = `${ADDRESS}.tmp_reg`;
const address = (path: string): Conversion => through(TEMP, [`${ADDRESS}.uaddr`, path], 'access');

/** The port is narrower in the kernel, and at the same place for both families. */
const userPort: Conversion = (access) => {
  const path = [`${ADDRESS}.uaddr`, 'sockaddr_in6.sin6_port'];
  const bytes = access.size === 1 ? 1 : 2;
  if (access.write) return writeThrough(access, TEMP, path, bytes);
  const { insns } = follow({ ...access, size: bytes }, path, 'access');
  return { insns, target: 2 };
};

export const sockAddr: Conversions = {
  user_family: read([`${ADDRESS}.uaddr`, 'sockaddr.sa_family']),
  user_ip4: address('sockaddr_in.sin_addr'),
  user_ip6: address('sockaddr_in6.sin6_addr.in6_u.u6_addr32'),
  user_port: userPort,
  family: read([`${ADDRESS}.sk`, 'sock.__sk_common.skc_family']),
  type: read([`${ADDRESS}.sk`, 'sock.sk_type']),
  protocol: read([`${ADDRESS}.sk`, 'sock.sk_protocol']),
  msg_src_ip4: through(TEMP, [`${ADDRESS}.t_ctx`, 'in_addr.s_addr'], 'access'),
  msg_src_ip6: through(TEMP, [`${ADDRESS}.t_ctx`, 'in6_addr.in6_u.u6_addr32'], 'access'),
  sk: read(`${ADDRESS}.sk`),
};

const OPS = 'bpf_sock_ops_kern';
const ofSock = (path: string): Conversion => read([`${OPS}.sk`, path]);

/** Where the program holds the lock of a TCP socket, and may see its fields. */
const LOCKED = `${OPS}.is_locked_tcp_sock`;

/**
 * What is there only where `flag` is set: 0 otherwise. When source and destination are the same register, another one is borrowed for
 * the test, which `temp` keeps meanwhile.
 */
function ifSocket(access: ContextAccess, flag: string, last: readonly InsnFields[]): Converted {
  const { insn, layout } = access;
  const { dst, src } = insn;
  const full = layout.field(flag);
  const toSocket = load(8, dst, src, layout.offset(`${OPS}.sk`));
  const test = (register: number, skip: number) => [
    load(bytesOf(full), register, src, full.offset),
    jumpImm('JEQ', register, 0, skip),
  ];
  const rest = [toSocket, ...last];
  if (dst !== src) return { insns: [...test(dst, rest.length), ...rest], target: 4 };
  const register = spare(insn);
  const saved = layout.offset(`${OPS}.temp`);
  const restore = load(8, register, src, saved);
  return {
    insns: [
      store(8, src, register, saved),
      ...test(register, rest.length + 2),
      restore,
      ...rest,
      goto(2),
      { ...restore },
      movImm(dst, 0),
    ],
    target: 4,
  };
}

const ofTcpSocket =
  (path: string): Conversion =>
  (access) => {
    const { dst } = access.insn;
    const found = access.layout.field(path);
    return ifSocket(access, LOCKED, [load(bytesOf(found), dst, dst, found.offset)]);
  };

const txHash: Conversion = (access) => {
  const { insn, write, layout } = access;
  if (!write) return ofTcpSocket('sock.sk_txhash')(access);
  const register = spare(insn);
  const saved = layout.offset(`${OPS}.temp`);
  const full = layout.field(LOCKED);
  return {
    insns: [
      store(8, insn.dst, register, saved),
      load(bytesOf(full), register, insn.dst, full.offset),
      jumpImm('JEQ', register, 0, 2),
      load(8, register, insn.dst, layout.offset(`${OPS}.sk`)),
      storeAs(insn, 4, register, layout.offset('sock.sk_txhash')),
      load(8, register, insn.dst, saved),
    ],
    target: 4,
  };
};

const tcpFlags: Conversion = ({ insn: { dst, src }, layout }) => {
  const flags = layout.field('tcp_skb_cb.tcp_flags');
  return {
    insns: [
      load(8, dst, src, layout.offset(`${OPS}.skb`)),
      jumpImm('JEQ', dst, 0, 1),
      load(bytesOf(flags), dst, dst, layout.offset('sk_buff.cb') + flags.offset),
    ],
    target: flags.size,
  };
};

const hardwareTimestamp: Conversion = ({ insn: { dst, src }, layout }) => {
  const rest = [
    ...sharedInfo(layout, dst, dst),
    load(8, dst, dst, layout.offset('skb_shared_info.hwtstamps')),
  ];
  return {
    insns: [load(8, dst, src, layout.offset(`${OPS}.skb`)), jumpImm('JEQ', dst, 0, rest.length), ...rest],
    target: 8,
  };
};

/** Ports of the other side are in the upper half, in network order. */
const remotePort =
  (path: string): Conversion =>
  (access) => {
    const { insns, target } = follow(access, [path, 'sock_common.skc_dport']);
    return { insns: [...insns, alu32Imm('LSH', access.insn.dst, 16)], target };
  };

/** Addresses and state of the socket behind a field. */
const ofSocket = (path: string): Conversions => ({
  family: read([path, 'sock_common.skc_family']),
  remote_ip4: read([path, 'sock_common.skc_daddr']),
  local_ip4: read([path, 'sock_common.skc_rcv_saddr']),
  remote_ip6: read([path, V6_REMOTE]),
  local_ip6: read([path, V6_LOCAL]),
  remote_port: remotePort(path),
  local_port: read([path, 'sock_common.skc_num']),
});

export const sockOps: Conversions = {
  ...ofSocket(`${OPS}.sk`),
  ...names(`${COUNTERS} bpf_sock_ops_cb_flags`, 'tcp_sock', ofTcpSocket),
  op: read(`${OPS}.op`),
  reply: field(`${OPS}.replylong`),
  // The reply's own place comes first.
  args: (access) => field(`${OPS}.replylong`)({ ...access, at: access.at + 4 }),
  is_fullsock: read(`${OPS}.is_fullsock`),
  state: ofSock('sock_common.skc_state'),
  rtt_min: (access) => ({
    insns: [...follow(access, `${OPS}.sk`).insns, rttMin(access, access.insn.dst)],
    target: 4,
  }),
  sk_txhash: txHash,
  sk: (access) => ifSocket(access, `${OPS}.is_fullsock`, []),
  skb_data: readIfThere(`${OPS}.skb`, 'sk_buff.data'),
  skb_data_end: read(`${OPS}.skb_data_end`),
  skb_len: readIfThere(`${OPS}.skb`, 'sk_buff.len'),
  skb_tcp_flags: tcpFlags,
  skb_hwtstamp: hardwareTimestamp,
};

export const skMsg: Conversions = {
  ...ofSocket('sk_msg.sk'),
  data: read('sk_msg.data'),
  data_end: read('sk_msg.data_end'),
  size: read('sk_msg_sg.size'),
  sk: read('sk_msg.sk'),
};

const REUSEPORT = 'sk_reuseport_kern';
export const skReuseport: Conversions = {
  data: read([`${REUSEPORT}.skb`, 'sk_buff.data']),
  data_end: read(`${REUSEPORT}.data_end`),
  len: read([`${REUSEPORT}.skb`, 'sk_buff.len']),
  eth_protocol: read([`${REUSEPORT}.skb`, 'sk_buff.protocol']),
  ip_protocol: read([`${REUSEPORT}.sk`, 'sock.sk_protocol']),
  bind_inany: read(`${REUSEPORT}.bind_inany`),
  hash: read(`${REUSEPORT}.hash`),
  sk: read(`${REUSEPORT}.sk`),
  migrating_sk: read(`${REUSEPORT}.migrating_sk`),
};

const LOOKUP = 'bpf_sk_lookup_kern';
const v6 =
  (path: string): Conversion =>
  (access) =>
    readIfThere(`${LOOKUP}.${path}`, 'in6_addr.in6_u.u6_addr32')(access);
export const skLookup: Conversions = {
  sk: read(`${LOOKUP}.selected_sk`),
  family: read(`${LOOKUP}.family`),
  protocol: read(`${LOOKUP}.protocol`),
  remote_ip4: read(`${LOOKUP}.v4.saddr`),
  remote_ip6: v6('v6.saddr'),
  remote_port: read(`${LOOKUP}.sport`),
  padding: ({ insn }) => ({ insns: [mov32Imm(insn.dst, 0)], target: 2 }),
  local_ip4: read(`${LOOKUP}.v4.daddr`),
  local_ip6: v6('v6.daddr'),
  local_port: read(`${LOOKUP}.dport`),
  ingress_ifindex: read(`${LOOKUP}.ingress_ifindex`),
};
