// What the programs for comparing verifiers are loaded into: types of programs with the fields of their contexts, maps, and
// helpers with what their arguments are to be.

import { AttachType, MapFlag, MapType, ProgType } from '../../../src/bpf/types.js';

/** A type of programs as the generator knows it. */
export interface ProgramKind {
  readonly type: ProgType;
  readonly attachType?: AttachType;
  /** Offsets of 32-bit fields; a program may be refused for some of them. */
  readonly fields: readonly number[];
  /** Offsets of data and data_end, where there is a packet. */
  readonly packet?: readonly [number, number];
  /** Whether LD_ABS and LD_IND may be used. */
  readonly legacyLoads?: true;
  /** Fields of 64 bits, in place of those of 32. */
  readonly wide?: true;
  readonly helpers: readonly HelperName[];
}

const SKB_FIELDS = [0, 4, 8, 12, 16, 24, 32, 36, 40, 48, 52, 64, 68, 72, 152, 160, 164] as const;

/** What an argument is meant to be: a kind of pointer, or a scalar with bounds. */
export type Argument =
  | 'any'
  | 'scalar'
  | 'ctx'
  | 'map'
  | 'key'
  | 'value'
  /** Memory, and behind it its size. */
  | 'mem'
  | 'size'
  | 'flags'
  | 'zero'
  | 'reserved'
  | 'socket';

export interface HelperShape {
  readonly id: number;
  readonly args: readonly Argument[];
  /** Which map its map is to be. */
  readonly maps?: readonly MapName[];
  readonly gives?: 'valueOrNull' | 'reservedOrNull' | 'socketOrNull';
  /** Takes r1's object away. */
  readonly releases?: true;
  /** Pointers into the packet are lost. */
  readonly movesPacket?: true;
}

export const MAPS = {
  array: { type: MapType.Array, keySize: 4, valueSize: 48, maxEntries: 3 },
  one: { type: MapType.Array, keySize: 4, valueSize: 24, maxEntries: 1 },
  constants: {
    type: MapType.Array,
    keySize: 4,
    valueSize: 32,
    maxEntries: 1,
    flags: MapFlag.RdonlyProg,
    frozen: true,
  },
  hash: { type: MapType.Hash, keySize: 8, valueSize: 40, maxEntries: 4 },
  lru: { type: MapType.LruHash, keySize: 4, valueSize: 16, maxEntries: 4 },
  percpu: { type: MapType.PercpuArray, keySize: 4, valueSize: 16, maxEntries: 2 },
  programs: { type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: 4 },
  events: { type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 4 },
  ring: { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 },
  queue: { type: MapType.Queue, keySize: 0, valueSize: 16, maxEntries: 4 },
} as const satisfies Record<
  string,
  {
    type: MapType;
    keySize: number;
    valueSize: number;
    maxEntries: number;
    flags?: number;
    frozen?: boolean;
  }
>;
export type MapName = keyof typeof MAPS;
export const MAP_NAMES = Object.keys(MAPS) as MapName[];
/** Maps that a lookup finds values in. */
export const LOOKUPS = ['array', 'one', 'constants', 'hash', 'lru', 'percpu'] as const satisfies MapName[];
/** Arrays whose values have addresses of their own. */
export const DIRECT = ['array', 'one', 'constants'] as const satisfies MapName[];

