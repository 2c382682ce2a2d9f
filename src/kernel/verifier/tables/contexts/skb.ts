// struct __sk_buff: a packet as socket filters, classifiers, cgroup, lightweight-tunnel and stream programs see it.
// Each of them hides some fields and lets others be written.

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { ContextField, FieldContext, ProgramRules } from '../types.js';
import {
  packetEnd,
  packetMeta,
  packetStart,
  pointer,
  sockCommonOrNull,
  u32,
  whole,
  words,
  writable,
} from './fields.js';

/** Everything that any of them can read. */
const layout: readonly ContextField[] = [
  u32('len', 0),
  u32('pkt_type', 4),
  u32('mark', 8),
  u32('queue_mapping', 12),
  u32('protocol', 16),
  u32('vlan_present', 20),
  u32('vlan_tci', 24),
  u32('vlan_proto', 28),
  u32('priority', 32),
  u32('ingress_ifindex', 36),
  u32('ifindex', 40),
  u32('tc_index', 44),
  { name: 'cb', offset: 48, size: 20, unit: 4, read: { sizes: 'any' } },
  u32('hash', 68),
  u32('tc_classid', 72),
  whole('data', 76),
  whole('data_end', 80),
  u32('napi_id', 84),
  u32('family', 88),
  whole('remote_ip4', 92),
  whole('local_ip4', 96),
  words('remote_ip6', 100, 4),
  words('local_ip6', 116, 4),
  u32('remote_port', 132),
  u32('local_port', 136),
  whole('data_meta', 140),
  pointer('flow_keys', 144, { kind: 'flow-keys' }),
  whole('tstamp', 152, 8),
  u32('wire_len', 160),
  u32('gso_segs', 164),
  pointer('sk', 168, sockCommonOrNull),
  u32('gso_size', 176),
  whole('tstamp_type', 180, 1),
  whole('hwtstamp', 184, 8),
];

/** From `family` to `local_port`: what is known once there is a socket. */
const socketFields: readonly string[] = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
];
const pointers = {
  data: packetStart,
  data_end: packetEnd,
  data_meta: packetMeta,
} as const;

/** A view of struct __sk_buff. */
const view = (hide: readonly string[], write: readonly string[]): FieldContext => ({
  kind: 'fields',
  struct: '__sk_buff',
  size: 192,
  fields: layout
    .filter(({ name }) => !hide.includes(name))
    .map((field: ContextField) => {
      const yields = pointers[field.name as keyof typeof pointers];
      const seen = yields ? { ...field, yields } : field;
      if (!write.includes(field.name)) return seen;
      return writable(seen, field.name === 'cb' ? 'any' : 'exact');
    }),
});

/** What of it needs CAP_BPF where programs may be loaded without. */
const forOthers = (context: FieldContext): FieldContext => ({
  ...context,
  fields: context.fields.map((field) => {
    const { name, read, write } = field;
    if (read && (name === 'data' || name === 'data_end'))
      return { ...field, read: { ...read, capability: 'bpf' } };
    return write && name === 'tstamp' ? { ...field, write: { ...write, capability: 'bpf' } } : field;
  }),
});

const lwt = view(
  ['tc_classid', 'data_meta', 'flow_keys', 'tstamp', 'tstamp_type', 'wire_len', 'hwtstamp', ...socketFields],
  ['mark', 'priority', 'cb'],
);
const classifier = view(
  ['flow_keys', ...socketFields],
  ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
);

const anything = [{ range: 'any' }] as const;
const network = { kernelContext: 'sk_buff', capability: 'net-admin', returns: anything } as const;

export const skbPrograms: readonly ProgramRules[] = [
  {
    type: ProgType.SocketFilter,
    kernelContext: 'sk_buff',
    context: view(
      [
        'tc_classid',
        'data',
        'data_end',
        'data_meta',
        'flow_keys',
        'tstamp',
        'tstamp_type',
        'wire_len',
        'hwtstamp',
        ...socketFields,
      ],
      ['cb'],
    ),
    packetLoads: true,
    returns: anything,
    capability: 'none',
  },
  {
    type: ProgType.SchedCls,
    ...network,
    context: classifier,
    packet: { read: true, write: true },
    packetLoads: true,
  },
  {
    type: ProgType.SchedAct,
    ...network,
    context: classifier,
    packet: { read: true, write: true },
    packetLoads: true,
  },
  {
    type: ProgType.CgroupSkb,
    kernelContext: 'sk_buff',
    attachTypes: [AttachType.CgroupInetIngress, AttachType.CgroupInetEgress],
    context: forOthers(
      view(
        ['tc_classid', 'data_meta', 'flow_keys', 'tstamp_type', 'wire_len'],
        ['mark', 'priority', 'cb', 'tstamp'],
      ),
    ),
    packet: { read: true },
    // Egress: the second bit asks for congestion notification.
    returns: [{ attach: [AttachType.CgroupInetEgress], range: [0, 3] }, { range: [0, 1] }],
    capability: 'none',
  },
  { type: ProgType.LwtIn, ...network, context: lwt, packet: { read: true } },
  { type: ProgType.LwtOut, ...network, context: lwt, packet: { read: true } },
  { type: ProgType.LwtXmit, ...network, context: lwt, packet: { read: true, write: true } },
  { type: ProgType.LwtSeg6local, ...network, context: lwt, packet: { read: true } },
  {
    type: ProgType.SkSkb,
    ...network,
    context: view(
      ['mark', 'tc_classid', 'data_meta', 'flow_keys', 'tstamp', 'tstamp_type', 'wire_len', 'hwtstamp'],
      ['tc_index', 'priority'],
    ),
    packet: { read: true, write: true },
  },
  {
    type: ProgType.FlowDissector,
    ...network,
    kernelContext: 'bpf_flow_dissector',
    context: view(
      layout.map(({ name }) => name).filter((name) => !['data', 'data_end', 'flow_keys'].includes(name)),
      [],
    ),
    packet: { read: true },
  },
];

/** Bytes of struct bpf_flow_keys, which `flow_keys` points to: any of them may be read and written. */
export const FLOW_KEYS_SIZE = 56;
