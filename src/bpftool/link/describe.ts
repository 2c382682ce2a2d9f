// What a link is, in both forms. Text goes on behind the header, or on lines of its own that begin with a tab; every fact
// there ends with two blanks. JSON has the members in the order in which they are written here.

import type { LinkInfo } from '../../bpf/bpf.js';
import { attachTypeName, LinkType, linkTypeName, progTypeName } from '../../bpf/types.js';
import type { Json } from '../json-writer.js';
import { type NetfilterLink, netfilterJson, netfilterText } from './netfilter.js';
import { perfEventJson, perfEventText } from './perf-event.js';
import type { Surroundings } from './surroundings.js';

export interface Description {
  text: string;
  json: Readonly<Record<string, Json | undefined>>;
}

type LinkOf<T extends LinkType> = Extract<LinkInfo, { type: T }>;

const nameOr = (name: string | undefined, number: number): string | number => name ?? number;
const attachType = (type: number): string | number => nameOr(attachTypeName(type), type);
const attachTypeText = (type: number): string => `attach_type ${attachType(type)}  `;

/** The whole of a link but where it is pinned. */
export async function describeLink(info: LinkInfo, around: Surroundings): Promise<Description> {
  const { id, type, progId } = info;
  const typeName = linkTypeName(type);
  const { text, json } = await describeType(info, around);
  const subject = info.type === LinkType.StructOps ? `map ${info.mapId}  ` : `prog ${progId}  `;
  return {
    text: `${id}: ${typeName ?? `type ${type}`}  ${subject}${text}`,
    json: { id, type: nameOr(typeName, type), prog_id: progId, ...json },
  };
}

async function describeType(info: LinkInfo, around: Surroundings): Promise<Description> {
  switch (info.type) {
    case LinkType.Unspec:
      return { text: '', json: {} };
    case LinkType.RawTracepoint:
      return {
        text: `\n\ttp '${info.name}'  ${info.cookie ? `cookie ${info.cookie}  ` : ''}`,
        json: { tp_name: info.name, cookie: info.cookie },
      };
    case LinkType.Tracing:
      return tracing(info, around);
    case LinkType.Cgroup:
      return {
        text: `\n\tcgroup_id ${info.cgroupId}  ${attachTypeText(info.attachType)}`,
        json: { cgroup_id: info.cgroupId, attach_type: attachType(info.attachType) },
      };
    case LinkType.Iter:
      return iterator(info);
    case LinkType.Netns:
      return {
        text: `\n\tnetns_ino ${info.netnsIno}  ${attachTypeText(info.attachType)}`,
        json: { netns_ino: info.netnsIno, attach_type: attachType(info.attachType) },
      };
    case LinkType.Netfilter:
      return netfilter(info);
    case LinkType.Xdp:
      return device(info.ifindex, around);
    case LinkType.Tcx:
    case LinkType.Netkit: {
      const { text, json } = await device(info.ifindex, around);
      return {
        text: text + attachTypeText(info.attachType),
        json: { ...json, attach_type: attachType(info.attachType) },
      };
    }
    case LinkType.Sockmap:
      return {
        text: `\n\tmap_id ${info.mapId}  ${attachTypeText(info.attachType)}`,
        json: { map_id: info.mapId, attach_type: attachType(info.attachType) },
      };
    case LinkType.StructOps:
      return { text: '', json: { map_id: info.mapId } };
    case LinkType.KprobeMulti:
      return kprobes(info, around);
    case LinkType.UprobeMulti:
      return uprobes(info);
    case LinkType.PerfEvent:
      return { text: perfEventText(info.event), json: perfEventJson(info.event) };
  }
}

async function tracing(info: LinkOf<typeof LinkType.Tracing>, around: Surroundings): Promise<Description> {
  const { targetObjId, targetBtfId, cookie } = info;
  const progType = await around.progType(info.progId);
  const type = nameOr(progTypeName(progType), progType);
  const target =
    targetObjId || targetBtfId ? `\n\ttarget_obj_id ${targetObjId}  target_btf_id ${targetBtfId}  ` : '';
  return {
    text: `\n\tprog_type ${type}  ${attachTypeText(info.attachType)}${target}${cookie ? `\n\tcookie ${cookie}  ` : ''}`,
    json: {
      prog_type: type,
      attach_type: attachType(info.attachType),
      target_obj_id: targetObjId,
      target_btf_id: targetBtfId,
      cookie,
    },
  };
}

/** enum bpf_cgroup_iter_order */
const cgroupOrders = [
  'order_unspec',
  'self_only',
  'descendants_pre',
  'descendants_post',
  'ancestors_up',
] as const;
const mapIterators: ReadonlySet<string> = new Set(['bpf_map_elem', 'bpf_sk_storage_map']);
const taskIterators: ReadonlySet<string> = new Set(['task', 'task_file', 'task_vma']);

