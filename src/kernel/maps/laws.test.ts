// Laws of maps that forget, match prefixes or have no keys, against models of a few lines. What Linux does in each case is
// in linux.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BpfError, Errno, errnoName } from '../../bpf/errno.js';
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

/** What a command gave, or the name of its errno. */
function answer<T>(body: () => T): T | string {
  try {
    return body();
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const none = new Uint8Array(0);
const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

function using<T>(attr: ConstructorParameters<typeof KernelMap>[2], body: (map: KernelMap) => T): T {
  const map = new KernelMap(memory, 1, attr, cpus);
  try {
    return body(map);
  } finally {
    map.destroy();
  }
}

describe('queues and stacks', () => {
  const command = fc.oneof(
    fc.record({ op: fc.constant('push' as const), value: fc.nat(255), flags: fc.constantFrom(0, 0, 2) }),
    fc.record({ op: fc.constantFrom('pop' as const, 'peek' as const) }),
  );
  for (const type of [MapType.Queue, MapType.Stack] as const) {
    test(`a ${type === MapType.Queue ? 'queue' : 'stack'} behaves as an array with a limit`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 5 }),
          fc.array(command, { maxLength: 60 }),
          (maxEntries, list) => {
            using({ type, keySize: 0, valueSize: 1, maxEntries }, (map) => {
              const model: number[] = [];
              for (const step of list) {
                if (step.op === 'push') {
                  const full = model.length === maxEntries;
                  const refused = full && step.flags === 0;
                  if (!refused) {
                    if (full) model.shift();
                    model.push(step.value);
                  }
                  const got = answer(() => map.update(none, Uint8Array.of(step.value), step.flags));
                  expect(got).toBe(refused ? 'E2BIG' : undefined);
                  continue;
                }
                const at = type === MapType.Queue ? 0 : model.length - 1;
                const want = model.length > 0 ? [model[at]] : 'ENOENT';
                const got = answer(() =>
                  Array.from(step.op === 'pop' ? map.lookupAndDelete(none) : map.lookup(none)),
                );
                expect(got).toEqual(want);
                if (step.op === 'pop') model.splice(at, 1);
              }
            });
          },
        ),
        { numRuns: 200 },
      );
    });
  }
});

describe('Bloom filters', () => {
  const value = (n: number, size: number): Uint8Array =>
    Uint8Array.from({ length: size }, (_, i) => (Math.imul(n + 1, 0x9e3779b1) >>> ((i % 4) * 8)) & 0xff);

  test('what was added is found, whatever the size of values and the number of hash functions', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 300 }),
        fc.bigInt({ min: 0n, max: 15n }),
        fc.array(fc.nat(1000), { maxLength: 100 }),
        (valueSize, maxEntries, mapExtra, added) => {
          const attr = { type: MapType.BloomFilter, keySize: 0, valueSize, maxEntries, mapExtra };
          using(attr, (map) => {
            for (const n of added) map.update(none, value(n, valueSize));
            for (const n of added)
              expect(map.lookup(none, 0, value(n, valueSize))).toEqual(value(n, valueSize));
          });
        },
      ),
      { numRuns: 100 },
    );
  });

  test('of what was not added little is found', () => {
    using({ type: MapType.BloomFilter, keySize: 0, valueSize: 4, maxEntries: 2000 }, (map) => {
      for (let n = 0; n < 2000; n++) map.update(none, u32(n));
      let wrong = 0;
      for (let n = 2000; n < 12_000; n++) if (answer(() => map.lookup(none, 0, u32(n))) !== 'ENOENT') wrong++;
      // A filter of 16384 bits with 5 hash functions that holds 2000 values: 2 % (Bloom's formula).
      expect(wrong).toBeGreaterThan(50);
      expect(wrong).toBeLessThan(400);
    });
  });

  test('two filters have different hash functions, unless they are told not to', () => {
    const wrongOnes = (flags: number): string =>
      using({ type: MapType.BloomFilter, keySize: 0, valueSize: 4, maxEntries: 50, flags }, (map) => {
        for (let n = 0; n < 50; n++) map.update(none, u32(n));
        const found = Array.from({ length: 4000 }, (_, n) => answer(() => hex(map.lookup(none, 0, u32(n)))));
        return found.join();
      });
    expect(wrongOnes(0)).not.toBe(wrongOnes(0));
    expect(wrongOnes(MapFlag.ZeroSeed)).toBe(wrongOnes(MapFlag.ZeroSeed));
  });
});

