// Maps and helpers, as programs use them: random sequences of calls give the same on both engines as in a model of
// a few lines, results and contents alike.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fd } from '../../src/bpf/bpf.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource, toAssembly } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';

/** How many random programs are tried. */
const RUNS = Number(process.env.SKEP_FAULT_RUNS ?? 500);
const ENGINES = ['jit', 'interpreter'] as const;
const CPUS = 2;
const ENTRIES = 4;

const kernels = ENGINES.map((engine) => new EmulatedKernel({ engine, cpus: CPUS, now: () => 1 }));

/** Text in which `rN = map I` stands for the map with index I of `fds`. */
function instructions(text: string, fds: readonly Fd[]): Uint8Array {
  const marked = text.replace(
    /= map (\d+)/g,
    (_, index) => `= 0x6d6170${Number(index).toString(16).padStart(8, '0')} ll`,
  );
  return encode(
    assemble(marked).map((insn) =>
      insn.opcode === 0x18 && insn.immHigh === 0x6d6170
        ? loadPseudo(insn.dst, PseudoSource.MAP_FD, fds[insn.imm] ?? -1)
        : insn,
    ),
  );
}

const load = (kernel: EmulatedKernel, text: string, fds: readonly Fd[]): Promise<Fd> =>
  kernel.progLoad({ type: ProgType.Xdp, instructions: instructions(text, fds), license: 'GPL' });

const bytesOf = (size: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (seed * 29 + i * 7) & 0xff);

const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);

const error = (errno: number): bigint => BigInt(-errno);
const [ENOENT, E2BIG, EACCES, EEXIST, EINVAL] = [2, 7, 13, 17, 22].map(error) as [
  bigint,
  bigint,
  bigint,
  bigint,
  bigint,
];

// ---- the model

interface Shape {
  readonly type: MapType;
  readonly keySize: number;
  readonly valueSize: number;
}

/** A map as a program on CPU 0 and the system call see it: values of all CPUs by key. */
class ModelMap {
  readonly shape: Shape;
  readonly isHash: boolean;
  readonly slots: number;
  readonly values = new Map<number, Uint8Array[]>();

  constructor(shape: Shape) {
    this.shape = shape;
    this.isHash = shape.type === MapType.Hash || shape.type === MapType.PercpuHash;
    const perCpu = shape.type === MapType.PercpuHash || shape.type === MapType.PercpuArray;
    this.slots = perCpu ? CPUS : 1;
    if (!this.isHash) for (let key = 0; key < ENTRIES; key++) this.values.set(key, this.#zeros());
  }

  #zeros(): Uint8Array[] {
    return Array.from({ length: this.slots }, () => new Uint8Array(this.shape.valueSize));
  }

  update(key: number, value: Uint8Array, flags: bigint): bigint {
    if (flags > 2n) return EINVAL;
    const known = this.values.get(key);
    if (!this.isHash && !known) return E2BIG;
    if (known && flags === 1n) return EEXIST;
    if (!known && flags === 2n) return ENOENT;
    if (!known && this.values.size >= ENTRIES) return E2BIG;
    const values = known ?? this.#zeros();
    values[0] = value.slice();
    this.values.set(key, values);
    return 0n;
  }

  delete(key: number): bigint {
    if (!this.isHash) return EINVAL;
    return this.values.delete(key) ? 0n : ENOENT;
  }

  /** What the system call gives for a key: every CPU's value in a slot of 8-byte multiples. */
  contents(key: number): Uint8Array | undefined {
    const values = this.values.get(key);
    if (!values) return undefined;
    if (this.slots === 1) return values[0];
    const stride = Math.ceil(this.shape.valueSize / 8) * 8;
    const all = new Uint8Array(stride * this.slots);
    values.forEach((value, cpu) => {
      all.set(value, cpu * stride);
    });
    return all;
  }
}

