// `prog show`: what the kernel says of programs.

import type { Bpf, Fd, ProgInfo } from '../../bpf/bpf.js';
import { progTypeName } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import {
  allIds,
  fdOfId,
  fullProgName,
  type Holder,
  holders,
  kernelError,
  pinnedPaths,
  takeProgs,
  withFds,
} from '../objects.js';
import type { Tool } from '../tool.js';

/** What is known of programs beside what the kernel says of each. */
interface Surroundings {
  pinned: ReadonlyMap<number, readonly string[]>;
  holders: ReadonlyMap<number, readonly Holder[]>;
}

export async function showProgs(tool: Tool, args: Arguments): Promise<void> {
  const around: Surroundings = {
    pinned: await pinnedPaths(tool, 'prog'),
    holders: await holders(tool, 'prog'),
  };
  const bpf = await tool.bpf;
  if (args.left === 2) {
    const fds = await takeProgs(tool, args);
    const several = fds.length > 1;
    await withFds(bpf, fds, async () => {
      if (several) tool.json?.startArray();
      for (const fd of fds) await showProg(tool, fd, around);
      if (several) tool.json?.endArray();
    });
    return;
  }
  if (args.left > 0) throw args.unexpected();
  tool.json?.startArray();
  for await (const id of allIds((after) => bpf.progGetNextId(after), 'program')) {
    const fd = await fdOfId((one) => bpf.progGetFdById(one), id, 'prog');
    if (fd !== undefined) await withFds(bpf, [fd], () => showProg(tool, fd, around));
  }
  tool.json?.endArray();
}

/** `progInfo`, with the tool's words when it fails. */
export async function infoOf(bpf: Bpf, fd: Fd): Promise<ProgInfo> {
  try {
    return await bpf.progInfo(fd);
  } catch (error) {
    throw kernelError(error, "can't get prog info");
  }
}

async function showProg(tool: Tool, fd: Fd, around: Surroundings): Promise<void> {
  const bpf = await tool.bpf;
  const info = await infoOf(bpf, fd);
  const name = await fullProgName(bpf, info, fd);
  const device = await deviceName(bpf, info.ifindex);
  if (tool.json) showJson(tool, info, name, device, around);
  else showPlain(tool, info, name, device, around);
}

/** The name of a device, or undefined when the program belongs to none or it is not to be seen from here. */
export async function deviceName(bpf: Bpf, ifindex: number): Promise<string | undefined> {
  if (ifindex === 0) return undefined;
  return (await bpf.netDevices()).find((device) => device.ifindex === ifindex)?.name;
}

/** What also stands before the dump of one of several programs. */
export function headerJson(tool: Tool, info: ProgInfo, name: string): void {
  const { json } = tool;
  if (!json) return;
  json.member('id', info.id);
  json.member('type', progTypeName(info.type) ?? info.type);
  json.member('name', name || undefined);
  json.member('tag', info.tag);
  json.member('gpl_compatible', info.gplCompatible);
  if (info.runTimeNs > 0n) {
    json.member('run_time_ns', info.runTimeNs);
    json.member('run_cnt', info.runCnt);
  }
  if (info.recursionMisses > 0n) json.member('recursion_misses', info.recursionMisses);
}

function showJson(
  tool: Tool,
  info: ProgInfo,
  name: string,
  device: string | undefined,
  around: Surroundings,
): void {
  const { json } = tool;
  if (!json) return;
  json.startObject();
  headerJson(tool, info, name);
  if (info.ifindex !== 0) json.member('dev', { ifindex: info.ifindex, ifname: device });
  if (info.loadedAt !== 0) {
    json.member('loaded_at', info.loadedAt);
    json.member('uid', info.uid);
  }
  json.member('orphaned', false);
  json.member('bytes_xlated', info.bytesXlated);
  json.member('jited', info.bytesJited > 0);
  if (info.bytesJited > 0) json.member('bytes_jited', info.bytesJited);
  json.member('bytes_memlock', info.memlock);
  if (info.mapIds.length > 0) json.member('map_ids', info.mapIds);
  if (info.btfId !== 0) json.member('btf_id', info.btfId);
  if (around.pinned.size > 0) json.member('pinned', around.pinned.get(info.id) ?? []);
  const held = around.holders.get(info.id);
  if (held)
    json.member(
      'pids',
      held.map(({ pid, comm }) => ({ pid, comm })),
    );
  json.endObject();
}

export function headerPlain(tool: Tool, info: ProgInfo, name: string, device: string | undefined): void {
  const type = progTypeName(info.type) ?? `type ${info.type}`;
  const place = info.ifindex === 0 ? '' : `  offloaded_to ${device ?? `ifindex ${info.ifindex}`}`;
  let line = `${info.id}: ${type}  ${name === '' ? '' : `name ${name}  `}tag ${info.tag}${place}`;
  if (info.gplCompatible) line += '  gpl';
  if (info.runTimeNs > 0n) line += ` run_time_ns ${info.runTimeNs} run_cnt ${info.runCnt}`;
  if (info.recursionMisses > 0n) line += ` recursion_misses ${info.recursionMisses}`;
  tool.print(`${line}\n`);
}

function showPlain(
  tool: Tool,
  info: ProgInfo,
  name: string,
  device: string | undefined,
  around: Surroundings,
): void {
  headerPlain(tool, info, name, device);
  if (info.loadedAt !== 0) tool.print(`\tloaded_at ${localTime(info.loadedAt)}  uid ${info.uid}\n`);
  let line = `\txlated ${info.bytesXlated}B`;
  line += info.bytesJited > 0 ? `  jited ${info.bytesJited}B` : '  not jited';
  line += `  memlock ${info.memlock}B`;
  if (info.mapIds.length > 0) line += `  map_ids ${info.mapIds.join(',')}`;
  for (const path of around.pinned.get(info.id) ?? []) line += `\n\tpinned ${path}`;
  if (info.btfId !== 0) line += `\n\tbtf_id ${info.btfId}`;
  const held = around.holders.get(info.id);
  if (held) line += `\n\tpids ${held.map(({ pid, comm }) => `${comm}(${pid})`).join(', ')}`;
  tool.print(`${line}\n`);
}

const two = (value: number): string => String(Math.trunc(value)).padStart(2, '0');

/** Seconds since the epoch as the clock on the wall shows them: `2026-11-20T23:39:29+0000`. */
export function localTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  const offset = -time.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}${two(Math.abs(offset) % 60)}`;
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date}T${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}${zone}`;
}