describe('tries', () => {
  /** Bits of a prefix as text. */
  const bitsOf = (key: Uint8Array): string => {
    const length = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
    const all = Array.from(key.subarray(4), (byte) => byte.toString(2).padStart(8, '0')).join('');
    return all.slice(0, length);
  };
  /** Longer prefixes first, 0 before 1. */
  const before = (a: string, b: string): number => {
    if (a.startsWith(b)) return -1;
    if (b.startsWith(a)) return 1;
    return a < b ? -1 : 1;
  };
  const key = (size: number) =>
    fc
      .tuple(
        fc.nat(size * 8),
        fc.array(fc.constantFrom(0, 0, 1, 0x80, 0xff), { minLength: size, maxLength: size }),
      )
      .map(([length, data]) => Uint8Array.of(...u32(length), ...data));
  const steps = (size: number) =>
    fc.array(
      fc.record({
        op: fc.constantFrom('update' as const, 'update' as const, 'delete' as const, 'lookup' as const),
        key: key(size),
        value: fc.nat(255),
        flags: fc.constantFrom(0, 0, 0, 1, 2),
      }),
      { maxLength: 80, size: 'max' },
    );

  for (const size of [1, 2, 4, 5, 16]) {
    test(`prefixes of ${size} bytes: the longest one is found, and a walk has an order`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 30 }), steps(size), (maxEntries, list) => {
          const attr = {
            type: MapType.LpmTrie,
            keySize: 4 + size,
            valueSize: 1,
            maxEntries,
            flags: MapFlag.NoPrealloc,
          };
          using(attr, (map) => {
            const model = new Map<string, number>();
            for (const step of list) {
              const bits = bitsOf(step.key);
              if (step.op === 'lookup') {
                const fitting = [...model.keys()].filter((prefix) => bits.startsWith(prefix));
                const longest = fitting.toSorted((a, b) => b.length - a.length)[0];
                const want = longest === undefined ? 'ENOENT' : model.get(longest);
                expect(answer(() => map.lookup(step.key)[0])).toBe(want);
              } else if (step.op === 'delete') {
                expect(answer(() => map.delete(step.key))).toBe(model.delete(bits) ? undefined : 'ENOENT');
              } else {
                const known = model.has(bits);
                const want = known
                  ? step.flags === 1 && 'EEXIST'
                  : step.flags === 2
                    ? 'ENOENT'
                    : model.size === maxEntries && 'ENOSPC';
                const got = answer(() => map.update(step.key, Uint8Array.of(step.value), step.flags));
                expect(got ?? false).toBe(want);
                if (!want) model.set(bits, step.value);
              }
            }
            expect(Array.from(map.keys(), bitsOf)).toEqual([...model.keys()].toSorted(before));
            expect(map.count).toBe(model.size);
          });
        }),
        { numRuns: 60 },
      );
    });
  }

  test('a trie takes any max_entries, and nothing more when its memory is used up', () => {
    const attr = {
      type: MapType.LpmTrie,
      keySize: 8,
      valueSize: 1 << 20,
      maxEntries: 0xffffffff,
      flags: MapFlag.NoPrealloc,
    };
    using(attr, (map) => {
      const value = new Uint8Array(1 << 20);
      const prefix = (n: number) => Uint8Array.of(...u32(32), 0, 0, n >> 8, n);
      let n = 0;
      let refused: unknown;
      for (; n < 1000 && !refused; n++) refused = answer(() => map.update(prefix(n), value));
      expect(refused).toBe('ENOMEM');
      expect(map.count).toBe(n - 1);
      for (let k = 0; k < 5; k++) map.delete(prefix(k));
      expect(answer(() => map.update(prefix(0), value))).toBeUndefined();
    });
  });

  test('the old value stays readable after its prefix got a new one', () => {
    const attr = {
      type: MapType.LpmTrie,
      keySize: 5,
      valueSize: 4,
      maxEntries: 1,
      flags: MapFlag.NoPrealloc,
    };
    using(attr, (map) => {
      const prefix = Uint8Array.of(...u32(8), 7);
      const held = () => {
        memory.write(keyAt, prefix);
        return program.map_lookup(map.address, keyAt, 0) >>> 0;
      };
      map.update(prefix, u32(1));
      const first = held();
      map.update(prefix, u32(2));
      expect([memory.u32(first), memory.u32(held())]).toEqual([1, 2]);
    });
  });
});

