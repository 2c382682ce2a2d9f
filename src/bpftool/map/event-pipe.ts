// `map event_pipe`: prints what programs send to a perf event array, until the user has enough.

import type { Bpf, Fd, MapInfo, PerfRecord } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import { hexLines } from '../bytes.js';
import { parseUnsigned32 } from '../number.js';
import { kernelError, takeMap, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError } from '../tool-error.js';

/** Of each buffer, in bytes. */
const BUFFER_SIZE = 16 * 4096;
/** Milliseconds between two looks at whether the user has enough. */
const PATIENCE = 200;

const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;

/** Where a buffer is: programs on `cpu` send to it through the slot `index`. */
interface Place {
  cpu: number;
  index: number;
}

export async function eventPipe(tool: Tool, args: Arguments): Promise<void> {
  const bpf = await tool.bpf;
  const fds = [await takeMap(tool, args)];
  await withFds(bpf, fds, async () => {
    const [map] = fds as [Fd];
    const info = await bpf.mapInfo(map).catch((error: unknown) => {
      throw kernelError(error, "can't get map info");
    });
    if (info.type !== MapType.PerfEventArray) throw new ToolError('map is not a perf event array');
    const place = takePlace(args);
    const places = place ? [place] : await everyCpu(bpf, info);
    const buffers = new Map<Fd, Place>();
    try {
      for (const one of places) {
        const buffer = await bpf.perfBufferOpen(one.cpu, BUFFER_SIZE, { times: true });
        fds.push(buffer);
        buffers.set(buffer, one);
        await bpf.mapUpdateElem(map, u32(one.index), u32(buffer));
      }
    } catch (error) {
      throw bufferError(error, 'failed to create perf buffer');
    }
    await follow(tool, bpf, buffers);
  });
}

/** Undefined when neither `cpu` nor `index` is given. */
function takePlace(args: Arguments): Place | undefined {
  let cpu: number | undefined;
  let index: number | undefined;
  const number = (what: string): number => {
    const word = args.next(what);
    const value = parseUnsigned32(word);
    if (value === undefined) throw new ToolError(`can't parse ${word} as ${what}`);
    return value;
  };
  while (args.left > 0) {
    if (args.left < 2) throw args.unexpected();
    if (args.take('cpu')) cpu = number('CPU ID');
    else if (args.take('index')) index = number('index');
    else throw args.unexpected();
  }
  if (cpu === undefined && index === undefined) return undefined;
  if (cpu === undefined || index === undefined) {
    throw new ToolError('cpu and index must be specified together');
  }
  return { cpu, index };
}

/** A buffer for each CPU, as many as there are slots. */
async function everyCpu(bpf: Bpf, info: MapInfo): Promise<Place[]> {
  const count = Math.min(await bpf.possibleCpus(), info.maxEntries);
  return Array.from({ length: count }, (_, cpu) => ({ cpu, index: cpu }));
}

async function follow(tool: Tool, bpf: Bpf, buffers: ReadonlyMap<Fd, Place>): Promise<void> {
  let enough = false;
  const interrupted = tool.host.interrupted().then(async () => {
    enough = true;
    await tool.host.err('Stopping...\n');
  });
  tool.json?.startArray();
  await tool.flush();
  while (!enough) {
    try {
      for (const buffer of await bpf.poll([...buffers.keys()], PATIENCE)) {
        const place = buffers.get(buffer) as Place;
        for (const record of await bpf.perfBufferConsume(buffer)) print(tool, record, place);
      }
    } catch (error) {
      throw bufferError(error, 'perf buffer polling failed');
    }
    await tool.flush();
  }
  await interrupted;
  tool.json?.endArray();
}

function print(tool: Tool, record: PerfRecord, { cpu, index }: Place): void {
  const { json } = tool;
  if ('lost' in record) {
    const { lost: count, id = 0n } = record;
    if (json) json.value({ type: PERF_RECORD_LOST, cpu, index, lost: { id, count } });
    else tool.print(`lost ${count} events\n`);
    return;
  }
  const { data, time = 0n } = record;
  if (json) json.value({ type: PERF_RECORD_SAMPLE, cpu, index, timestamp: time, data: [...data] });
  else {
    const seconds = `${time / 1_000_000_000n}.${String(time % 1_000_000_000n).padStart(9, '0')}`;
    tool.print(`== @${seconds} CPU: ${cpu} index: ${index} =====\n${hexLines(data)}\n`);
  }
}

function bufferError(error: unknown, what: string): ToolError {
  if (!(error instanceof BpfError)) throw error;
  return new ToolError(`${what}: ${errnoMessage(error.errno)} (${error.errno})`);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
