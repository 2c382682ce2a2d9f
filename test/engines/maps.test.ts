// Maps and helpers, as programs use them: random sequences of calls give the same on both engines as in a model of
// a few lines, results and contents alike. (LRU hashes have room enough here; what they forget is looked at elsewhere.)

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Fd } from '../../src/bpf/bpf.js';
import { MapType } from '../../src/bpf/types.js';
import { assemble, toAssembly } from '../../src/isa/index.js';
import { CPUS, ENGINES, kernels, load, MASK, PACKET, pointer, RUNS, u32 } from './programs.js';

/** Elements that a map has room for. */
const ENTRIES = 4;

const bytesOf = (size: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (seed * 29 + i * 7) & 0xff);

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

const hashes: ReadonlySet<MapType> = new Set([
  MapType.Hash,
  MapType.PercpuHash,
  MapType.LruHash,
  MapType.LruPercpuHash,
]);
const perCpuTypes: ReadonlySet<MapType> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
]);
const isLru = (type: MapType): boolean => type === MapType.LruHash || type === MapType.LruPercpuHash;

/** An LRU hash never has to forget one of a few keys when it has room for many. */
const entriesOf = ({ type }: Shape): number => (isLru(type) ? 64 : ENTRIES);

/** A map as a program on CPU 0 and the system call see it: values of all CPUs by key. */
class ModelMap {
  readonly shape: Shape;
  readonly isHash: boolean;
  readonly slots: number;
  readonly values = new Map<number, Uint8Array[]>();