export const HELPERS = {
  map_lookup_elem: { id: 1, args: ['map', 'key'], maps: LOOKUPS, gives: 'valueOrNull' },
  map_update_elem: {
    id: 2,
    args: ['map', 'key', 'value', 'flags'],
    maps: ['array', 'one', 'hash', 'lru', 'percpu', 'constants'],
  },
  map_delete_elem: { id: 3, args: ['map', 'key'], maps: ['hash', 'lru', 'array'] },
  probe_read_kernel: { id: 113, args: ['mem', 'size', 'any'] },
  ktime_get_ns: { id: 5, args: [] },
  trace_printk: { id: 6, args: ['mem', 'size', 'scalar', 'scalar', 'scalar'] },
  get_prandom_u32: { id: 7, args: [] },
  get_smp_processor_id: { id: 8, args: [] },
  skb_store_bytes: { id: 9, args: ['ctx', 'scalar', 'mem', 'size', 'flags'], movesPacket: true },
  tail_call: { id: 12, args: ['ctx', 'map', 'scalar'], maps: ['programs'] },
  get_current_pid_tgid: { id: 14, args: [] },
  get_current_comm: { id: 16, args: ['mem', 'size'] },
  perf_event_output: { id: 25, args: ['ctx', 'map', 'scalar', 'mem', 'size'], maps: ['events'] },
  skb_load_bytes: { id: 26, args: ['ctx', 'scalar', 'mem', 'size'] },
  csum_diff: { id: 28, args: ['mem', 'size', 'mem', 'size', 'scalar'] },
  skb_pull_data: { id: 39, args: ['ctx', 'scalar'], movesPacket: true },
  xdp_adjust_head: { id: 44, args: ['ctx', 'scalar'], movesPacket: true },
  xdp_adjust_tail: { id: 65, args: ['ctx', 'scalar'], movesPacket: true },
  sk_lookup_tcp: {
    id: 84,
    args: ['ctx', 'mem', 'size', 'scalar', 'zero'],
    gives: 'socketOrNull',
  },
  sk_release: { id: 86, args: ['socket'], releases: true },
  map_push_elem: { id: 87, args: ['map', 'value', 'flags'], maps: ['queue'] },
  map_pop_elem: { id: 88, args: ['map', 'value'], maps: ['queue'] },
  strtol: { id: 105, args: ['mem', 'size', 'flags', 'mem'] },
  ringbuf_output: { id: 130, args: ['map', 'mem', 'size', 'flags'], maps: ['ring'] },
  ringbuf_reserve: { id: 131, args: ['map', 'size', 'zero'], maps: ['ring'], gives: 'reservedOrNull' },
  ringbuf_submit: { id: 132, args: ['reserved', 'zero'], releases: true },
  ringbuf_discard: { id: 133, args: ['reserved', 'zero'], releases: true },
  map_lookup_percpu_elem: {
    id: 195,
    args: ['map', 'key', 'scalar'],
    maps: ['percpu'],
    gives: 'valueOrNull',
  },
} as const satisfies Record<string, HelperShape>;
export type HelperName = keyof typeof HELPERS;

const COMMON: readonly HelperName[] = [
  'map_lookup_elem',
  'map_lookup_elem',
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'ktime_get_ns',
  'trace_printk',
  'get_prandom_u32',
  'get_prandom_u32',
  'get_smp_processor_id',
  'tail_call',
  'map_push_elem',
  'map_pop_elem',
  'ringbuf_output',
  'ringbuf_reserve',
  'ringbuf_submit',
  'ringbuf_discard',
  'perf_event_output',
  'map_lookup_percpu_elem',
];
const SKB: readonly HelperName[] = [...COMMON, 'skb_load_bytes', 'sk_lookup_tcp', 'sk_release'];
const TRACING: readonly HelperName[] = [
  ...COMMON,
  'probe_read_kernel',
  'get_current_pid_tgid',
  'get_current_comm',
];

export const KINDS: readonly ProgramKind[] = [
  {
    type: ProgType.Xdp,
    fields: [8, 12, 16, 20],
    packet: [0, 4],
    helpers: [...COMMON, 'csum_diff', 'xdp_adjust_head', 'xdp_adjust_tail', 'sk_lookup_tcp', 'sk_release'],
  },
  {
    type: ProgType.SchedCls,
    fields: SKB_FIELDS,
    packet: [76, 80],
    legacyLoads: true,
    helpers: [...SKB, 'skb_store_bytes', 'csum_diff', 'skb_pull_data'],
  },
  {
    type: ProgType.SocketFilter,
    fields: SKB_FIELDS,
    legacyLoads: true,
    helpers: [...COMMON, 'skb_load_bytes'],
  },
  {
    type: ProgType.CgroupSkb,
    attachType: AttachType.CgroupInetEgress,
    fields: SKB_FIELDS,
    packet: [76, 80],
    helpers: SKB,
  },
  { type: ProgType.Kprobe, fields: [0, 8, 16, 80, 112], wide: true, helpers: TRACING },
  { type: ProgType.Tracepoint, fields: [8, 16, 24, 32], wide: true, helpers: TRACING },
  { type: ProgType.RawTracepoint, fields: [0, 8, 16], wide: true, helpers: [...TRACING, 'strtol'] },
  { type: ProgType.CgroupSysctl, fields: [0, 4], helpers: [...COMMON, 'strtol'] },
];
