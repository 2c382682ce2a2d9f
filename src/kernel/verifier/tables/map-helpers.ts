// Maps in programs: which map type goes with which helper (check_map_func_compatibility), which program may use it
// (check_map_prog_compatibility) and what its values may contain (map_check_btf).

import { helperNames } from '../../../bpf/helpers.js';
import { AttachType, MapType, ProgType } from '../../../bpf/types.js';
import type { MapUse, ValueField } from './types.js';

const words = (text: string): readonly string[] => text.split(' ');
const locks: readonly ValueField[] = ['spin-lock', 'res-spin-lock'];
const kept: readonly ValueField[] = [
  'timer',
  'workqueue',
  'task-work',
  'kptr',
  'refcount',
  'list-head',
  'rb-root',
];
const perCpu: readonly ValueField[] = ['kptr', 'refcount'];
const storage: readonly ValueField[] = [...locks, 'kptr', 'refcount'];
const elements = { lookup: 'value', forEach: true, sleepable: true } as const;

/** All map types by number. */
export const mapUses: readonly MapUse[] = [
  { type: MapType.Hash, ...elements, fields: [...locks, ...kept] },
  { type: MapType.Array, ...elements, directValue: true, fields: [...locks, ...kept] },
  { type: MapType.ProgArray, helpers: ['tail_call'] },
  {
    type: MapType.PerfEventArray,
    helpers: words('perf_event_read perf_event_output perf_event_read_value skb_output xdp_output'),
  },
  { type: MapType.PercpuHash, ...elements, fields: perCpu },
  { type: MapType.PercpuArray, ...elements, fields: perCpu },
  { type: MapType.StackTrace, helpers: ['get_stackid'] },
  { type: MapType.CgroupArray, helpers: words('skb_under_cgroup current_task_under_cgroup') },
  { type: MapType.LruHash, ...elements, fields: kept },
  { type: MapType.LruPercpuHash, ...elements, fields: perCpu },
  { type: MapType.LpmTrie, lookup: 'value' },
  { type: MapType.ArrayOfMaps, helpers: ['map_lookup_elem'], lookup: 'map', sleepable: true },
  { type: MapType.HashOfMaps, helpers: ['map_lookup_elem'], lookup: 'map', sleepable: true },
  { type: MapType.Devmap, helpers: words('redirect_map map_lookup_elem'), lookup: 'value' },
  {
    type: MapType.Sockmap,
    helpers: words('sk_redirect_map sock_map_update msg_redirect_map sk_select_reuseport map_lookup_elem'),
    lookup: 'socket',
  },
  { type: MapType.Cpumap, helpers: ['redirect_map'] },
  { type: MapType.Xskmap, helpers: words('redirect_map map_lookup_elem'), lookup: 'xdp-sock' },
  {
    type: MapType.Sockhash,
    helpers: words('sk_redirect_hash sock_hash_update msg_redirect_hash sk_select_reuseport map_lookup_elem'),
    lookup: 'socket',
  },
  { type: MapType.CgroupStorage, helpers: ['get_local_storage'], fields: locks },
  { type: MapType.ReuseportSockarray, helpers: ['sk_select_reuseport'] },
  { type: MapType.PercpuCgroupStorage, helpers: ['get_local_storage'] },
  { type: MapType.Queue, helpers: words('map_peek_elem map_pop_elem map_push_elem'), sleepable: true },
  { type: MapType.Stack, helpers: words('map_peek_elem map_pop_elem map_push_elem'), sleepable: true },
  {
    type: MapType.SkStorage,
    helpers: words('sk_storage_get sk_storage_delete kptr_xchg'),
    sleepable: true,
    fields: storage,
  },
  { type: MapType.DevmapHash, helpers: words('redirect_map map_lookup_elem'), lookup: 'value' },
  { type: MapType.StructOps, notInPrograms: true },
  {
    type: MapType.Ringbuf,
    helpers: words(
      'ringbuf_output ringbuf_reserve ringbuf_query ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr',
    ),
    sleepable: true,
  },
  {
    type: MapType.InodeStorage,
    helpers: words('inode_storage_get inode_storage_delete kptr_xchg'),
    sleepable: true,
    fields: storage,
  },
  {
    type: MapType.TaskStorage,
    helpers: words('task_storage_get task_storage_delete kptr_xchg'),
    sleepable: true,
    fields: [...storage, 'uptr'],
  },
  { type: MapType.BloomFilter, helpers: words('map_peek_elem map_push_elem') },
  { type: MapType.UserRingbuf, helpers: ['user_ringbuf_drain'], sleepable: true },
  {
    type: MapType.CgrpStorage,
    helpers: words('cgrp_storage_get cgrp_storage_delete kptr_xchg'),
    sleepable: true,
    fields: storage,
  },
  { type: MapType.Arena, directValue: true, sleepable: true },
];

