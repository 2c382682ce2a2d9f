// Programs that nobody verified and that do wrong things with ring buffers, maps of maps and their like: the run ends
// with the right fault on both engines, and nothing that is not theirs has changed.

import { describe, expect, test } from 'vitest';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import type { EngineName } from '../../src/kernel/engine.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { u32 } from './transcript.js';

const BYSTANDER = 0xa5;

/** A kernel with the maps that programs here use, by the number in `map N`. */
async function machine(engine: EngineName) {
  const kernel = new EmulatedKernel({ engine, safety: 'check' });
  const array = { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1 } as const;
  const ring = { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 } as const;
  const inner = await kernel.mapCreate(array);
  const fds = [
    await kernel.mapCreate(ring),
    await kernel.mapCreate(array),
    await kernel.mapCreate({ ...array, type: MapType.ArrayOfMaps, valueSize: 4, innerMapFd: inner }),
    await kernel.mapCreate({ ...array, type: MapType.HashOfMaps, valueSize: 4, innerMapFd: inner }),
    await kernel.mapCreate({ ...array, type: MapType.Cpumap, valueSize: 4 }),
    await kernel.mapCreate({ ...ring, type: MapType.UserRingbuf }),
    await kernel.mapCreate({ ...array, type: MapType.PerfEventArray, valueSize: 4 }),
  ];
  for (const outer of fds.slice(2, 4)) await kernel.mapUpdateElem(outer, u32(0), u32(inner));
  const bystander = await kernel.mapCreate({ ...array, valueSize: 4096 });
  await kernel.mapUpdateElem(bystander, u32(0), new Uint8Array(4096).fill(BYSTANDER));
  const run = async (text: string) => {
    const wide = text.replaceAll(/= map (\d)/g, (_, map) => `= ${0x5eed00 + Number(map)} ll`);
    const instructions = assemble(`r6 = r1\n${wide}\nr0 = 2\nend:\nexit`).map((insn) =>
      insn.immHigh === undefined || insn.imm < 0x5eed00
        ? insn
        : { ...insn, src: 1, imm: fds[insn.imm - 0x5eed00] ?? -1, immHigh: 0 },
    );
    const prog = await kernel.progLoad({
      type: ProgType.Xdp,
      instructions: encode(instructions),
      license: 'GPL',
    });
    const { faults, retvals } = await kernel.progRunBatch(prog, {
      count: 1,
      data: new Uint8Array(64),
      offsets: Uint32Array.of(0, 64),
    });
    expect(await kernel.mapLookupElem(bystander, u32(0))).toEqual(new Uint8Array(4096).fill(BYSTANDER));
    const [first] = faults;
    return first ? first.fault.kind : retvals[0];
  };
  return { kernel, fds, inner, run };
}

const reserve = (size: number): string => `r1 = map 0\nr2 = ${size}\nr3 = 0\ncall 131\nr7 = r0`;
const submit = 'r1 = r7\nr2 = 0\ncall 132';
const lookup = (map: string): string => `*(u32 *)(r10 - 4) = 0\n${map}\nr2 = r10\nr2 += -4\ncall 1\nr8 = r0`;

