// Laws of hash maps: any sequence of commands gives what a JavaScript Map gives.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import { KernelMemory } from '../memory/memory.js';
import { KernelMap } from './index.js';

const memory = new KernelMemory({ callHost() {}, now: () => 0 });
const cpus = 3;

interface ProgramSide {
  map_lookup(map: number, key: number, cpu: number): number;
  map_update(map: number, key: number, value: number, flags: bigint, cpu: number): number;
}
/** What a program's helpers do. */
const program = memory.runtime as unknown as ProgramSide;
const keyAt = memory.alloc(256) as number;
const valueAt = memory.alloc(256) as number;

const hex = (data: Uint8Array): string =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');
const result = (body: () => void): number => {
  try {
    body();
    return 0;
  } catch (error) {
    if (error instanceof BpfError) return error.errno;
    throw error;
  }
};

type Model = Map<string, Uint8Array>;
type Step = fc.Command<Model, KernelMap>;

/** What Linux answers to an update. */
function expected(model: Model, map: KernelMap, key: string, flags: number): number {
  if (model.has(key)) return flags === 1 ? Errno.EEXIST : 0;
  if (flags === 2) return Errno.ENOENT;
  return model.size >= map.maxEntries ? Errno.E2BIG : 0;
}

const always = () => true;

const update = (key: Uint8Array, all: Uint8Array, flags: number): Step => ({
  check: always,
  run(model, map) {
    const want = expected(model, map, hex(key), flags);
    const value = all.subarray(0, map.transferSize);
    expect(result(() => map.update(key, value, flags))).toBe(want);
    if (want === 0) model.set(hex(key), value);
  },
  toString: () => `update(${hex(key)}, ${hex(all)}, ${flags})`,
});

const programUpdate = (key: Uint8Array, all: Uint8Array, flags: number, cpu: number): Step => ({
  check: always,
  run(model, map) {
    const want = expected(model, map, hex(key), flags);
    const value = all.subarray(0, map.valueSize);
    memory.write(keyAt, key);
    memory.write(valueAt, value);
    expect(program.map_update(map.address, keyAt, valueAt, BigInt(flags), cpu)).toBe(want ? -want : 0);
    if (want !== 0) return;
    const slots = model.get(hex(key))?.slice() ?? new Uint8Array(map.transferSize);
    slots.set(value, map.definition.percpu ? 8 * cpu : 0);
    model.set(hex(key), slots);
  },
  toString: () => `program update(${hex(key)}, ${hex(all)}, ${flags}, CPU ${cpu})`,
});

const remove = (key: Uint8Array): Step => ({
  check: always,
  run(model, map) {
    const had = model.delete(hex(key));
    expect(result(() => map.delete(key))).toBe(had ? 0 : Errno.ENOENT);
  },
  toString: () => `delete(${hex(key)})`,
});

function compare(model: Model, map: KernelMap): void {
  const entries = Array.from(map.keys(), (key) => [hex(key), hex(map.lookup(key))]);
  expect(entries.toSorted()).toEqual(Array.from(model, ([key, value]) => [key, hex(value)]).toSorted());
  expect(map.count).toBe(model.size);
}

const steps = (keySize: number): fc.Arbitrary<Iterable<Step>> => {
  // Few different keys, so that commands meet each other.
  const key = fc.nat(12).map((n) => new Uint8Array(keySize).fill(n % 5).fill(n, keySize - 1));
  const value = fc.uint8Array({ minLength: 8 * cpus, maxLength: 8 * cpus });
  const flags = fc.nat(2);
  return fc.commands(
    [
      fc.tuple(key, value, flags).map((args) => update(...args)),
      fc.tuple(key, value, flags, fc.nat(cpus - 1)).map((args) => programUpdate(...args)),
      key.map(remove),
      fc.constant<Step>({ check: always, run: compare, toString: () => 'compare' }),
    ],
    { maxCommands: 60 },
  );
};