function iterator({ targetName, mapId, cgroup, task }: LinkOf<typeof LinkType.Iter>): Description {
  let text = `target_name ${targetName}  `;
  const json: Record<string, Json> = { target_name: targetName };
  if (mapIterators.has(targetName)) {
    text += `map_id ${mapId ?? 0}  `;
    json.map_id = mapId ?? 0;
  } else if (taskIterators.has(targetName) && task) {
    // One thread, or one process; 0 is all of them.
    const [word, number] = task.tid ? (['tid', task.tid] as const) : (['pid', task.pid] as const);
    if (number) {
      text += `${word} ${number} `;
      json[word] = number;
    }
  } else if (cgroup) {
    const order = cgroupOrders[cgroup.order] ?? 'unknown';
    text += `cgroup_id ${cgroup.id}  order ${order}  `;
    json.cgroup_id = cgroup.id;
    json.order = order;
  }
  return { text, json };
}

const netfilter = (link: NetfilterLink): Description => ({
  text: netfilterText(link),
  json: netfilterJson(link),
});

/** The device of a link: none once the link is detached, unknown when it is in another network namespace. */
async function device(ifindex: number, around: Surroundings): Promise<Description> {
  const name = ifindex === 0 ? '(detached)' : await around.deviceName(ifindex);
  const shown = ifindex !== 0 && name !== undefined ? `${name}(${ifindex})` : (name ?? '(unknown)');
  return { text: `\n\tifindex ${shown}  `, json: { devname: name ?? '(unknown)', ifindex } };
}

/** BPF_F_KPROBE_MULTI_RETURN, BPF_F_UPROBE_MULTI_RETURN */
const ON_RETURN = 1;
const hex = (value: bigint): string => value.toString(16);

async function kprobes(
  info: LinkOf<typeof LinkType.KprobeMulti>,
  around: Surroundings,
): Promise<Description> {
  const { addresses, cookies, flags, missed } = info;
  const onReturn = (flags & ON_RETURN) !== 0;
  const probes = addresses
    .map((address, i) => ({ address, cookie: cookies[i] ?? 0n }))
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  const symbols = probes.length > 0 ? await around.functionsAt(addresses) : undefined;
  const found = probes.flatMap((probe) => {
    const symbol = symbols?.get(probe.address);
    return symbol ? [{ ...probe, ...symbol }] : [];
  });
  const json = {
    retprobe: onReturn,
    func_cnt: addresses.length,
    missed,
    funcs: found.map(({ address, name, module, cookie }) => ({
      addr: address,
      func: name,
      module: module ?? null,
      cookie,
    })),
  };
  if (addresses.length === 0) return { text: '', json };
  let text = `\n\t${onReturn ? 'kretprobe' : 'kprobe'}.multi  func_cnt ${addresses.length}  `;
  if (missed) text += `missed ${missed}  `;
  if (symbols) text += `\n\t${'addr'.padEnd(16)} ${'cookie'.padEnd(16)} func [module]`;
  for (const { address, cookie, name, module } of found) {
    text += `\n\t${hex(address).padStart(16, '0')} ${hex(cookie).padEnd(16)} ${name}`;
    text += module === undefined ? '  ' : ` [${module}]  `;
  }
  return { text, json };
}

function uprobes(info: LinkOf<typeof LinkType.UprobeMulti>): Description {
  const { path, offsets, refCtrOffsets, cookies, flags, pid } = info;
  const onReturn = (flags & ON_RETURN) !== 0;
  const probes = offsets.map((offset, i) => ({
    offset,
    ref_ctr_offset: refCtrOffsets[i] ?? 0n,
    cookie: cookies[i] ?? 0n,
  }));
  const json = { retprobe: onReturn, path, func_cnt: offsets.length, pid: pid | 0, funcs: probes };
  if (offsets.length === 0) return { text: '', json };
  let text = `\n\t${onReturn ? 'uretprobe' : 'uprobe'}.multi  path ${path}  func_cnt ${offsets.length}  `;
  if (pid) text += `pid ${pid}  `;
  const column = (value: bigint): string => `0x${hex(value).padEnd(16)}`;
  text += `\n\t${['offset', 'ref_ctr_offset', 'cookies'].map((title) => title.padEnd(16)).join('   ')}`;
  for (const { offset, ref_ctr_offset, cookie } of probes) {
    text += `\n\t${[offset, ref_ctr_offset, cookie].map(column).join(' ')}`;
  }
  return { text, json };
}
