// `map show` and `map list`: what the kernel knows of maps.

import type { Bpf, Fd, MapInfo } from '../../bpf/bpf.js';
import { MapFlag, MapType, mapTypeName, progTypeName } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import type { JsonWriter } from '../json-writer.js';
import {
  allIds,
  fdOfId,
  type Holder,
  holders,
  kernelError,
  pinnedPaths,
  takeMaps,
  withFds,
} from '../objects.js';
import { deviceName } from '../prog/show.js';
import type { Tool } from '../tool.js';

/** What is known of maps from elsewhere. */
interface Surroundings {
  readonly pinned: ReadonlyMap<number, readonly string[]>;
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
}

export async function showMaps(tool: Tool, args: Arguments): Promise<void> {
  const bpf = await tool.bpf;
  const around = { pinned: await pinnedPaths(tool, 'map'), holders: await holders(tool, 'map') };
  if (args.left === 2) {
    const maps = await takeMaps(tool, args, MapFlag.Rdonly);
    await withFds(bpf, maps, async () => {
      if (maps.length > 1) tool.json?.startArray();
      for (const map of maps) await show(tool, map, around);
      if (maps.length > 1) tool.json?.endArray();
    });
    return;
  }
  if (args.left > 0) throw args.unexpected();
  tool.json?.startArray();
  for await (const id of allIds((after) => bpf.mapGetNextId(after), 'map')) {
    const map = await fdOfId((one) => bpf.mapGetFdById(one, MapFlag.Rdonly), id, 'map');
    if (map === undefined) continue;
    await withFds(bpf, [map], () => show(tool, map, around));
  }
  tool.json?.endArray();
}

async function show(tool: Tool, map: Fd, around: Surroundings): Promise<void> {
  const bpf = await tool.bpf;
  const info = await bpf.mapInfo(map).catch((error: unknown) => {
    throw kernelError(error, "can't get map info");
  });
  if (tool.json) await showJson(tool.json, bpf, info, around);
  else tool.print(await mapText(bpf, info, around));
}

/** The members that come first, also where a dump shows several maps. */
export function headerJson(json: JsonWriter, info: MapInfo): void {
  json.member('id', info.id);
  json.member('type', mapTypeName(info.type) ?? info.type);
  json.member('name', info.name || undefined);
  json.member('flags', info.flags);
}

async function showJson(json: JsonWriter, bpf: Bpf, info: MapInfo, around: Surroundings): Promise<void> {
  json.startObject();
  headerJson(json, info);
  if (info.ifindex) {
    json.member('dev', { ifindex: info.ifindex, ifname: await deviceName(bpf, info.ifindex) });
  }
  json.member('bytes_key', info.keySize);
  json.member('bytes_value', info.valueSize);
  json.member('max_entries', info.maxEntries);
  json.member('bytes_memlock', info.memlock);
  if (info.type === MapType.ProgArray) {
    const { ownerProgType, ownerJited } = info;
    json.member(
      'owner_prog_type',
      ownerProgType === undefined ? undefined : (progTypeName(ownerProgType) ?? ownerProgType),
    );
    json.member('owner_jited', ownerJited);
  }
  json.member('frozen', info.frozen ? 1 : 0);
  json.member('btf_id', info.btfId || undefined);
  if (around.pinned.size > 0) json.member('pinned', around.pinned.get(info.id) ?? []);
  const pids = around.holders.get(info.id);
  if (pids) {
    json.member(
      'pids',
      pids.map(({ pid, comm }) => ({ pid, comm })),
    );
  }
  json.endObject();
}

/** The first line. */
export async function headerText(bpf: Bpf, info: MapInfo): Promise<string> {
  const type = mapTypeName(info.type) ?? `type ${info.type}`;
  const name = info.name ? `name ${info.name}  ` : '';
  let device = '';
  if (info.ifindex) {
    device = `  offloaded_to ${(await deviceName(bpf, info.ifindex)) ?? `ifindex ${info.ifindex}`}`;
  }
  return `${info.id}: ${type}  ${name}flags 0x${info.flags.toString(16)}${device}\n`;
}

async function mapText(bpf: Bpf, info: MapInfo, around: Surroundings): Promise<string> {
  const { keySize, valueSize, maxEntries, memlock, ownerProgType, ownerJited, btfId } = info;
  let text = await headerText(bpf, info);
  text += `\tkey ${keySize}B  value ${valueSize}B  max_entries ${maxEntries}  memlock ${memlock}B`;
  if (info.type === MapType.ProgArray) {
    if (ownerProgType !== undefined || ownerJited !== undefined) text += '\n\t';
    if (ownerProgType !== undefined) {
      text += `owner_prog_type ${progTypeName(ownerProgType) ?? ownerProgType}  `;
    }
    if (ownerJited !== undefined) text += `owner${ownerJited ? '' : ' not'} jited`;
  }
  for (const path of around.pinned.get(info.id) ?? []) text += `\n\tpinned ${path}`;
  const about = [...(btfId ? [`btf_id ${btfId}`] : []), ...(info.frozen ? ['frozen'] : [])];
  if (about.length > 0) text += `\n\t${about.join('  ')}`;
  const pids = around.holders.get(info.id);
  if (pids) text += `\n\tpids ${pids.map(({ pid, comm }) => `${comm}(${pid})`).join(', ')}`;
  return `${text}\n`;
}
