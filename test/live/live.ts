// The two kernels side by side: the same object in both, on the same CPU, and what its maps hold afterwards.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import { MapType } from '../../src/bpf/types.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import type { EngineName } from '../../src/kernel/engine.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { type Collection, load } from '../../src/loader/index.js';
import { readPackets } from '../../src/pcap/index.js';

const root = path.join(import.meta.dirname, '../..');

export const readObject = (file: string): CollectionSpec =>
  parseObject(readFileSync(path.join(root, file)), { name: file });

/** Packets as a batch has them. */
export interface Packets {
  count: number;
  data: Uint8Array;
  offsets: Uint32Array;
}

/** The packets of examples/traffic.pcapng that `wanted` accepts. */
export async function capture(wanted: (packet: Uint8Array) => boolean): Promise<Packets> {
  const chosen: Uint8Array[] = [];
  for await (const block of readPackets([readFileSync(path.join(root, 'examples/traffic.pcapng'))])) {
    for (let i = 0; i < block.count; i++) {
      const packet = block.data.subarray(block.offsets[i], block.offsets[i + 1]);
      if (wanted(packet)) chosen.push(packet);
    }
  }
  const offsets = Uint32Array.from([0, ...chosen.map(({ length }) => length)]);
  for (let i = 1; i < offsets.length; i++) offsets[i] = (offsets[i] ?? 0) + (offsets[i - 1] ?? 0);
  const data = new Uint8Array(offsets.at(-1) ?? 0);
  chosen.forEach((packet, i) => {
    data.set(packet, offsets[i]);
  });
  return { count: chosen.length, data, offsets };
}

/**
 * Keeps this thread on the first possible CPU, where the emulated kernel also runs its programs, so that per-CPU values
 * can be compared slot by slot. Restored when disposed of.
 */
export function onFirstCpu(): Disposable {
  const libc = koffi.load(null);
  const get = libc.func('int sched_getaffinity(int pid, size_t size, void *mask)');
  const set = libc.func('int sched_setaffinity(int pid, size_t size, void *mask)');
  const before = new Uint8Array(128);
  get(0, before.length, before);
  const first = new Uint8Array(128);
  first[0] = 1;
  if (set(0, first.length, first) !== 0) throw new Error('this thread may not run on CPU 0');
  return {
    [Symbol.dispose]() {
      set(0, before.length, before);
    },
  };
}

export interface Pair extends AsyncDisposable {
  readonly linux: Collection;
  readonly emulated: Collection;
}

/** The same object in both kernels. `change` is applied to each spec before it is loaded. */
export async function loadBoth(
  file: string,
  engine: EngineName,
  change: (spec: CollectionSpec) => void = () => {},
): Promise<Pair> {
  const real = new LinuxKernel();
  const cpus = await real.possibleCpus();
  const open = () => {
    const spec = readObject(file);
    change(spec);
    return spec;
  };
  const linux = await load(open(), real);
  const emulated = await load(open(), new EmulatedKernel({ engine, cpus }));
  return {
    linux,
    emulated,
    async [Symbol.asyncDispose]() {
      await emulated.close();
      await linux.close();
      real[Symbol.dispose]();
    },
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * What the maps hold, in hex, by map and key; program arrays are left out, because nobody can read them but by ids.
 * `mask` lists bytes of values that depend on the time.
 */
export async function contents(
  collection: Collection,
  mask: Readonly<Record<string, readonly [start: number, end: number]>> = {},
): Promise<Record<string, Record<string, string>>> {
  const all: Record<string, Record<string, string>> = {};
  for (const [name, map] of collection.maps) {
    if (map.spec.type === MapType.ProgArray) continue;
    const entries: [string, string][] = [];
    for await (const [key, value] of map.entriesBytes()) {
      value.fill(0, ...(mask[name] ?? [0, 0]));
      entries.push([hex(key), hex(value)]);
    }
    all[name] = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return all;
}
