// struct __sk_buff: the kernel has a sk_buff. What it keeps in bit fields, in its control block, or behind its data takes
// more than one instruction.

import type { InsnFields } from '../code.js';
import { AX, alu, alu32Imm, goto, jump32Imm, jumpImm, load, mov, movImm, store, storeAs } from '../emit.js';
import { bytesOf, type KernelLayout } from '../layout.js';
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
} from './words.js';

/** Bits of the byte at `__mono_tc_offset`: what kind of time `tstamp` is; the packet is on its way in. */
const TIMESTAMP_TYPE = 3;
const AT_INGRESS = 4;
const PACKET_TYPE = 7;
const NO_QUEUE = 0xffff;
/** Ids of NAPI instances begin above the numbers of CPUs that the kernel was built for. */
const firstNapiId = (layout: KernelLayout): number => layout.size('cpumask') * 8 + 1;

const cb = (layout: KernelLayout, name: string): number => layout.offset('sk_buff.cb') + layout.offset(name);

/** A field in the control block: `sk_buff.cb` seen as another structure. */
const inControlBlock =
  (name: string, width: 'field' | 'access' = 'field'): Conversion =>
  ({ insn, write, at, size, layout }) => {
    const bytes = width === 'access' ? size : bytesOf(layout.field(name));
    const offset = cb(layout, name) + at;
    return {
      insns: [write ? storeAs(insn, bytes, insn.dst, offset) : load(bytes, insn.dst, insn.src, offset)],
      target: bytes,
    };
  };

/** Reads what comes after the packet's data. */
export function sharedInfo(layout: KernelLayout, dst: number, skb: number): InsnFields[] {
  return [
    load(4, AX, skb, layout.offset('sk_buff.end')),
    load(8, dst, skb, layout.offset('sk_buff.head')),
    alu('ADD', dst, AX),
  ];
}

const shared =
  (name: string): Conversion =>
  ({ insn: { dst, src }, layout }) => {
    const info = layout.field(name);
    return {
      insns: [...sharedInfo(layout, dst, src), load(bytesOf(info), dst, dst, info.offset)],
      target: info.size,
    };
  };

const socket = (name: string): Conversion => read(['sk_buff.sk', `sock_common.${name}`]);

const queueMapping: Conversion = (access) => {
  const { insn, write, layout } = access;
  if (!write) return follow(access, 'sk_buff.queue_mapping');
  const { offset } = layout.field('sk_buff.queue_mapping');
  const stored = storeAs(insn, 2, insn.dst, offset);
  const immediate = (insn.code & 7) === 2;
  // Numbers that mean no queue are not stored.
  if (immediate) return { insns: insn.imm >= NO_QUEUE ? [goto(0)] : [stored], target: 2 };
  return { insns: [jumpImm('JGE', insn.src, NO_QUEUE, 1), stored], target: 2 };
};

/** Of a packet on its way in `tstamp` may be the time at which it was to be sent. */
const timestamp: Conversion = ({ insn, write, layout, knowsTimestamps }) => {
  const offset = layout.offset('sk_buff.tstamp');
  const flags = layout.offset('sk_buff.__mono_tc_offset');
  if (write) {
    const clear = [
      load(1, AX, insn.dst, flags),
      jump32Imm('JSET', AX, AT_INGRESS, 1),
      goto(2),
      alu32Imm('AND', AX, ~TIMESTAMP_TYPE),
      store(1, insn.dst, AX, flags),
    ];
    return { insns: [...(knowsTimestamps ? [] : clear), storeAs(insn, 8, insn.dst, offset)], target: 8 };
  }
  const hide = [
    load(1, AX, insn.src, flags),
    jump32Imm('JSET', AX, AT_INGRESS, 1),
    goto(4),
    jump32Imm('JSET', AX, TIMESTAMP_TYPE, 1),
    goto(2),
    movImm(insn.dst, 0),
    goto(1),
  ];
  return { insns: [...(knowsTimestamps ? [] : hide), load(8, insn.dst, insn.src, offset)], target: 8 };
};

/** Bits of a byte. */
const bits =
  (byte: string, mask: number): Conversion =>
  ({ insn: { dst, src }, layout }) => ({
    insns: [load(1, dst, src, layout.offset(byte)), alu32Imm('AND', dst, mask)],
    target: 1,
  });

