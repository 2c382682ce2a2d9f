// Maps of every plain type, used at random by the system call and by a program on the live kernel and on the emulated
// one, both engines: every answer is the same, and in the end so is what is left. That includes which elements of an LRU
// hash have gone, and which values a Bloom filter finds though they were never added.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bpf, Fd, MapCreateAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { MapFlag, MapType, mapTypeName, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { onFirstCpu } from './live.js';

/** How many sequences are tried for each type of map. */
const RUNS = Number(process.env.SKEP_MAP_RUNS ?? 25);

const { Hash, LruHash, LruPercpuHash, LpmTrie, PercpuHash, Queue, Stack, BloomFilter } = MapType;

const isKeyless = (type: MapType): boolean => type === Queue || type === Stack || type === BloomFilter;
const isPercpu = (type: MapType): boolean => type === PercpuHash || type === LruPercpuHash;

// ---- a program that does one helper call: what the packet asks for

const OPS = { lookup: 1, update: 2, delete: 3, push: 4, pop: 5, peek: 6, percpu: 7 } as const;
type Op = keyof typeof OPS;

/** Offsets in the packet. */
const FLAGS = 8;
const KEY = 16;
const VALUE = 48;
const PACKET = 112;

const opsOf = (type: MapType): readonly Op[] => {
  if (type === BloomFilter) return ['push', 'peek'];
  if (isKeyless(type)) return ['push', 'pop', 'peek'];
  return isPercpu(type) ? ['lookup', 'update', 'delete', 'percpu'] : ['lookup', 'update', 'delete'];
};

const plus = (register: string, offset: number): string =>
  offset < 0 ? `${register} - ${-offset}` : `${register} + ${offset}`;

/** Copies `size` bytes; r1 is changed. */
function copy(to: string, toOffset: number, from: string, fromOffset: number, size: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < size; ) {
    const step = size - at >= 8 ? 8 : size - at >= 4 ? 4 : 1;
    lines.push(
      `r1 = *(u${step * 8} *)(${plus(from, fromOffset + at)})`,
      `*(u${step * 8} *)(${plus(to, toOffset + at)}) = r1`,
    );
    at += step;
  }
  return lines;
}

const found = (valueSize: number): string[] => [
  'if r0 == 0 goto out',
  ...copy('r6', VALUE, 'r0', 0, valueSize),
  'r0 = 1',
  'exit',
];

function textOf(op: Op, { type, valueSize }: MapCreateAttr): string[] {
  const key = ['r1 = 0x6d6170 ll', 'r2 = r6', `r2 += ${KEY}`];
  const buffer = ['r1 = 0x6d6170 ll', 'r2 = r10', 'r2 += -64'];
  switch (op) {
    case 'lookup':
      return [...key, 'call 1', ...found(valueSize)];
    case 'percpu':
      return [...key, `r3 = *(u32 *)(r6 + ${FLAGS})`, 'call 195', ...found(valueSize)];
    case 'update':
      return [...key, 'r3 = r6', `r3 += ${VALUE}`, `r4 = *(u64 *)(r6 + ${FLAGS})`, 'call 2', 'exit'];
    case 'delete':
      return [...key, 'call 3', 'exit'];
    case 'push':
      return [
        'r1 = 0x6d6170 ll',
        'r2 = r6',
        `r2 += ${VALUE}`,
        `r3 = *(u64 *)(r6 + ${FLAGS})`,
        'call 87',
        'exit',
      ];
    case 'pop':
    case 'peek':
      return [
        ...(type === BloomFilter ? copy('r10', -64, 'r6', VALUE, valueSize) : []),
        ...buffer,
        `call ${op === 'pop' ? 88 : 89}`,
        ...copy('r6', VALUE, 'r10', -64, valueSize),
        'exit',
      ];
  }
}

/** Its answer is r0's lower half; a value that was found is in the packet then. */
function program(attr: MapCreateAttr, map: Fd): Uint8Array {
  const ops = opsOf(attr.type);
  const text = [
    'r6 = *(u32 *)(r1 + 0)',
    'r2 = *(u32 *)(r1 + 4)',
    'r3 = r6',
    `r3 += ${PACKET}`,
    'r0 = 0',
    'if r3 > r2 goto out',
    'r7 = *(u8 *)(r6 + 0)',
    ...ops.map((op) => `if r7 == ${OPS[op]} goto ${op}`),
    'out:',
    'exit',
    ...ops.flatMap((op) => [`${op}:`, ...textOf(op, attr)]),
  ];
  const insns = assemble(text.join('\n')).map((insn) =>
    insn.opcode === 0x18 && insn.imm === 0x6d6170 ? loadPseudo(insn.dst, PseudoSource.MAP_FD, map) : insn,
  );
  return encode(insns);
}