describe('a hash map behaves as a Map with a limit', () => {
  for (const type of [MapType.Hash, MapType.PercpuHash]) {
    for (const flags of [0, MapFlag.NoPrealloc]) {
      for (const keySize of [1, 4, 7, 8, 12, 16, 20, 33]) {
        const kind = `${type === MapType.Hash ? 'hash' : 'per-CPU hash'}${flags ? ', not preallocated' : ''}`;
        test(`${kind}, keys of ${keySize} bytes`, () => {
          fc.assert(
            fc.property(steps(keySize), fc.integer({ min: 1, max: 9 }), (commands, maxEntries) => {
              const attr = { type, keySize, valueSize: 8, maxEntries, flags };
              const map = new KernelMap(memory, 1, attr, cpus);
              try {
                const model: Model = new Map();
                fc.modelRun(() => ({ model, real: map }), commands);
                compare(model, map);
              } finally {
                map.destroy();
              }
            }),
            { numRuns: 30 },
          );
        });
      }
    }
  }
});

const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
const u64 = (n: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer);

function lookup(map: KernelMap, key: number, cpu = 0): number {
  memory.write(keyAt, u32(key));
  return program.map_lookup(map.address, keyAt, cpu) >>> 0;
}

describe('pointers that a program holds', () => {
  for (const flags of [0, MapFlag.NoPrealloc]) {
    const kind = flags ? 'a hash that is not preallocated' : 'a preallocated hash';
    test(`${kind}: the old value stays readable after its key got a new one`, () => {
      const map = new KernelMap(
        memory,
        1,
        { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 1, flags },
        cpus,
      );
      map.update(u32(7), u64(1));
      const first = lookup(map, 7);
      map.update(u32(7), u64(2));
      const second = lookup(map, 7);
      expect(second).not.toBe(first);
      expect([memory.u32(first), memory.u32(second)]).toEqual([1, 2]);
      map.destroy();
    });

    test(`${kind}: the value stays readable after its key was deleted`, () => {
      const map = new KernelMap(
        memory,
        1,
        { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 4, flags },
        cpus,
      );
      map.update(u32(7), u64(1));
      const value = lookup(map, 7);
      map.delete(u32(7));
      expect(lookup(map, 7)).toBe(0);
      expect(memory.u32(value)).toBe(1);
      // The next new key gets the element that was freed last.
      map.update(u32(8), u64(2));
      expect(lookup(map, 8)).toBe(value);
      map.destroy();
    });
  }

  test('values never move while a map fills and empties', () => {
    const map = new KernelMap(
      memory,
      1,
      { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 1000, flags: MapFlag.NoPrealloc },
      cpus,
    );
    for (let round = 0; round < 4; round++) {
      const at = new Map<number, number>();
      for (let n = 0; n < 1000; n++) {
        map.update(u32(n), u64(n));
        at.set(n, lookup(map, n));
      }
      expect(result(() => map.update(u32(1000), u64(0)))).toBe(Errno.E2BIG);
      expect(new Set(at.values()).size).toBe(1000);
      for (const [n, address] of at) {
        expect(lookup(map, n)).toBe(address);
        expect(memory.u32(address)).toBe(n);
        if (n % 3 !== round) map.delete(u32(n));
      }
      for (const [n] of at) if (lookup(map, n)) map.delete(u32(n));
      expect(map.count).toBe(0);
    }
    map.destroy();
  });

  test("a per-CPU value is one CPU's own, and 0 on the others when a program made the element", () => {
    for (const type of [MapType.PercpuHash, MapType.PercpuArray]) {
      const map = new KernelMap(memory, 1, { type, keySize: 4, valueSize: 8, maxEntries: 2 }, cpus);
      memory.write(keyAt, u32(1));
      memory.write(valueAt, u64(5));
      expect(program.map_update(map.address, keyAt, valueAt, 0n, 1)).toBe(0);
      expect([0, 1, 2].map((cpu) => memory.u32(lookup(map, 1, cpu)))).toEqual([0, 5, 0]);
      expect(lookup(map, 1, 3)).toBe(0);
      expect(map.lookup(u32(1))).toEqual(new Uint8Array([...u64(0), ...u64(5), ...u64(0)]));
      map.destroy();
    }
  });
});

