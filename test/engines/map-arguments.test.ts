// What helpers of maps without keys may be given, and what lies around the values of LRU hashes: wrong programs end where
// they go wrong, on both engines, and what is right goes on.

import { describe, expect, test } from 'vitest';
import type { RunFault } from '../../src/bpf/bpf.js';
import { MapFlag, MapType } from '../../src/bpf/types.js';
import type { EmulatedKernel } from '../../src/kernel/kernel.js';
import { CPUS, ENGINES, kernels, load, PACKET, u32 } from './programs.js';

const maps = [
  { type: MapType.Queue, keySize: 0, valueSize: 8, maxEntries: 4 },
  { type: MapType.BloomFilter, keySize: 0, valueSize: 8, maxEntries: 4 },
  { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1, flags: MapFlag.RdonlyProg },
  { type: MapType.LruHash, keySize: 4, valueSize: 8, maxEntries: 4 },
  { type: MapType.LruPercpuHash, keySize: 4, valueSize: 8, maxEntries: 4 },
  { type: MapType.LpmTrie, keySize: 8, valueSize: 8, maxEntries: 4, flags: MapFlag.NoPrealloc },
  { type: MapType.Queue, keySize: 0, valueSize: 8, maxEntries: 4, flags: MapFlag.RdonlyProg },
] as const;
const [QUEUE, BLOOM, READ_ONLY, LRU, PERCPU, TRIE, CLOSED] = [0, 1, 2, 3, 4, 5, 6];

/** r0 becomes the value of key 1; the program ends with 9 when there is none. */
const find = (map: number | undefined, lines: readonly string[] = []): string[] => [
  `*(u32 *)(r10 - 4) = ${map === READ_ONLY ? 0 : 1}`,
  ...lines,
  `r1 = map ${map}`,
  'r2 = r10',
  'r2 += -4',
  'call 1',
  'if r0 != 0 goto found',
  'r0 = 9',
  'exit',
  'found:',
];

/** Calls helper `id` of map `map` with r2 `offset` bytes from the end of the stack. */
const call = (id: number, map: number | undefined, offset: number): string[] => [
  `r1 = map ${map}`,
  'r2 = r10',
  `r2 += ${offset}`,
  'r3 = 0',
  `call ${id}`,
  'exit',
];

/** A value of a read-only map as the second argument of helper `id`. */
const onReadOnly = (id: number, map: number | undefined): string[] => [
  ...find(READ_ONLY),
  'r2 = r0',
  `r1 = map ${map}`,
  'r3 = 0',
  `call ${id}`,
  'exit',
];

const PUSH = 87;
const POP = 88;
const PEEK = 89;

const cases: Record<string, { text: readonly string[]; comes: RunFault['kind'] | number }> = {
  'a push of the last bytes of the stack': { text: call(PUSH, QUEUE, -8), comes: 0 },
  'a push of bytes beyond the stack': { text: call(PUSH, QUEUE, -7), comes: 'out-of-bounds' },
  'a pop beyond the stack': { text: call(POP, QUEUE, -4), comes: 'out-of-bounds' },
  'a peek beyond the stack': { text: call(PEEK, QUEUE, 0), comes: 'out-of-bounds' },
  'a pop from an empty queue': { text: call(POP, QUEUE, -8), comes: -2 },
  'a push of a read-only value': { text: onReadOnly(PUSH, QUEUE), comes: 0 },
  'a pop into a read-only value': { text: onReadOnly(POP, QUEUE), comes: 'read-only' },
  'a peek into a read-only value': { text: onReadOnly(PEEK, QUEUE), comes: 'read-only' },
  'a Bloom filter asked for a read-only value': { text: onReadOnly(PEEK, BLOOM), comes: -2 },
  'a Bloom filter that is popped': { text: call(POP, BLOOM, -8), comes: -95 },
  'a push to a queue that programs only read': { text: call(PUSH, CLOSED, -8), comes: -1 },
  'a number that is no map': {
    text: ['r1 = 1', 'r2 = r10', 'r2 += -8', 'r3 = 0', 'call 87', 'exit'],
    comes: 'bad-argument',
  },
  'the last byte of a value of an LRU hash': {
    text: [...find(LRU), 'r0 = *(u8 *)(r0 + 7)', 'exit'],
    comes: 7,
  },
  'the byte before it': { text: [...find(LRU), 'r0 = *(u8 *)(r0 - 1)', 'exit'], comes: 'out-of-bounds' },
  'the byte behind it': { text: [...find(LRU), 'r0 = *(u8 *)(r0 + 8)', 'exit'], comes: 'out-of-bounds' },
  'what lies behind the values of all CPUs': {
    text: [
      ...find(PERCPU),
      'r1 = r10',
      'r1 -= r1',
      `r0 += ${8 * CPUS}`,
      'r0 ^= r1',
      'r0 = *(u8 *)(r0 + 0)',
      'exit',
    ],
    comes: 'out-of-bounds',
  },
  'what lies behind the value of a prefix': {
    text: [
      '*(u32 *)(r10 - 8) = 32',
      '*(u32 *)(r10 - 4) = 1',
      `r1 = map ${TRIE}`,
      'r2 = r10',
      'r2 += -8',
      'call 1',
      'if r0 == 0 goto none',
      'r0 = *(u8 *)(r0 + 8)',
      'none:',
      'exit',
    ],
    comes: 'out-of-bounds',
  },
};

async function run(kernel: EmulatedKernel, text: readonly string[]): Promise<RunFault['kind'] | number> {
  const fds: number[] = [];
  for (const attr of maps) fds.push(await kernel.mapCreate(attr));
  const value = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  await kernel.mapUpdateElem(fds[LRU ?? -1] ?? -1, u32(1), value);
  await kernel.mapUpdateElem(fds[PERCPU ?? -1] ?? -1, u32(1), new Uint8Array(8 * CPUS));
  await kernel.mapUpdateElem(fds[TRIE ?? -1] ?? -1, Uint8Array.of(...u32(32), ...u32(1)), value);
  const prog = await load(kernel, text.join('\n'), fds);
  const { retvals, faults } = await kernel.progRunBatch(prog, {
    count: 1,
    data: new Uint8Array(PACKET),
    offsets: Uint32Array.of(0, PACKET),
  });
  for (const fd of [prog, ...fds]) await kernel.close(fd);
  return faults[0]?.fault.kind ?? (retvals[0] ?? 0) | 0;
}

describe.each(ENGINES.map((engine, i) => [engine, kernels[i] as EmulatedKernel] as const))(
  '%s',
  (_, kernel) => {
    test.each(Object.entries(cases))('%s', async (_name, { text, comes }) => {
      expect(await run(kernel, text)).toBe(comes);
    });
  },
);