// ---- steps

interface Step {
  readonly by: 'program' | 'call';
  readonly op: Op | 'take' | 'next';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function answer(command: Promise<unknown>): Promise<string> {
  try {
    const result = await command;
    return result instanceof Uint8Array ? hex(result) : 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

/** One map on one kernel, with its program. */
class Side {
  readonly kernel: Bpf;
  readonly attr: MapCreateAttr;
  readonly map: Fd;
  readonly prog: Fd;
  readonly cpus: number;

  constructor(kernel: Bpf, attr: MapCreateAttr, map: Fd, prog: Fd, cpus: number) {
    this.kernel = kernel;
    this.attr = attr;
    this.map = map;
    this.prog = prog;
    this.cpus = cpus;
  }

  static async make(kernel: Bpf, attr: MapCreateAttr, cpus: number): Promise<Side> {
    const map = await kernel.mapCreate(attr);
    const instructions = program(attr, map);
    return new Side(
      kernel,
      attr,
      map,
      await kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' }),
      cpus,
    );
  }

  async close(): Promise<void> {
    await this.kernel.close(this.prog);
    await this.kernel.close(this.map);
  }

  /** The value as the system call has it: a slot for each CPU, different ones. */
  #slots(value: Uint8Array): Uint8Array {
    if (!isPercpu(this.attr.type)) return value;
    const stride = Math.ceil(value.length / 8) * 8;
    const all = new Uint8Array(stride * this.cpus);
    for (let cpu = 0; cpu < this.cpus; cpu++)
      all.set(
        value.map((byte) => (byte + cpu) & 0xff),
        cpu * stride,
      );
    return all;
  }

  async do({ by, op, key, value, flags }: Step): Promise<string> {
    const { kernel, map } = this;
    if (by === 'program') {
      const packet = new Uint8Array(PACKET);
      packet[0] = op in OPS ? OPS[op as Op] : 0;
      new DataView(packet.buffer).setBigUint64(FLAGS, BigInt(flags), true);
      packet.set(key, KEY);
      packet.set(value, VALUE);
      const { retval, dataOut } = await kernel.progTestRun(this.prog, { dataIn: packet });
      return `${retval | 0} ${hex(dataOut.subarray(VALUE, VALUE + this.attr.valueSize))}`;
    }
    const bloom = this.attr.type === BloomFilter;
    switch (op) {
      case 'update':
      case 'push':
        return answer(kernel.mapUpdateElem(map, key, this.#slots(value), flags));
      case 'delete':
        return answer(kernel.mapDeleteElem(map, key));
      case 'take':
        return answer(kernel.mapLookupAndDeleteElem(map, key, flags & 4));
      case 'next':
        return (await this.#hasOrder()) ? answer(kernel.mapGetNextKey(map, key)) : '';
      default:
        return answer(kernel.mapLookupElem(map, bloom ? value : key, flags & 4));
    }
  }

  /** Which key comes next is a fact for tries only. */
  async #hasOrder(): Promise<boolean> {
    return this.attr.type === LpmTrie || isKeyless(this.attr.type);
  }

  /** All keys and values, tries in their order. */
  async contents(): Promise<string[]> {
    if (isKeyless(this.attr.type)) return [];
    const lines: string[] = [];
    let key: Uint8Array | null = null;
    for (;;) {
      try {
        key = await this.kernel.mapGetNextKey(this.map, key);
      } catch (error) {
        if (error instanceof BpfError && errnoName(error.errno) === 'ENOENT') break;
        throw error;
      }
      lines.push(`${hex(key)} = ${await answer(this.kernel.mapLookupElem(this.map, key))}`);
    }
    const { memlock, maxEntries } = await this.kernel.mapInfo(this.map);
    return [`memlock ${memlock} of ${maxEntries}`, ...((await this.#hasOrder()) ? lines : lines.toSorted())];
  }
}

// ---- what is tried

/** A prefix and data, of few bits so that they meet. */
const prefix = (size: number): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(
      fc.oneof(fc.integer({ min: 0, max: 8 * size + 1 }), fc.constantFrom(0, 8, 8 * size, 0xffffffff)),
      fc.array(fc.constantFrom(0, 0, 0x80, 0xff, 0x0f, 0x10), { minLength: size, maxLength: size }),
    )
    .map(([length, data]) => Uint8Array.of(...new Uint8Array(Uint32Array.of(length).buffer), ...data));

/** Numbered keys, about half of them more than there is room for. */
const numbered = (size: number, count: number): fc.Arbitrary<Uint8Array> =>
  fc.nat(Math.min(count, 256 ** Math.min(size, 4) - 1)).map((n) => {
    const key = new Uint8Array(size);
    for (let i = 0; i < size; i++) key[i] = i < 4 ? (n >>> (8 * i)) & 0xff : (n * 31 + i) & 0xff;
    return key;
  });

function shapes(type: MapType): fc.Arbitrary<MapCreateAttr> {
  const lru = type === LruHash || type === LruPercpuHash;
  return fc.record({
    type: fc.constant(type),
    keySize: isKeyless(type)
      ? fc.constant(0)
      : type === LpmTrie
        ? fc.constantFrom(5, 6, 7, 8, 12, 20)
        : fc.constantFrom(1, 4, 7, 8, 16, 24),
    valueSize: fc.constantFrom(1, 4, 8, 11, 16, 30),
    maxEntries: lru ? fc.constantFrom(1, 2, 3, 5, 8, 16, 40, 100) : fc.constantFrom(1, 2, 3, 5, 8, 20),
    flags: lru
      ? fc.constantFrom(0, MapFlag.NoCommonLru)
      : type === LpmTrie
        ? fc.constant(MapFlag.NoPrealloc)
        : type === BloomFilter
          ? fc.constant(MapFlag.ZeroSeed)
          : fc.constantFrom(...(isKeyless(type) ? [0] : [0, MapFlag.NoPrealloc])),
    mapExtra: type === BloomFilter ? fc.bigInt({ min: 0n, max: 15n }) : fc.constant(0n),
  });
}

/** What most steps of a sequence do. */
const habits = fc.constantFrom<readonly Step['op'][]>(
  ['update', 'push'],
  ['update', 'push', 'lookup', 'peek', 'lookup', 'peek'],
  ['update', 'push', 'delete', 'pop'],
);

function steps(attr: MapCreateAttr, habit: readonly Step['op'][]): fc.Arbitrary<Step[]> {
  const { type, keySize, valueSize, maxEntries } = attr;
  const key = type === LpmTrie ? prefix(keySize - 4) : numbered(keySize, Math.ceil(maxEntries * 1.5) + 1);
  const value =
    type === BloomFilter
      ? fc.nat(60).map((n) => Uint8Array.from({ length: valueSize }, (_, i) => (n * (i + 3)) & 0xff))
      : fc.uint8Array({ minLength: valueSize, maxLength: valueSize });
  const known = opsOf(type);
  const op = fc.oneof(
    fc.constantFrom(...habit.filter((one) => known.some((other) => other === one))),
    fc.constantFrom<Step['op']>(...known, ...known, 'lookup', 'delete', 'take', 'next'),
  );
  return fc.array(
    fc
      .record({
        by: fc.constantFrom<Step['by']>('program', 'program', 'call'),
        op,
        key,
        value,
        flags: fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3, 4),
      })
      // The CPU that is asked for.
      .map((step) => (step.op === 'percpu' ? { ...step, flags: step.flags % 3 } : step)),
    { minLength: 1, maxLength: Math.max(60, 4 * maxEntries), size: 'max' },
  );
}

needs('maps on both kernels', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  for (const type of [Hash, PercpuHash, LruHash, LruPercpuHash, LpmTrie, Queue, Stack, BloomFilter]) {
    test(`${mapTypeName(type)}: the same answers and contents after ${RUNS} sequences`, async () => {
      using _cpu = onFirstCpu();
      using linux = new LinuxKernel();
      const cpus = await linux.possibleCpus();
      const emulated = (['jit', 'interpreter'] as const).map(
        (engine) => new EmulatedKernel({ engine, cpus }),
      );
      const sequences = fc
        .tuple(shapes(type), habits)
        .chain(([attr, habit]) => fc.tuple(fc.constant(attr), steps(attr, habit)));
      await fc.assert(
        fc.asyncProperty(sequences, async ([attr, list]) => {
          const sides: Side[] = [];
          for (const kernel of [linux, ...emulated]) sides.push(await Side.make(kernel, attr, cpus));
          const answers: string[][] = [];
          for (const side of sides) {
            const lines: string[] = [];
            for (const step of list) {
              lines.push(`${step.by} ${step.op} ${hex(step.key)} ${step.flags} -> ${await side.do(step)}`);
            }
            answers.push([...lines, ...(await side.contents())]);
            await side.close();
          }
          expect(answers[1]).toEqual(answers[0]);
          expect(answers[2]).toEqual(answers[0]);
        }),
        { numRuns: RUNS },
      );
    }, 60_000);
  }
});
