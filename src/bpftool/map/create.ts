// `map create`: a map that is pinned at once, since nothing else would keep it.

import type { Fd, MapCreateAttr } from '../../bpf/bpf.js';
import { MapFlag, MapType, mapTypeName } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { parseUnsigned32 } from '../number.js';
import { closeAll, kernelError, pinFd, takeMap, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { requireOrUsage } from '../usage.js';

/** What the kernel keeps of a name. */
const NAME_LENGTH = 15;

const TYPES: ReadonlyMap<string, MapType> = new Map(
  Object.values(MapType).map((type) => [mapTypeName(type) ?? '', type]),
);

export async function createMap(tool: Tool, args: Arguments): Promise<void> {
  args.require(7);
  const bpf = await tool.bpf;
  const file = args.next('FILE');
  const inner: Fd[] = [];
  await withFds(bpf, inner, async () => {
    const attr = await takeAttributes(tool, args, inner);
    const map = await bpf.mapCreate(attr).catch((error: unknown) => {
      throw kernelError(error, 'map create failed');
    });
    await withFds(bpf, [map], () => pinFd(tool, map, file));
  });
  tool.done();
}

/** A number that may be given once. Zero counts as not given. */
function takeNumber(args: Arguments, before: number, what: string): number {
  if (before !== 0) throw new ToolError(`${what} already specified`);
  const word = args.next(what);
  const value = parseUnsigned32(word);
  if (value === undefined) throw new ToolError(`can't parse ${word} as ${what}`);
  return value;
}

/** `inner`: where the descriptor of the inner map goes, to be closed. */
async function takeAttributes(tool: Tool, args: Arguments, inner: Fd[]): Promise<MapCreateAttr> {
  const attr = {
    type: MapType.Unspec as MapType,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    ifindex: 0,
  };
  let name: string | undefined;
  while (args.left > 0) {
    args.require(2);
    if (args.take('type')) {
      if (attr.type !== MapType.Unspec) throw new ToolError('map type already specified');
      const word = args.next('TYPE');
      const type = TYPES.get(word);
      if (type === undefined) throw new ToolError(`unrecognized map type: ${word}`);
      attr.type = type;
    } else if (args.take('name')) {
      name = args.next('NAME');
      if (new TextEncoder().encode(name).length > NAME_LENGTH) {
        await tool.info(`Warning: map name is longer than ${NAME_LENGTH} characters, it will be truncated.`);
      }
    } else if (args.take('key')) attr.keySize = takeNumber(args, attr.keySize, 'key size');
    else if (args.take('value')) attr.valueSize = takeNumber(args, attr.valueSize, 'value size');
    else if (args.take('entries')) attr.maxEntries = takeNumber(args, attr.maxEntries, 'max entries');
    else if (args.take('flags')) attr.flags = takeNumber(args, attr.flags, 'flags');
    else if (args.take('dev')) {
      await tool.info(
        `Warning: '${tool.host.name} map create [...] dev <ifname>' syntax is deprecated.\n` +
          "Going further, please use 'offload_dev <ifname>' to request hardware offload for the map.",
      );
      attr.ifindex = await takeDevice(tool, args, attr.ifindex);
    } else if (args.take('offload_dev')) attr.ifindex = await takeDevice(tool, args, attr.ifindex);
    else if (args.take('inner_map')) {
      await requireOrUsage(tool, args, 2);
      await closeAll(await tool.bpf, inner.splice(0));
      inner.push(await takeMap(tool, args, MapFlag.Rdonly));
    } else throw new ToolError(`unknown arg ${args.next()}`);
  }
  if (name === undefined) throw new ToolError('map name not specified');
  const [innerMapFd] = inner;
  return {
    ...attr,
    name: truncated(name),
    ...(innerMapFd === undefined ? {} : { innerMapFd }),
  };
}

async function takeDevice(tool: Tool, args: Arguments, before: number): Promise<number> {
  if (before !== 0) throw new ToolError('offload device already specified');
  const name = args.next('NAME');
  const device = (await (await tool.bpf).netDevices()).find((candidate) => candidate.name === name);
  if (!device) throw new ToolError(`unrecognized netdevice '${name}': No such device`);
  return device.ifindex;
}

/** What the kernel keeps of it, in bytes. */
function truncated(name: string): string {
  const bytes = new TextEncoder().encode(name);
  return bytes.length <= NAME_LENGTH ? name : new TextDecoder().decode(bytes.subarray(0, NAME_LENGTH));
}
