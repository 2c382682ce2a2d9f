// `struct_ops dump`: what the kernel says of each map, and its structure with the programs in place of its functions.

import type { Bpf, MapInfo } from '../../bpf/bpf.js';
import { BpfError } from '../../bpf/errno.js';
import type { Btf } from '../../btf/btf.js';
import { encodeValue, type Value } from '../../btf/value.js';
import { type ValueWriter, valueWriter } from '../../btf/value-json.js';
import type { Arguments } from '../arguments.js';
import { prototypeText } from '../dump/source.js';
import type { JsonWriter } from '../json-writer.js';
import { plainWriter } from '../map/entry.js';
import { allIds, fdOfId, fullProgName, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { FAILED, ToolError } from '../tool-error.js';
import { eachStructOps, KernelTypes, takeSelection } from './maps.js';

export async function dump(tool: Tool, args: Arguments): Promise<number | undefined> {
  const selection = takeSelection(args, false);
  const btf = await new KernelTypes(tool).need();
  const bpf = await tool.bpf;
  const plain = tool.json === undefined;
  const json = tool.json ?? plainWriter(tool);
  const programs = await programNames(bpf);
  const functionPointer = (proto: number, id: bigint): string | undefined =>
    id > 0xffffffffn ? undefined : `${prototypeText(btf, proto)} ${programAt(programs, Number(id))}`;
  const vmlinuxId = await vmlinuxBtfId(bpf);
  json.startArray();
  const count = await eachStructOps(bpf, selection, async ({ fd, info }) => {
    const value = await bpf.mapLookupElem(fd, new Uint8Array(4)).catch((error: unknown) => {
      if (!(error instanceof BpfError)) throw error;
      throw new ToolError(`can't lookup struct_ops map ${info.name} id ${info.id}`);
    });
    const infoType = btf.findByName('bpf_map_info', 'STRUCT');
    if (infoType === undefined) throw new ToolError("can't find bpf_map_info from btf_vmlinux");
    const typeId = info.btfVmlinuxValueTypeId;
    const write = (id: number): ValueWriter => valueWriter(btf, id, { plain, functionPointer });
    member(json, 'bpf_map_info', write(infoType), infoBytes(btf, infoType, info, vmlinuxId));
    member(json, btf.nameOf(typeId), write(typeId), value);
  });
  json.endArray();
  if (plain) tool.print('\n');
  return selection !== undefined && count === 0 ? FAILED : undefined;
}

function member(json: JsonWriter, name: string, write: ValueWriter, bytes: Uint8Array): void {
  json.startObject();
  json.name(name);
  write(bytes, json);
  json.endObject();
}

/** What stands for a function: nothing, or the program. */
function programAt(programs: ReadonlyMap<number, string>, id: number): string {
  return id === 0 ? '0' : `${programs.get(id) ?? '<unknown_prog_name>'}/prog_id:${id}`;
}

async function programNames(bpf: Bpf): Promise<ReadonlyMap<number, string>> {
  const names = new Map<number, string>();
  for await (const id of allIds((after) => bpf.progGetNextId(after), 'program')) {
    const fd = await fdOfId((known) => bpf.progGetFdById(known), id, 'prog');
    if (fd === undefined) continue;
    await withFds(bpf, [fd], async () => {
      names.set(id, await fullProgName(bpf, await bpf.progInfo(fd), fd));
    });
  }
  return names;
}

/** The id of the kernel's own BTF, which the map's type is in; 0 when it is not told. */
async function vmlinuxBtfId(bpf: Bpf): Promise<number> {
  for await (const id of allIds((after) => bpf.btfGetNextId(after), 'btf object')) {
    const fd = await fdOfId((known) => bpf.btfGetFdById(known), id, 'btf object');
    if (fd === undefined) continue;
    const name = await withFds(bpf, [fd], async () => (await bpf.btfInfo(fd)).name);
    if (name === 'vmlinux') return id;
  }
  return 0;
}

/** struct bpf_map_info as this kernel has it. */
function infoBytes(btf: Btf, typeId: number, info: MapInfo, vmlinuxId: number): Uint8Array {
  const facts: Record<string, Value> = {
    type: info.type,
    id: info.id,
    key_size: info.keySize,
    value_size: info.valueSize,
    max_entries: info.maxEntries,
    map_flags: info.flags,
    name: info.name,
    ifindex: info.ifindex,
    btf_vmlinux_value_type_id: info.btfVmlinuxValueTypeId,
    btf_id: info.btfId,
    btf_key_type_id: info.btfKeyTypeId,
    btf_value_type_id: info.btfValueTypeId,
    btf_vmlinux_id: vmlinuxId,
    map_extra: info.mapExtra,
  };
  const type = btf.type(typeId);
  const known = type.kind === 'STRUCT' ? new Set(type.members.map(({ name }) => name)) : new Set();
  return encodeValue(
    btf,
    typeId,
    Object.fromEntries(Object.entries(facts).filter(([name]) => known.has(name))),
  );
}