const byType = new Map(mapUses.map((row) => [row.type, row]));
/** The row of a map type; undefined for a number that is none. */
export const mapUse = (type: MapType): MapUse | undefined => byType.get(type);

/** Helpers that take any map whose own row does not say otherwise. */
const general: ReadonlySet<string> = new Set(
  words('map_lookup_elem map_update_elem map_delete_elem kptr_xchg'),
);
const ofPerCpu: readonly MapType[] = [MapType.PercpuArray, MapType.PercpuHash, MapType.LruPercpuHash];

/** The only map types that a helper takes; helpers that are not here take those whose rows name no helpers. */
export const mapsOfHelper: ReadonlyMap<string, readonly MapType[]> = (() => {
  const bound = new Map<string, MapType[]>();
  for (const { type, helpers } of mapUses) {
    for (const name of helpers ?? [])
      if (!general.has(name)) bound.set(name, [...(bound.get(name) ?? []), type]);
  }
  bound.set('map_lookup_percpu_elem', [...ofPerCpu]);
  return bound;
})();

const { SocketFilter, SchedCls, SchedAct, Xdp, SkReuseport, FlowDissector, SkLookup, SockOps, Tracing } =
  ProgType;
/** Programs that hold no lock of a socket, so that they may change a sockmap (may_update_sockmap). */
const socketUpdaters: readonly ProgType[] = [
  SocketFilter,
  SchedCls,
  SchedAct,
  Xdp,
  SkReuseport,
  FlowDissector,
  SkLookup,
];

function updatesSockets(name: string, program: ProgType, attach: AttachType): boolean {
  if (program === Tracing) return attach === AttachType.TraceIter;
  // It updates through helpers of its own.
  if (program === SockOps) return name === 'map_delete_elem';
  return socketUpdaters.includes(program);
}

/** Why a map may not be given to a helper, as Linux says it; undefined: it may. */
export function mapHelperRefusal(
  type: MapType,
  helper: number,
  program: ProgType,
  attach: AttachType,
): string | undefined {
  const name = helperNames[helper] ?? 'unknown';
  const refused = `cannot pass map_type ${type} into func bpf_${name}#${helper}`;
  const row = mapUse(type);
  if (row?.helpers && !row.helpers.includes(name)) {
    const updates = name === 'map_update_elem' || name === 'map_delete_elem';
    if (!updates || (type !== MapType.Sockmap && type !== MapType.Sockhash)) return refused;
    if (!updatesSockets(name, program, attach)) return `cannot update sockmap in this context\n${refused}`;
  }
  const types = mapsOfHelper.get(name);
  return types && !types.includes(type) ? refused : undefined;
}

/** Programs that may run anywhere, so that locks, timers, lists and trees are not for them (is_tracing_prog_type). */
const anywhere: readonly ProgType[] = [
  ProgType.Kprobe,
  ProgType.Tracepoint,
  ProgType.PerfEvent,
  ProgType.RawTracepoint,
  ProgType.RawTracepointWritable,
];

/** Why a program may not use a map, as Linux says it; undefined: it may. */
export function mapProgramRefusal(
  type: MapType,
  fields: readonly ValueField[],
  program: ProgType,
  sleepable: boolean,
): string | undefined {
  const has = (field: ValueField) => fields.includes(field);
  const traces = anywhere.includes(program);
  if (traces && (has('list-head') || has('rb-root'))) {
    return 'tracing progs cannot use bpf_{list_head,rb_root} yet';
  }
  if (has('spin-lock')) {
    if (program === SocketFilter) return 'socket filter progs cannot use bpf_spin_lock yet';
    if (traces) return 'tracing progs cannot use bpf_spin_lock yet';
  }
  if (traces && has('timer')) return 'tracing progs cannot use bpf_timer yet';
  if (traces && has('workqueue')) return 'tracing progs cannot use bpf_wq yet';
  const row = mapUse(type);
  if (row?.notInPrograms) return 'bpf_struct_ops map cannot be used in prog';
  if (sleepable && !row?.sleepable) {
    return 'Sleepable programs can only use array, hash, ringbuf and local storage maps';
  }
  return undefined;
}