describe('LRU hashes', () => {
  const steps = (entries: number) =>
    fc.array(
      fc.record({
        op: fc.constantFrom('update' as const, 'update' as const, 'use' as const, 'delete' as const),
        cpu: fc.nat(cpus - 1),
        key: fc.nat(2 * entries),
        value: fc.nat(),
      }),
      { maxLength: 6 * entries + 20, size: 'max' },
    );
  const kinds = [
    [MapType.LruHash, 0],
    [MapType.LruHash, MapFlag.NoCommonLru],
    [MapType.LruPercpuHash, 0],
    [MapType.LruPercpuHash, MapFlag.NoCommonLru],
  ] as const;

  for (const [type, flags] of kinds) {
    const name = `${type === MapType.LruHash ? 'LRU hash' : 'per-CPU LRU hash'}${flags ? ' with own lists' : ''}`;
    test(`${name}, used on ${cpus} CPUs: never too many, the last one is there, no value is another's`, () => {
      const sequences = fc.constantFrom(1, 2, 3, 7, 20, 60).chain((n) => fc.tuple(fc.constant(n), steps(n)));
      fc.assert(
        fc.property(sequences, ([maxEntries, list]) => {
          using({ type, keySize: 4, valueSize: 4, maxEntries, flags }, (map) => {
            const room = flags ? Math.ceil(maxEntries / cpus) * cpus : maxEntries;
            expect(map.maxEntries).toBe(room);
            /** What was written last, by key and (per-CPU maps) by CPU. */
            const written = new Map<string, number>();
            const foundOf = (key: number, cpu: number): number | undefined => {
              memory.write(keyAt, u32(key));
              const at = program.map_lookup(map.address, keyAt, cpu) >>> 0;
              return at ? memory.u32(at) : undefined;
            };
            for (const { op, cpu, key, value } of list) {
              const slot = `${key} on ${type === MapType.LruHash ? 'all' : cpu}`;
              if (op === 'update') {
                memory.write(keyAt, u32(key));
                memory.write(valueAt, u32(value));
                expect(program.map_update(map.address, keyAt, valueAt, 0n, cpu)).toBe(0);
                expect(foundOf(key, cpu)).toBe(value);
                written.set(slot, value);
              } else if (op === 'delete') {
                answer(() => map.delete(u32(key)));
                expect(foundOf(key, cpu)).toBeUndefined();
              } else {
                // A new element is 0 on all CPUs but the one that made it.
                const found = foundOf(key, cpu);
                if (found) expect(found).toBe(written.get(slot));
              }
              expect(map.count).toBeLessThanOrEqual(room);
            }
            const keys = Array.from(map.keys(), hex);
            expect(new Set(keys).size).toBe(keys.length);
            expect(keys.length).toBe(map.count);
          });
        }),
        { numRuns: 60 },
      );
    });
  }

  test('what programs look up survives what nobody looks up', () => {
    using({ type: MapType.LruHash, keySize: 4, valueSize: 4, maxEntries: 1000 }, (map) => {
      for (let n = 0; n < 20_000; n++) {
        map.update(u32(n), u32(n));
        // The first ten, again and again.
        memory.write(keyAt, u32(n % 10));
        program.map_lookup(map.address, keyAt, 0);
      }
      for (let n = 0; n < 10; n++) expect(map.lookup(u32(n))).toEqual(u32(n));
      expect(map.count).toBeGreaterThan(800);
    });
  });

  test("lookups of the system call are no use: what it looks up goes as if it hadn't", () => {
    const left = (looked: boolean): string[] =>
      using({ type: MapType.LruHash, keySize: 4, valueSize: 4, maxEntries: 100, flags: 0 }, (map) => {
        for (let n = 0; n < 300; n++) {
          map.update(u32(n), u32(n));
          if (looked) answer(() => map.lookup(u32(n % 10)));
        }
        return Array.from(map.keys(), hex).toSorted();
      });
    expect(left(true)).toEqual(left(false));
  });

  test('programs cannot write to the list that lies between the values', () => {
    // Two values of one element are 8 bytes apart; what lies behind the last one is no third.
    using({ type: MapType.LruPercpuHash, keySize: 4, valueSize: 8, maxEntries: 4 }, (map) => {
      expect(answer(() => map.update(u32(1), new Uint8Array(8)))).toBe(errnoName(Errno.EINVAL));
      map.update(u32(1), new Uint8Array(8 * cpus).fill(1));
      memory.write(keyAt, u32(1));
      expect(program.map_lookup(map.address, keyAt, cpus - 1) >>> 0).not.toBe(0);
      expect(program.map_lookup(map.address, keyAt, cpus)).toBe(0);
    });
  });
});
