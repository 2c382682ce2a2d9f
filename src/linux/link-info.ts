// What the kernel says of a link (struct bpf_link_info). Names and arrays are asked for once the type is known.

import type { Fd, LinkInfo, PerfLinkEvent } from '../bpf/bpf.js';
import { type AttachType, LinkType } from '../bpf/types.js';
import { infos } from './attributes.js';
import { bytesOf, fromCString, type Session } from './session.js';
import type { Struct, Values } from './struct.js';

type Fields = typeof infos.bpf_link_info;
type Info = Struct<Fields>;

/** PATH_MAX; no other name is longer. */
const NAME_ROOM = 4096;

/** enum bpf_perf_event_type */
const PerfEventType = { Uprobe: 1, Uretprobe: 2, Kprobe: 3, Kretprobe: 4, Tracepoint: 5, Event: 6 } as const;

export function linkInfo(session: Session, fd: Fd): LinkInfo {
  const ask = (values: Values<Fields> = {}): Info => session.info(infos.bpf_link_info, fd, values);
  const first = ask();
  const id = first.u32('id');
  const progId = first.u32('prog_id');
  const type = first.u32('type') as LinkType;
  const base = { id, progId };
  switch (type) {
    case LinkType.RawTracepoint: {
      const name = new Uint8Array(NAME_ROOM);
      const info = ask({ 'raw_tracepoint.tp_name': name, 'raw_tracepoint.tp_name_len': name.length });
      return { type, ...base, name: fromCString(name), cookie: info.u64('raw_tracepoint.cookie') };
    }
    case LinkType.Tracing:
      return {
        type,
        ...base,
        attachType: first.u32('tracing.attach_type') as AttachType,
        targetObjId: first.u32('tracing.target_obj_id'),
        targetBtfId: first.u32('tracing.target_btf_id'),
        cookie: first.u64('tracing.cookie'),
      };
    case LinkType.Cgroup:
      return {
        type,
        ...base,
        cgroupId: first.u64('cgroup.cgroup_id'),
        attachType: first.u32('cgroup.attach_type') as AttachType,
      };
    case LinkType.Iter:
      return { type, ...base, ...iterator(ask) };
    case LinkType.Netns:
      return {
        type,
        ...base,
        netnsIno: first.u32('netns.netns_ino'),
        attachType: first.u32('netns.attach_type') as AttachType,
      };
    case LinkType.Xdp:
      return { type, ...base, ifindex: first.u32('xdp.ifindex') };
    case LinkType.PerfEvent:
      return { type, ...base, event: perfEvent(first, ask) };
    case LinkType.KprobeMulti: {
      const count = first.u32('kprobe_multi.count');
      const addresses = new BigUint64Array(count);
      const cookies = new BigUint64Array(count);
      const info = ask({
        'kprobe_multi.addrs': bytesOf(addresses),
        'kprobe_multi.cookies': bytesOf(cookies),
        'kprobe_multi.count': count,
      });
      return {
        type,
        ...base,
        addresses: [...addresses],
        cookies: [...cookies],
        flags: info.u32('kprobe_multi.flags'),
        missed: info.u64('kprobe_multi.missed'),
      };
    }
    case LinkType.StructOps:
      return { type, ...base, mapId: first.u32('struct_ops.map_id') };
    case LinkType.Netfilter:
      return {
        type,
        ...base,
        pf: first.u32('netfilter.pf'),
        hooknum: first.u32('netfilter.hooknum'),
        // Signed.
        priority: first.u32('netfilter.priority') | 0,
        flags: first.u32('netfilter.flags'),
      };
    case LinkType.Tcx:
    case LinkType.Netkit:
      // Both lie in the same place.
      return {
        type,
        ...base,
        ifindex: first.u32('tcx.ifindex'),
        attachType: first.u32('tcx.attach_type') as AttachType,
      };
    case LinkType.UprobeMulti:
      return { type, ...base, ...uprobes(first, ask) };
    case LinkType.Sockmap:
      return {
        type,
        ...base,
        mapId: first.u32('sockmap.map_id'),
        attachType: first.u32('sockmap.attach_type') as AttachType,
      };
    default:
      return { type: LinkType.Unspec, ...base };
  }
}