const andThen =
  (conversion: Conversion, more: (access: ContextAccess) => InsnFields[]): Conversion =>
  (access): Converted => {
    const { insns, target } = conversion(access);
    return { insns: [...insns, ...more(access)], target };
  };

/** As all programs see it whose context is a packet. */
export const skb: Conversions = {
  len: field('sk_buff.len'),
  pkt_type: bits('sk_buff.__pkt_type_offset', PACKET_TYPE),
  mark: field('sk_buff.mark'),
  queue_mapping: queueMapping,
  protocol: field('sk_buff.protocol'),
  vlan_present: andThen(field('sk_buff.vlan_all'), ({ insn: { dst } }) => [
    jumpImm('JEQ', dst, 0, 1),
    alu32Imm('MOV', dst, 1),
  ]),
  vlan_tci: field('sk_buff.vlan_tci'),
  vlan_proto: field('sk_buff.vlan_proto'),
  priority: field('sk_buff.priority'),
  ingress_ifindex: field('sk_buff.skb_iif'),
  ifindex: readIfThere('sk_buff.dev', 'net_device.ifindex'),
  tc_index: field('sk_buff.tc_index'),
  cb: inControlBlock('qdisc_skb_cb.data', 'access'),
  hash: field('sk_buff.hash'),
  tc_classid: inControlBlock('qdisc_skb_cb.tc_classid'),
  data: field('sk_buff.data'),
  data_end: inControlBlock('bpf_skb_data_end.data_end'),
  data_meta: inControlBlock('bpf_skb_data_end.data_meta'),
  napi_id: andThen(field('sk_buff.napi_id'), ({ insn: { dst }, layout }) => [
    jumpImm('JGE', dst, firstNapiId(layout), 1),
    movImm(dst, 0),
  ]),
  family: socket('skc_family'),
  remote_ip4: socket('skc_daddr'),
  local_ip4: socket('skc_rcv_saddr'),
  remote_ip6: socket('skc_v6_daddr.in6_u.u6_addr32'),
  local_ip6: socket('skc_v6_rcv_saddr.in6_u.u6_addr32'),
  remote_port: andThen(socket('skc_dport'), ({ insn: { dst } }) => [alu32Imm('LSH', dst, 16)]),
  local_port: socket('skc_num'),
  tstamp: timestamp,
  tstamp_type: bits('sk_buff.__mono_tc_offset', TIMESTAMP_TYPE),
  wire_len: inControlBlock('qdisc_skb_cb.pkt_len'),
  gso_segs: shared('skb_shared_info.gso_segs'),
  gso_size: shared('skb_shared_info.gso_size'),
  sk: read('sk_buff.sk'),
  hwtstamp: shared('skb_shared_info.hwtstamps'),
};

/** Classifiers are never without a device. */
export const classifier: Conversions = { ...skb, ifindex: read(['sk_buff.dev', 'net_device.ifindex']) };

/** Where the linear part of a packet ends is counted. It takes a register more when source and destination are the same. */
const countedEnd: Conversion = ({ insn, layout }) => {
  const { dst, src } = insn;
  const same = dst === src;
  const register = same ? spare(insn) : dst;
  const saved = cb(layout, 'sk_skb_cb.temp_reg');
  return {
    insns: [
      ...(same ? [store(8, src, register, saved)] : []),
      load(8, register, src, layout.offset('sk_buff.data')),
      load(4, AX, src, layout.offset('sk_buff.len')),
      alu('ADD', register, AX),
      load(4, AX, src, layout.offset('sk_buff.data_len')),
      alu('SUB', register, AX),
      ...(same ? [mov(AX, src), mov(dst, register), load(8, register, AX, saved)] : []),
    ],
    target: 8,
  };
};

/** Programs at the stream parser have a control block of their own. */
export const streamed: Conversions = {
  ...skb,
  cb: inControlBlock('sk_skb_cb.data', 'access'),
  data_end: countedEnd,
};

export const flowDissector: Conversions = {
  data: read('bpf_flow_dissector.data'),
  data_end: read('bpf_flow_dissector.data_end'),
  flow_keys: read('bpf_flow_dissector.flow_keys'),
};