/** The bytes of a key by number: of arrays the index itself. */
const keyOf = (map: ModelMap, key: number): Uint8Array =>
  map.isHash
    ? Uint8Array.from({ length: map.shape.keySize }, (_, i) => (key * 53 + i * (key + 1)) & 0xff)
    : u32(key);

/** The packet's frame, in bytes from the start of its headroom. */
class ModelFrame {
  data = 256;
  meta = 256;
  end: number;
  /** A page less what Linux keeps behind the frame (skb_shared_info). */
  readonly limit = 4096 - 320;

  constructor(length: number) {
    this.end = this.data + length;
  }

  head(delta: number): bigint {
    const moved = this.data + delta;
    if (moved < 40 + this.data - this.meta || moved > this.end - 14) return EINVAL;
    this.data = moved;
    this.meta += delta;
    return 0n;
  }

  tail(delta: number): bigint {
    const moved = this.end + delta;
    if (moved > this.limit || moved < this.data + 14) return EINVAL;
    this.end = moved;
    return 0n;
  }

  metadata(delta: number): bigint {
    const moved = this.meta + delta;
    if (moved < 40 || moved > this.data) return EINVAL;
    if ((this.data - moved) % 4 !== 0 || this.data - moved > 255) return EACCES;
    this.meta = moved;
    return 0n;
  }
}

/** The internet checksum's sum, of which only the value modulo 0xffff matters. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  bytes.forEach((byte, i) => {
    sum += i % 2 ? byte * 256 : byte;
  });
  return sum % 0xffff;
}

// ---- programs

type Call =
  | {
      readonly kind: 'lookup' | 'delete';
      readonly map: number;
      readonly key: number;
      readonly opaque: boolean;
    }
  | {
      readonly kind: 'update';
      readonly map: number;
      readonly key: number;
      readonly opaque: boolean;
      readonly value: number;
      readonly flags: bigint;
    }
  | { readonly kind: 'checksum'; readonly from: number; readonly to: number; readonly seed: number }
  | { readonly kind: 'head' | 'tail' | 'metadata'; readonly by: number }
  | { readonly kind: 'redirect'; readonly flags: number }
  | { readonly kind: 'cpu' | 'length' };

const KEY = 48;
const VALUE = 112;
const PACKET = 60;
const MASK = (1n << 64n) - 1n;

/** Puts bytes on the stack. */
function bytesAt(at: number, bytes: Uint8Array): string[] {
  const lines: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) lines.push(`*(u32 *)(r10 - ${at - i}) = ${view.getInt32(i, true)}`);
  for (; i < bytes.length; i++) lines.push(`*(u8 *)(r10 - ${at - i}) = ${bytes[i]}`);
  return lines;
}

const pointer = (register: string, at: number): string[] => [`${register} = r10`, `${register} += -${at}`];

/** The text of one call; its result is left in r0. */
function textOf(call: Call, maps: readonly ModelMap[], id: number): string[] {
  /** An opaque map is one that the JIT does not know when it compiles. */
  const onMap = (call: Extract<Call, { map: number }>): string[] => [
    ...bytesAt(KEY, keyOf(maps[call.map] as ModelMap, call.key)),
    `r1 = map ${call.map}`,
    ...(call.opaque ? ['r1 ^= 0'] : []),
    ...pointer('r2', KEY),
  ];
  switch (call.kind) {
    case 'lookup':
      return [
        ...onMap(call),
        'call 1',
        `if r0 == 0 goto none_${id}`,
        'r1 = r0',
        'r0 = *(u32 *)(r1 + 0)',
        'r2 = r0',
        'r2 += 1',
        '*(u32 *)(r1 + 0) = r2',
        `none_${id}:`,
      ];
    case 'delete':
      return [...onMap(call), 'call 3'];
    case 'update': {
      const value = bytesOf((maps[call.map] as ModelMap).shape.valueSize, call.value);
      return [
        ...onMap(call),
        ...bytesAt(VALUE, value),
        ...pointer('r3', VALUE),
        `r4 = ${call.flags} ll`,
        'call 2',
      ];
    }
    case 'checksum':
      return [
        ...bytesAt(VALUE, bytesOf(40, call.seed)),
        ...pointer('r1', VALUE),
        `r2 = ${call.from}`,
        ...pointer('r3', VALUE - 16),
        `r4 = ${call.to}`,
        `r5 = ${call.seed}`,
        'call 28',
        // 0 and 0xffff are the same sum.
        'r0 %= 0xffff',
      ];
    case 'head':
    case 'tail':
    case 'metadata':
      return ['r1 = r6', `r2 = ${call.by}`, `call ${{ head: 44, tail: 65, metadata: 54 }[call.kind]}`];
    case 'redirect':
      return ['r1 = 1', `r2 = ${call.flags}`, 'call 23'];
    case 'cpu':
      return ['call 8'];
    case 'length':
      return ['r1 = r6', 'call 188'];
  }
}