type Ask = (values: Values<Fields>) => Info;

function iterator(ask: Ask) {
  const name = new Uint8Array(NAME_ROOM);
  const info = ask({ 'iter.target_name': name, 'iter.target_name_len': name.length });
  const targetName = fromCString(name);
  const mapId = info.u32('iter.map.map_id');
  if (targetName === 'cgroup') {
    const cgroup = { id: info.u64('iter.cgroup.cgroup_id'), order: info.u32('iter.cgroup.order') };
    return { targetName, cgroup };
  }
  if (targetName.startsWith('task')) {
    return { targetName, task: { tid: info.u32('iter.task.tid'), pid: info.u32('iter.task.pid') } };
  }
  return mapId === 0 ? { targetName } : { targetName, mapId };
}

function uprobes(first: Info, ask: Ask) {
  const count = first.u32('uprobe_multi.count');
  const [path, offsets, refCtrOffsets, cookies] = [
    new Uint8Array(NAME_ROOM),
    new BigUint64Array(count),
    new BigUint64Array(count),
    new BigUint64Array(count),
  ];
  const info = ask({
    'uprobe_multi.path': path,
    'uprobe_multi.path_size': path.length,
    'uprobe_multi.offsets': bytesOf(offsets),
    'uprobe_multi.ref_ctr_offsets': bytesOf(refCtrOffsets),
    'uprobe_multi.cookies': bytesOf(cookies),
    'uprobe_multi.count': count,
  });
  return {
    path: fromCString(path),
    offsets: [...offsets],
    refCtrOffsets: [...refCtrOffsets],
    cookies: [...cookies],
    flags: info.u32('uprobe_multi.flags'),
    pid: info.u32('uprobe_multi.pid'),
  };
}

function perfEvent(first: Info, ask: Ask): PerfLinkEvent {
  const name = new Uint8Array(NAME_ROOM);
  const type = first.u32('perf_event.type');
  switch (type) {
    case PerfEventType.Uprobe:
    case PerfEventType.Uretprobe: {
      const info = ask({ 'perf_event.uprobe.file_name': name, 'perf_event.uprobe.name_len': name.length });
      return {
        kind: type === PerfEventType.Uprobe ? 'uprobe' : 'uretprobe',
        path: fromCString(name),
        offset: info.u32('perf_event.uprobe.offset'),
        cookie: info.u64('perf_event.uprobe.cookie'),
        refCtrOffset: info.u64('perf_event.uprobe.ref_ctr_offset'),
      };
    }
    case PerfEventType.Kprobe:
    case PerfEventType.Kretprobe: {
      const info = ask({ 'perf_event.kprobe.func_name': name, 'perf_event.kprobe.name_len': name.length });
      return {
        kind: type === PerfEventType.Kprobe ? 'kprobe' : 'kretprobe',
        function: fromCString(name),
        offset: info.u32('perf_event.kprobe.offset'),
        address: info.u64('perf_event.kprobe.addr'),
        missed: info.u64('perf_event.kprobe.missed'),
        cookie: info.u64('perf_event.kprobe.cookie'),
      };
    }
    case PerfEventType.Tracepoint: {
      const info = ask({
        'perf_event.tracepoint.tp_name': name,
        'perf_event.tracepoint.name_len': name.length,
      });
      return {
        kind: 'tracepoint',
        name: fromCString(name),
        cookie: info.u64('perf_event.tracepoint.cookie'),
      };
    }
    case PerfEventType.Event:
      return {
        kind: 'event',
        type: first.u32('perf_event.event.type'),
        config: first.u64('perf_event.event.config'),
        cookie: first.u64('perf_event.event.cookie'),
      };
    default:
      return { kind: 'unknown' };
  }
}
