// `btf show` and `btf list`: BTF objects, and the programs and maps that have their types there.

import type { Bpf, BtfInfo, Fd } from '../../bpf/bpf.js';
import { MapFlag } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { IdTable } from '../id-table.js';
import { parseUnsigned32 } from '../number.js';
import { allIds, closeAll, fdOfId, type Holder, holders, kernelError, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';

/** By the id of a BTF object. */
interface Surroundings {
  readonly progs: ReadonlyMap<number, readonly number[]>;
  readonly maps: ReadonlyMap<number, readonly number[]>;
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
}

export async function showBtfs(tool: Tool, args: Arguments): Promise<void> {
  const bpf = await tool.bpf;
  const one = args.left === 2 ? [await takeBtf(bpf, args)] : [];
  await withFds(bpf, one, async () => {
    if (args.left > 0) throw args.unexpected();
    const around = await surroundings(tool);
    for (const btf of one) await show(tool, btf, around);
    if (one.length > 0) return;
    tool.json?.startArray();
    for await (const id of allIds((after) => bpf.btfGetNextId(after), 'BTF object')) {
      const btf = await fdOfId((which) => bpf.btfGetFdById(which), id, 'BTF object');
      if (btf !== undefined) await withFds(bpf, [btf], () => show(tool, btf, around));
    }
    tool.json?.endArray();
  });
}

async function takeBtf(bpf: Bpf, args: Arguments): Promise<Fd> {
  if (!args.take('id')) throw new ToolError(`expected 'id', got: '${args.next('BTF')}'?`);
  const word = args.next('BTF_ID');
  const id = parseUnsigned32(word);
  if (id === undefined) throw new ToolError(`can't parse ${word} as ID`);
  return bpf.btfGetFdById(id).catch((error: unknown) => {
    throw kernelError(error, `can't get BTF object by id (${id})`);
  });
}

async function surroundings(tool: Tool): Promise<Surroundings> {
  const bpf = await tool.bpf;
  const progs = await users(
    bpf,
    'prog',
    allIds((after) => bpf.progGetNextId(after), 'prog'),
    (id) => bpf.progGetFdById(id),
    async (fd) => (await bpf.progInfo(fd)).btfId,
  );
  const maps = await users(
    bpf,
    'map',
    allIds((after) => bpf.mapGetNextId(after), 'map'),
    (id) => bpf.mapGetFdById(id, MapFlag.Rdonly),
    async (fd) => (await bpf.mapInfo(fd)).btfId,
  );
  return { progs, maps, holders: await holders(tool, 'btf') };
}

/** Which objects have types in a BTF object. */
async function users(
  bpf: Bpf,
  what: string,
  ids: AsyncIterable<number>,
  open: (id: number) => Promise<Fd>,
  btfIdOf: (fd: Fd) => Promise<number>,
): Promise<ReadonlyMap<number, readonly number[]>> {
  const found = new IdTable<number>();
  for await (const id of ids) {
    const fd = await fdOfId(open, id, what);
    if (fd === undefined) continue;
    try {
      const btfId = await btfIdOf(fd);
      if (btfId !== 0) found.append(btfId, id);
    } catch (error) {
      throw kernelError(error, `can't get ${what} info`);
    } finally {
      await closeAll(bpf, [fd]);
    }
  }
  return found.lists;
}

async function show(tool: Tool, btf: Fd, around: Surroundings): Promise<void> {
  const info = await (await tool.bpf).btfInfo(btf).catch((error: unknown) => {
    throw kernelError(error, "can't get BTF object info");
  });
  const progs = around.progs.get(info.id) ?? [];
  const maps = around.maps.get(info.id) ?? [];
  const pids = around.holders.get(info.id);
  const { json } = tool;
  if (json) {
    json.value({
      id: info.id,
      size: info.size,
      prog_ids: progs,
      map_ids: maps,
      pids: pids?.map(({ pid, comm }) => ({ pid, comm })),
      kernel: info.kernelBtf,
      name: info.name || undefined,
    });
    return;
  }
  let text = `${info.id}: name ${nameText(info)}  size ${info.size}B`;
  if (progs.length > 0) text += `  prog_ids ${progs.join(',')}`;
  if (maps.length > 0) text += `  map_ids ${maps.join(',')}`;
  if (pids) text += `\n\tpids ${pids.map(({ pid, comm }) => `${comm}(${pid})`).join(', ')}`;
  tool.print(`${text}\n`);
}

const nameText = ({ kernelBtf, name }: BtfInfo): string => (kernelBtf ? `[${name}]` : name || '<anon>');
