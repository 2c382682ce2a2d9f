// The commands on single elements: update, lookup, getnext, delete, and those of queues and stacks.

import type { Bpf, Fd, MapInfo } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { hexLines } from '../bytes.js';
import { closeAll, kernelError, takeMap, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, type ToolError, UsageRequest } from '../tool-error.js';
import { takeElement } from './element-args.js';
import { EntryPrinter, plainWriter, writeBytes } from './entry.js';
import { entryTypes } from './value-types.js';

/** The status is the errno's, as bpftool has it for all of these. */
const failed = (error: unknown, what: string): ToolError =>
  kernelError(error, what, error instanceof BpfError ? statusOfErrno(error.errno) : undefined);

/** Takes `MAP` and works on it. */
async function onMap<T>(
  tool: Tool,
  args: Arguments,
  openFlags: number,
  work: (bpf: Bpf, map: Fd, info: MapInfo) => Promise<T>,
): Promise<T> {
  if (args.left < 2) throw new UsageRequest();
  const bpf = await tool.bpf;
  const map = await takeMap(tool, args, openFlags);
  return withFds(bpf, [map], async () => {
    const info = await bpf.mapInfo(map).catch((error: unknown) => {
      throw kernelError(error, "can't get map info");
    });
    return work(bpf, map, info);
  });
}

/** `update`, `push` and `enqueue`. */
export const updateElement = (tool: Tool, args: Arguments): Promise<void> =>
  onMap(tool, args, 0, async (bpf, map, info) => {
    const wanted = { key: info.keySize > 0, value: info.valueSize > 0, flags: true };
    const { key, value, flags, fds } = await takeElement(tool, args, info, wanted);
    try {
      await bpf.mapUpdateElem(map, key, value, flags);
    } catch (error) {
      throw failed(error, 'update failed');
    } finally {
      await closeAll(bpf, fds);
    }
    tool.done();
  });

/** `lookup` and `peek`. */
export const lookupElement = (tool: Tool, args: Arguments): Promise<number> =>
  onMap(tool, args, MapFlag.Rdonly, async (bpf, map, info) => {
    const { key } = await takeElement(tool, args, info, { key: info.keySize > 0 });
    let value: Uint8Array;
    try {
      // A Bloom filter is asked for a value, which there is no word for: as good as none.
      const isFilter = info.type === MapType.BloomFilter;
      value = await bpf.mapLookupElem(map, isFilter ? new Uint8Array(info.valueSize) : key);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw failed(error, 'lookup failed');
      if (tool.json) tool.done();
      else tool.print(`key:\n${hexLines(key)}\n\nNot found\n`);
      return statusOfErrno(Errno.ENOENT);
    }
    await printElement(tool, bpf, info, key, value);
    return 0;
  });

/** `pop` and `dequeue`. */
export const popElement = (tool: Tool, args: Arguments): Promise<number> =>
  onMap(tool, args, 0, async (bpf, map, info) => {
    const key = new Uint8Array(info.keySize);
    let value: Uint8Array;
    try {
      value = await bpf.mapLookupAndDeleteElem(map, key);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw failed(error, 'pop failed');
      if (tool.json) tool.done();
      else tool.print('Error: empty map\n');
      return statusOfErrno(Errno.ENOENT);
    }
    await printElement(tool, bpf, info, key, value);
    return 0;
  });

async function printElement(
  tool: Tool,
  bpf: Bpf,
  info: MapInfo,
  key: Uint8Array,
  value: Uint8Array,
): Promise<void> {
  const types = await entryTypes(bpf, info, !tool.json);
  const json = tool.json ?? (types ? plainWriter(tool) : undefined);
  const printer = await EntryPrinter.of(tool, info, json, types);
  printer.print(key, value);
  if (!tool.json && types) tool.print('\n');
}

export const nextKey = (tool: Tool, args: Arguments): Promise<void> =>
  onMap(tool, args, MapFlag.Rdonly, async (bpf, map, info) => {
    const key = args.left > 0 ? (await takeElement(tool, args, info, { key: true })).key : null;
    const next = await bpf.mapGetNextKey(map, key).catch((error: unknown) => {
      throw failed(error, "can't get next key");
    });
    const { json } = tool;
    if (!json) {
      tool.print(key ? `key:\n${hexLines(key)}\n` : 'key: None\n');
      tool.print(`next key:\n${hexLines(next)}\n`);
      return;
    }
    json.startObject();
    json.name('key');
    if (key) writeBytes(json, key);
    else json.scalar(null);
    json.name('next_key');
    writeBytes(json, next);
    json.endObject();
  });

export const deleteElement = (tool: Tool, args: Arguments): Promise<void> =>
  onMap(tool, args, 0, async (bpf, map, info) => {
    const { key } = await takeElement(tool, args, info, { key: true });
    await bpf.mapDeleteElem(map, key).catch((error: unknown) => {
      throw failed(error, 'delete failed');
    });
    tool.done();
  });

export async function freezeMap(tool: Tool, args: Arguments): Promise<void> {
  args.require(2);
  const bpf = await tool.bpf;
  const map = await takeMap(tool, args);
  await withFds(bpf, [map], async () => {
    if (args.left > 0) throw args.unexpected();
    await bpf.mapFreeze(map).catch((error: unknown) => {
      throw failed(error, 'failed to freeze map');
    });
  });
  tool.done();
}