  constructor(shape: Shape) {
    this.shape = shape;
    this.isHash = hashes.has(shape.type);
    this.slots = perCpuTypes.has(shape.type) ? CPUS : 1;
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
    if (!known && this.values.size >= entriesOf(this.shape)) return E2BIG;
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

/** A queue or a stack. */
class ModelQueue {
  readonly shape: Shape;
  readonly values: Uint8Array[] = [];

  constructor(shape: Shape) {
    this.shape = shape;
  }

  push(value: Uint8Array, flags: bigint): bigint {
    if (flags & 1n || flags > 2n) return EINVAL;
    if (this.values.length === ENTRIES) {
      if (flags === 0n) return E2BIG;
      this.values.shift();
    }
    this.values.push(value);
    return 0n;
  }

  /** The next value; it stays when it is only peeked at. */
  next(take: boolean): Uint8Array | undefined {
    const at = this.shape.type === MapType.Queue ? 0 : this.values.length - 1;
    const value = this.values[at];
    if (take) this.values.splice(Math.max(at, 0), 1);
    return value;
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
  | { readonly kind: 'push'; readonly value: number; readonly flags: bigint; readonly opaque: boolean }
  | { readonly kind: 'pop' | 'peek'; readonly opaque: boolean }
  | { readonly kind: 'checksum'; readonly from: number; readonly to: number; readonly seed: number }
  | { readonly kind: 'head' | 'tail' | 'metadata'; readonly by: number }
  | { readonly kind: 'redirect'; readonly flags: number }
  | { readonly kind: 'cpu' | 'length' };

const KEY = 48;
const VALUE = 112;

/** Puts bytes on the stack. */
function bytesAt(at: number, bytes: Uint8Array): string[] {
  const lines: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) lines.push(`*(u32 *)(r10 - ${at - i}) = ${view.getInt32(i, true)}`);
  for (; i < bytes.length; i++) lines.push(`*(u8 *)(r10 - ${at - i}) = ${bytes[i]}`);
  return lines;
}

/** The text of one call; its result is left in r0. */
function textOf(call: Call, maps: readonly ModelMap[], queue: ModelQueue, id: number): string[] {
  /** An opaque map is one that the JIT does not know when it compiles. */
  const onMap = (call: Extract<Call, { map: number }>): string[] => [
    ...bytesAt(KEY, keyOf(maps[call.map] as ModelMap, call.key)),
    `r1 = map ${call.map}`,
    ...(call.opaque ? ['r1 ^= 0'] : []),
    ...pointer('r2', KEY),
  ];
  const onQueue = ({ opaque }: { opaque: boolean }): string[] => [
    `r1 = map ${maps.length}`,
    ...(opaque ? ['r1 ^= 0'] : []),
    ...pointer('r2', VALUE),
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
    case 'push':
      return [
        ...bytesAt(VALUE, bytesOf(queue.shape.valueSize, call.value)),
        ...onQueue(call),
        `r3 = ${call.flags} ll`,
        'call 87',
      ];
    case 'pop':
    case 'peek':
      // What was there before is overwritten, with zeros when there is no value.
      return [
        `*(u32 *)(r10 - ${VALUE}) = 77`,
        ...onQueue(call),
        `call ${call.kind === 'pop' ? 88 : 89}`,
        `r1 = *(u32 *)(r10 - ${VALUE})`,
        'r0 += r1',
      ];
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
function answer(call: Call, maps: readonly ModelMap[], queue: ModelQueue, frame: ModelFrame): bigint {
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
    case 'push':
      return queue.push(bytesOf(queue.shape.valueSize, call.value), call.flags);
    case 'pop':
    case 'peek': {
      const value = queue.next(call.kind === 'pop');
      return value ? BigInt(new DataView(value.buffer).getUint32(0, true)) : ENOENT;
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
    fc.constantFrom(
      MapType.Array,
      MapType.Hash,
      MapType.Hash,
      MapType.PercpuArray,
      MapType.PercpuHash,
      MapType.LruHash,
      MapType.LruPercpuHash,
    ),
    keySize,
    valueSize,
  )
  .map(([type, size, value]) => ({
    type,
    keySize: type === MapType.Array || type === MapType.PercpuArray ? 4 : size,
    valueSize: value,
  }));

const queueShape: fc.Arbitrary<Shape> = fc.record({
  type: fc.constantFrom(MapType.Queue, MapType.Stack),
  keySize: fc.constant(0),
  valueSize,
});

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
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      value: fc.nat(200),
      flags: fc.constantFrom(0n, 0n, 2n, 1n, 3n, 4n, 1n << 32n),
      opaque: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('pop' as const, 'peek' as const),
      opaque: fc.boolean(),
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
  queueShape,
  calls: fc.array(call, { minLength: 1, maxLength: 14 }),
  /** How often the program is run, one run after the other. */
  repeat: fc.integer({ min: 1, max: 3 }),
});

test(`${RUNS} random sequences of helper calls give what the model says`, { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(sequence, async ({ shapes, queueShape, calls, repeat }) => {
      const models = shapes.map((shape) => new ModelMap(shape));
      const queue = new ModelQueue(queueShape);
      const expected: { retval: number; length: number }[] = [];
      for (let run = 0; run < repeat; run++) {
        const frame = new ModelFrame(PACKET);
        let acc = 1n;
        for (const call of calls) acc = (acc * 31n + answer(call, models, queue, frame)) & MASK;
        expected.push({ retval: Number((acc ^ (acc >> 32n)) & 0xffffffffn), length: frame.end - frame.meta });
      }
      const text = [
        'r6 = r1',
        'r9 = 1',
        ...calls.flatMap((call, id) => [...textOf(call, models, queue, id), 'r9 *= 31', 'r9 += r0']),
        'r0 = r9',
        'r0 >>= 32',
        'r0 ^= r9',
        'exit',
      ].join('\n');
      for (const [i, kernel] of kernels.entries()) {
        const fds: Fd[] = [];
        for (const shape of [...shapes, queueShape]) {
          fds.push(await kernel.mapCreate({ ...shape, maxEntries: entriesOf(shape) }));
        }
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
        const left: Uint8Array[] = [];
        for (const _ of queue.values)
          left.push(await kernel.mapLookupAndDeleteElem(fds[3] ?? -1, new Uint8Array()));
        expect(left, note).toEqual(
          queueShape.type === MapType.Queue ? queue.values : queue.values.toReversed(),
        );
        for (const fd of [prog, ...fds]) await kernel.close(fd);
      }
    }),
    { numRuns: RUNS },
  );
});