const cases: readonly [what: string, text: string, answer: string | number][] = [
  ['write all of a record', `${reserve(8)}\n*(u64 *)(r7 + 0) = 1\n${submit}`, 2],
  ['read what was reserved', `${reserve(8)}\nr1 = *(u64 *)(r7 + 0)\n${submit}`, 2],
  ['write behind a record', `${reserve(8)}\n*(u8 *)(r7 + 8) = 1`, 'out-of-bounds'],
  ['write across its end', `${reserve(12)}\n*(u64 *)(r7 + 8) = 1`, 'out-of-bounds'],
  ['write its header', `${reserve(8)}\n*(u32 *)(r7 - 8) = 1`, 'out-of-bounds'],
  ['read its header', `${reserve(8)}\nr1 = *(u32 *)(r7 - 4)`, 'out-of-bounds'],
  ['write a record that was submitted', `${reserve(8)}\n${submit}\n*(u8 *)(r7 + 0) = 1`, 'out-of-bounds'],
  ['read one', `${reserve(8)}\n${submit}\nr1 = *(u8 *)(r7 + 0)`, 'out-of-bounds'],
  [
    'write the other one of two',
    `${reserve(8)}\nr9 = r7\n${reserve(8)}\n${submit}\n*(u64 *)(r9 + 0) = 1\nr1 = r9\nr2 = 0\ncall 133`,
    2,
  ],
  ['submit twice', `${reserve(8)}\n${submit}\n${submit}`, 'bad-argument'],
  ['discard what was submitted', `${reserve(8)}\n${submit}\nr1 = r7\nr2 = 0\ncall 133`, 'bad-argument'],
  ['submit the middle of a record', `${reserve(16)}\nr7 += 8\n${submit}`, 'bad-argument'],
  ['submit the stack', `r7 = r10\nr7 += -8\n*(u64 *)(r10 - 8) = 0\n${submit}`, 'bad-argument'],
  ['submit null', `r7 = 0\n${submit}`, 'bad-argument'],
  ['write what could not be reserved', `${reserve(5000)}\n*(u64 *)(r7 + 0) = 1`, 'null-dereference'],
  ['reserve in an array', 'r1 = map 1\nr2 = 8\nr3 = 0\ncall 131', 'bad-argument'],
  ['reserve in a user ring buffer', 'r1 = map 5\nr2 = 8\nr3 = 0\ncall 131', 'bad-argument'],
  ['ask an array for its positions', 'r1 = map 1\nr2 = 0\ncall 134', 'bad-argument'],
  [
    'send more than the stack has',
    'r1 = map 0\nr2 = r10\nr2 += -8\nr3 = 16\nr4 = 0\ncall 130',
    'out-of-bounds',
  ],
  ['look a key up in a ring buffer', `${lookup('r1 = map 0')}\nif r8 != 0 goto end`, 2],
  [
    'read an inner map as if it were a value',
    `${lookup('r1 = map 2')}\nr1 = *(u32 *)(r8 + 0)`,
    'out-of-bounds',
  ],
  ['write one', `${lookup('r1 = map 3')}\n*(u32 *)(r8 + 16) = 1`, 'out-of-bounds'],
  [
    'write behind the value of an inner map',
    `${lookup('r1 = map 2')}\n${lookup('r1 = r8')}\n*(u64 *)(r8 + 4) = 1`,
    'out-of-bounds',
  ],
  [
    'write the value of an inner map',
    `${lookup('r1 = map 3')}\n${lookup('r1 = r8')}\n*(u64 *)(r8 + 0) = 1`,
    2,
  ],
  ['look up in what is no map', `${lookup('r1 = map 2')}\n${lookup('r1 = r8\nr1 += 16')}`, 'bad-argument'],
  ['look up in null', `*(u32 *)(r10 - 4) = 0\nr1 = 0\nr2 = r10\nr2 += -4\ncall 1`, 'bad-argument'],
  [
    'put something into a map of maps',
    '*(u64 *)(r10 - 8) = 0\nr1 = map 2\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\ncall 2\nif r0 != -1 goto end',
    2,
  ],
  [
    'take something out of one',
    '*(u64 *)(r10 - 8) = 0\nr1 = map 3\nr2 = r10\nr2 += -8\ncall 3\nif r0 != -1 goto end',
    2,
  ],
  ['redirect to an array', 'r1 = map 1\nr2 = 0\nr3 = 0\ncall 51', 'bad-argument'],
  ['redirect to a CPU map', 'r1 = map 4\nr2 = 0\nr3 = 1\ncall 51\nif r0 != 1 goto end', 2],
  [
    'send to an array',
    '*(u64 *)(r10 - 8) = 0\nr1 = r6\nr2 = map 1\nr3 = 0\nr4 = r10\nr4 += -8\nr5 = 8\ncall 25',
    'bad-argument',
  ],
  [
    'send to perf events what is not there',
    'r1 = r6\nr2 = map 6\nr3 = 0\nr4 = r10\nr5 = 8\ncall 25',
    'out-of-bounds',
  ],
];

describe.each(['jit', 'interpreter'] as const)('with the %s', (engine) => {
  test.each(cases)('%s', async (_what, text, answer) => {
    const { run } = await machine(engine);
    expect(await run(text)).toBe(answer);
  });

  test('a record that a fault left behind keeps those after it from the reader, as a lost one does in Linux', async () => {
    const { kernel, fds, run } = await machine(engine);
    const [ring = -1] = fds;
    expect(await run(`${reserve(8)}\n*(u64 *)(r7 + 0) = 1\n${submit}`)).toBe(2);
    expect(await run(`${reserve(8)}\n*(u64 *)(r7 + 64) = 1`)).toBe('out-of-bounds');
    expect(await run(`${reserve(8)}\n*(u64 *)(r7 + 0) = 3\n${submit}`)).toBe(2);
    expect(await kernel.ringbufConsume(ring)).toEqual([u32(1, 0)]);
  });

  test('an inner map lives as long as its outer map holds it, and gives its memory back then', async () => {
    const { kernel, fds, inner, run } = await machine(engine);
    await kernel.close(inner);
    const add = `${lookup('r1 = map 2')}\n${lookup('r1 = r8')}\nr1 = *(u64 *)(r8 + 0)\nr1 += 1\n*(u64 *)(r8 + 0) = r1\nr0 = r1\nif r0 > 0 goto end`;
    expect([await run(add), await run(add)]).toEqual([1, 2]);
    const [, , array = -1, hash = -1] = fds;
    const id = new DataView((await kernel.mapLookupElem(array, u32(0))).buffer).getUint32(0, true);
    await kernel.mapDeleteElem(array, u32(0));
    expect(await kernel.mapLookupElem(hash, u32(0))).toEqual(u32(id));
    await kernel.mapDeleteElem(hash, u32(0));
    await expect(kernel.mapGetFdById(id)).rejects.toThrow('ENOENT');
  });
});