/** What the model answers. */
function answer(call: Call, maps: readonly ModelMap[], frame: ModelFrame): bigint {
  switch (call.kind) {
    case 'lookup': {
      const value = (maps[call.map] as ModelMap).values.get(call.key)?.[0];
      if (!value) return 0n;
      const view = new DataView(value.buffer);
      const before = view.getUint32(0, true);
      view.setUint32(0, before + 1, true);
      return BigInt(before);
    }
    case 'delete':
      return (maps[call.map] as ModelMap).delete(call.key);
    case 'update': {
      const map = maps[call.map] as ModelMap;
      return map.update(call.key, bytesOf(map.shape.valueSize, call.value), call.flags);
    }
    case 'checksum': {
      const bytes = bytesOf(40, call.seed);
      const [from, to] = [checksum(bytes.subarray(0, call.from)), checksum(bytes.subarray(16, 16 + call.to))];
      // Without any bytes the seed comes back as it was.
      return BigInt((call.seed + to + 0xffff - from) % 0xffff);
    }
    case 'head':
      return frame.head(call.by);
    case 'tail':
      return frame.tail(call.by);
    case 'metadata':
      return frame.metadata(call.by);
    case 'redirect':
      return call.flags === 0 ? 4n : 0n;
    case 'cpu':
      return 0n;
    case 'length':
      return BigInt(frame.end - frame.data);
  }
}

const keySize = fc.oneof(fc.constantFrom(1, 2, 3, 4, 8, 12, 16, 24, 40), fc.integer({ min: 1, max: 40 }));
const valueSize = fc.constantFrom(4, 5, 8, 12, 16, 33);
const shape: fc.Arbitrary<Shape> = fc
  .tuple(
    fc.constantFrom(MapType.Array, MapType.Hash, MapType.Hash, MapType.PercpuArray, MapType.PercpuHash),
    keySize,
    valueSize,
  )
  .map(([type, size, value]) => ({
    type,
    keySize: type === MapType.Array || type === MapType.PercpuArray ? 4 : size,
    valueSize: value,
  }));