test('walking a hash while deleting what was found reaches every key', () => {
  const map = new KernelMap(
    memory,
    1,
    { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 100 },
    cpus,
  );
  for (let n = 0; n < 100; n++) map.update(u32(n), u64(n));
  const seen = new Set<string>();
  for (const key of map.keys()) {
    seen.add(hex(key));
    map.delete(key);
  }
  expect(seen.size).toBe(100);
  expect(map.count).toBe(0);
  map.destroy();
});

describe('memory', () => {
  test('a map that does not fit is refused with ENOMEM and leaves nothing behind', () => {
    const small = new KernelMemory({ callHost() {}, now: () => 0 }, 4 * 1024 * 1024);
    for (const type of [MapType.Array, MapType.Hash, MapType.PercpuArray, MapType.PercpuHash]) {
      for (const maxEntries of [1_000_000, 100_000_000, 0x8000000]) {
        const create = () => new KernelMap(small, 1, { type, keySize: 4, valueSize: 64, maxEntries }, cpus);
        expect(result(create)).toBe(Errno.ENOMEM);
      }
    }
    const map = new KernelMap(
      small,
      1,
      { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1000 },
      1,
    );
    expect(map.lookup(u32(999))).toEqual(u64(0));
  });

  test('a map that is destroyed gives its memory back', () => {
    const small = new KernelMemory({ callHost() {}, now: () => 0 }, 4 * 1024 * 1024);
    for (let n = 0; n < 100; n++) {
      const map = new KernelMap(
        small,
        n,
        { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 50_000 },
        1,
      );
      expect(map.lookup(u32(n))).toEqual(u64(0));
      map.update(u32(n), u64(1));
      map.destroy();
    }
    expect(small.memory.buffer.byteLength).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});

describe('program arrays', () => {
  const references = new Map<number, number>();
  const none = (): never => {
    throw new Error('a program array asks only for programs');
  };
  const reference = (id: number, type: 5 | 6) => ({
    id,
    traits: { type, jited: true, fragments: false, expectedAttachType: 0 as const, bound: false },
    address: 0x100000 + id,
    retain: () => void references.set(id, (references.get(id) ?? 0) + 1),
    release: () => void references.set(id, (references.get(id) ?? 0) - 1),
  });
  const programs = new Map(
    [reference(10, 6), reference(11, 6), reference(12, 5)].map((p) => [p.id + 100, p]),
  );
  const caller = {
    file: {},
    program(fd: number) {
      const found = programs.get(fd);
      if (!found) throw new Error(`no program ${fd}`);
      return found;
    },
    map: () => none(),
    perfEvent: () => none(),
    isOpen: () => false,
  };
  const make = () =>
    new KernelMap(memory, 1, { type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: 3 }, cpus);
  const put = (map: KernelMap, index: number, fd: number) => map.update(u32(index), u32(fd), 0, caller);
  const slot = (map: KernelMap, index: number) => memory.u32(lookup(map, index));

  test('a slot holds the address of the program, a lookup gives its id', () => {
    const map = make();
    put(map, 1, 110);
    expect([0, 1, 2].map((index) => slot(map, index))).toEqual([0, 0x10000a, 0]);
    expect(map.lookup(u32(1))).toEqual(u32(10));
    put(map, 1, 111);
    expect(slot(map, 1)).toBe(0x10000b);
    expect(Array.from(references)).toEqual([
      [10, 0],
      [11, 1],
    ]);
    map.delete(u32(1));
    expect(slot(map, 1)).toBe(0);
    expect(references.get(11)).toBe(0);
    put(map, 2, 110);
    map.destroy();
    expect(references.get(10)).toBe(0);
  });

  test('all programs are of one type', () => {
    const map = make();
    put(map, 0, 110);
    expect(result(() => put(map, 1, 112))).toBe(Errno.EINVAL);
    map.destroy();
  });
});
