// The words that name an element: `key DATA`, `value VALUE` and a flag, in any order.

import type { Fd, MapInfo } from '../../bpf/bpf.js';
import { UpdateFlag } from '../../bpf/types.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { takeBytes } from '../bytes.js';
import { closeAll, takeMap, takeProg } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';
import { holdsMaps, holdsProgs, isPerCpu, slotSize } from './kinds.js';

export interface ElementArguments {
  key: Uint8Array;
  value: Uint8Array;
  /** UpdateFlag. */
  flags: number;
  /** The map or program that is the value, to be closed. */
  fds: Fd[];
}

/** What a command takes; a queue has no keys, and a ring buffer no values either. */
export interface Wanted {
  key: boolean;
  value?: boolean;
  flags?: boolean;
}

const FLAGS = [
  { word: 'any', flag: UpdateFlag.Any },
  { word: 'noexist', flag: UpdateFlag.NoExist },
  { word: 'exist', flag: UpdateFlag.Exist },
] as const;

export async function takeElement(
  tool: Tool,
  args: Arguments,
  info: MapInfo,
  { key: wantsKey, value: wantsValue = false, flags: wantsFlags = false }: Wanted,
): Promise<ElementArguments> {
  const element: ElementArguments = { key: new Uint8Array(0), value: new Uint8Array(0), flags: 0, fds: [] };
  let needsKey = wantsKey;
  let needsValue = wantsValue;
  let mayHaveFlags = wantsFlags;
  try {
    for (let word = args.peek; word !== undefined; word = args.peek) {
      if (args.take('key')) {
        if (!needsKey) throw new ToolError(info.keySize ? 'duplicate key' : 'unnecessary key');
        element.key = takeBytes(args, 'key', info.keySize);
        needsKey = false;
        continue;
      }
      if (args.take('value')) {
        if (!needsValue)
          throw new ToolError(wantsValue && info.valueSize ? 'duplicate value' : 'unnecessary value');
        element.value = await takeValue(tool, args, info, element.fds);
        needsValue = false;
        continue;
      }
      const found = FLAGS.find((candidate) => isPrefix(word, candidate.word));
      if (!found) throw new ToolError(`expected key or value, got: ${word}`);
      if (!mayHaveFlags) throw new ToolError(`flags specified multiple times: ${word}`);
      args.skip();
      element.flags = found.flag;
      mayHaveFlags = false;
    }
    if (needsKey || needsValue) throw new ToolError(`did not find ${needsKey ? 'key' : 'value'}`);
    return element;
  } catch (error) {
    await closeAll(await tool.bpf, element.fds);
    throw error;
  }
}

/** Bytes, or the map or program that a slot is to hold: its descriptor goes to `fds`. */
async function takeValue(tool: Tool, args: Arguments, info: MapInfo, fds: Fd[]): Promise<Uint8Array> {
  const maps = holdsMaps(info);
  if (!maps && !holdsProgs(info)) {
    const bytes = takeBytes(args, 'value', info.valueSize);
    return isPerCpu(info) ? onEachCpu(bytes, slotSize(info), await (await tool.bpf).possibleCpus()) : bytes;
  }
  const what = maps ? 'map in map' : 'map of progs';
  if (info.valueSize !== 4) throw new ToolError(`value smaller than 4B for ${what}?`);
  if (args.left < 2) throw new ToolError(`not enough value arguments for ${what}`);
  if (!maps && args.is('id')) {
    await tool.info(
      'Warning: updating program array via MAP_ID, make sure this map is kept open\n' +
        '         by some process or pinned otherwise update will be lost',
    );
  }
  const fd = await (maps ? takeMap : takeProg)(tool, args);
  fds.push(fd);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, fd, true);
  return bytes;
}

function onEachCpu(value: Uint8Array, slot: number, cpus: number): Uint8Array {
  const bytes = new Uint8Array(slot * cpus);
  for (let cpu = 0; cpu < cpus; cpu++) bytes.set(value, cpu * slot);
  return bytes;
}