const onMap = { map: fc.nat(2), key: fc.nat(5), opaque: fc.boolean() };
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('lookup' as const), ...onMap }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), ...onMap }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      ...onMap,
      value: fc.nat(200),
      flags: fc.constantFrom(0n, 0n, 0n, 1n, 1n, 2n, 2n, 3n, 4n, 1n << 32n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('checksum' as const),
      from: fc.constantFrom(0, 2, 4, 8, 15, 16, 20),
      to: fc.constantFrom(0, 1, 4, 8, 12, 24),
      seed: fc.nat(70_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('head' as const, 'tail' as const, 'metadata' as const),
      by: fc.oneof(
        fc.integer({ min: -20, max: 20 }),
        fc.constantFrom(-300, -216, -8, -4, 4, 8, 46, 3460, 4000),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('redirect' as const), flags: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cpu' as const, 'length' as const) }) },
);

const sequence = fc.record({
  shapes: fc.tuple(shape, shape, shape),
  calls: fc.array(call, { minLength: 1, maxLength: 14 }),
  /** How often the program is run, one run after the other. */
  repeat: fc.integer({ min: 1, max: 3 }),
});

test(`${RUNS} random sequences of helper calls give what the model says`, { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(sequence, async ({ shapes, calls, repeat }) => {
      const models = shapes.map((shape) => new ModelMap(shape));
      const expected: { retval: number; length: number }[] = [];
      for (let run = 0; run < repeat; run++) {
        const frame = new ModelFrame(PACKET);
        let acc = 1n;
        for (const call of calls) acc = (acc * 31n + answer(call, models, frame)) & MASK;
        expected.push({ retval: Number((acc ^ (acc >> 32n)) & 0xffffffffn), length: frame.end - frame.meta });
      }
      const text = [
        'r6 = r1',
        'r9 = 1',
        ...calls.flatMap((call, id) => [...textOf(call, models, id), 'r9 *= 31', 'r9 += r0']),
        'r0 = r9',
        'r0 >>= 32',
        'r0 ^= r9',
        'exit',
      ].join('\n');
      for (const [i, kernel] of kernels.entries()) {
        const fds: Fd[] = [];
        for (const shape of shapes) fds.push(await kernel.mapCreate({ ...shape, maxEntries: ENTRIES }));
        const prog = await load(kernel, text, fds);
        const note = `${ENGINES[i]}\n${toAssembly(assemble(text.replace(/= map \d+/g, '= 0 ll')))}`;
        for (const { retval, length } of expected) {
          const result = await kernel.progTestRun(prog, { dataIn: new Uint8Array(PACKET) });
          expect({ retval: result.retval, length: result.dataOut.length }, note).toEqual({ retval, length });
        }
        for (const [m, model] of models.entries()) {
          for (let key = 0; key < 6; key++) {
            const found = await kernel.mapLookupElem(fds[m] ?? -1, keyOf(model, key)).catch(() => undefined);
            expect(found, note).toEqual(model.contents(key));
          }
        }
        for (const fd of [prog, ...fds]) await kernel.close(fd);
      }
    }),
    { numRuns: RUNS },
  );
});

// ---- tail calls

/** A tail call to a slot of the program array, in the program itself or in a subprogram of it. */
interface Attempt {
  readonly slot: number;
  readonly inSubprogram: boolean;
}

const PROGRAMS = 4;
/** Slots 0 to 3 hold the programs, 4 is empty, 5 is out of range. */
const SLOTS = 5;
const MAX_TAIL_CALLS = 33;

/**
 * A program of the chain. It counts its runs in a map of its own (index `id + 1`), also after its calls have come
 * back: then it must be the running program again, whatever ran in between.
 */
function chained(id: number, attempts: readonly Attempt[]): string {
  const count = (label: string, by: number): string[] => [
    '*(u32 *)(r10 - 4) = 0',
    ...pointer('r2', 4),
    `r1 = map ${id + 1}`,
    ...(by === 1 ? [] : ['r1 ^= 0']),
    'call 1',
    `if r0 == 0 goto ${label}`,
    'r1 = *(u64 *)(r0 + 0)',
    `r1 += ${by}`,
    '*(u64 *)(r0 + 0) = r1',
    `${label}:`,
  ];
  const main = attempts.flatMap(({ slot, inSubprogram }, i) =>
    inSubprogram
      ? ['r1 = r6', `r2 = ${slot}`, 'call sub', 'r9 *= 3', 'r9 += r0', ...count(`after_${i}`, 1000)]
      : ['r1 = r6', 'r2 = map 0', `r3 = ${slot}`, 'call 12', 'r9 += 5'],
  );
  return [
    'r6 = r1',
    `r9 = ${id + 1}`,
    ...count('counted', 1),
    ...main,
    'r0 = r9',
    'exit',
    ...(attempts.some((a) => a.inSubprogram)
      ? ['sub:', 'r3 = r2', 'r2 = map 0', 'call 12', 'r0 = 77', 'exit']
      : []),
  ].join('\n');
}

/** What the programs answer, and how their counters stand. */
function follow(programs: readonly (readonly Attempt[])[]): { retval: number; counts: number[] } {
  const counts = programs.map(() => 0);
  let calls = 0;
  const take = (slot: number): boolean => slot < programs.length && calls < MAX_TAIL_CALLS && ++calls > 0;
  const run = (id: number): bigint => {
    const add = (by: number) => {
      counts[id] = (counts[id] ?? 0) + by;
    };
    add(1);
    let r9 = BigInt(id + 1);
    for (const { slot, inSubprogram } of programs[id] ?? []) {
      if (inSubprogram) {
        r9 = (r9 * 3n + (take(slot) ? run(slot) : 77n)) & MASK;
        add(1000);
      } else {
        if (take(slot)) return run(slot);
        r9 += 5n;
      }
    }
    return r9 & MASK;
  };
  return { retval: Number(run(0) & 0xffffffffn), counts };
}

/** Runs the programs on all engines and compares with the model. */
async function compareChain(programs: readonly (readonly Attempt[])[]): Promise<void> {
  const expected = follow(programs);
  for (const [i, kernel] of kernels.entries()) {
    const fds = [
      await kernel.mapCreate({ type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: SLOTS }),
    ];
    for (let id = 0; id < programs.length; id++) {
      fds.push(await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1 }));
    }
    const loaded: Fd[] = [];
    const texts = programs.map((attempts, id) => chained(id, attempts));
    for (const [id, text] of texts.entries()) {
      const prog = await load(kernel, text, fds);
      loaded.push(prog);
      await kernel.mapUpdateElem(fds[0] ?? -1, u32(id), u32(prog));
    }
    const note = `${ENGINES[i]}\n${texts.join('\n\n')}`;
    const { retval } = await kernel
      .progTestRun(loaded[0] ?? -1, { dataIn: new Uint8Array(PACKET) })
      .catch((error) => {
        throw new Error(`${error}: ${note}`, { cause: error });
      });
    const counts: number[] = [];
    for (let id = 0; id < programs.length; id++) {
      const value = await kernel.mapLookupElem(fds[id + 1] ?? -1, u32(0));
      counts.push(new DataView(value.buffer, value.byteOffset).getUint32(0, true));
    }
    expect({ retval, counts }, note).toEqual(expected);
    for (let id = 0; id < programs.length; id++) await kernel.mapDeleteElem(fds[0] ?? -1, u32(id));
    for (const fd of [...loaded, ...fds]) await kernel.close(fd);
  }
}

describe('tail calls', () => {
  const to = (slot: number, inSubprogram = false): Attempt => ({ slot, inSubprogram });

  test.each([
    ['a program that calls itself, to the limit', [[to(0)]]],
    ['two that call each other, to the limit', [[to(1)], [to(0)]]],
    ['an empty slot, then one out of range', [[to(4), to(5), to(200)]]],
    ['from a subprogram, which comes back with its answer', [[to(1, true)], []]],
    ['from subprograms, to the limit', [[to(0, true)]]],
    ['from a subprogram into a chain', [[to(1, true), to(2)], [to(2)], [to(4), to(3, true)], []]],
  ] as const)('%s', async (_, programs) => {
    await compareChain(programs);
  });

  test(`${Math.ceil(RUNS / 4)} random chains give what the model says`, { timeout: 600_000 }, async () => {
    const attempt = fc.record({ slot: fc.constantFrom(0, 1, 2, 3, 3, 4, 5), inSubprogram: fc.boolean() });
    const program = fc.array(attempt, { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.array(program, { minLength: PROGRAMS, maxLength: PROGRAMS }), compareChain),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });
});
