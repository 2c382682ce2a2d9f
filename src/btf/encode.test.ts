import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { goldenBtf, goldenBytes, objects } from '../../test/btf/goldens.js';
import { valueText } from '../../test/btf/json.js';
import { SkepError } from '../base/error.js';
import { Btf, BtfBuilder, decodeValue, dumpC, dumpRaw, encodeBtf, type NewBtfType } from './index.js';

const name = fc.oneof(
  fc.constant(''),
  fc.constantFrom('a', 'b', 'task_struct', 'größe'),
  fc.string({ maxLength: 8 }).map((text) => text.replaceAll('\0', '')),
);
const u32 = fc.nat(0xffffffff);
const linkage = fc.constantFrom('static' as const, 'global' as const, 'extern' as const);
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 6 });

/** Any type whose references are below `count`; FUNC is left out, as it must refer to a FUNC_PROTO. */
const anyType = (count: number): fc.Arbitrary<NewBtfType> => {
  const type = fc.nat(count - 1);
  const enumSize = fc.constantFrom(1, 2, 4, 8);
  return fc.oneof(
    fc.record({
      kind: fc.constant('INT' as const),
      name,
      size: fc.constantFrom(4, 8, 16),
      encoding: fc.constantFrom(0, 1, 2, 4),
      bitOffset: fc.nat(4),
      bits: fc.integer({ min: 1, max: 28 }),
    }),
    fc.record({
      kind: fc.constantFrom('PTR' as const, 'VOLATILE' as const, 'CONST' as const, 'RESTRICT' as const),
      name: fc.constant(''),
      type,
    }),
    fc.record({ kind: fc.constant('TYPEDEF' as const), name, type }),
    fc.record({ kind: fc.constant('TYPE_TAG' as const), name, type, attribute: fc.boolean() }),
    fc.record({
      kind: fc.constant('ARRAY' as const),
      name: fc.constant(''),
      type,
      indexType: type,
      length: fc.oneof(fc.nat(5), u32),
    }),
    fc.record({
      kind: fc.constantFrom('STRUCT' as const, 'UNION' as const),
      name,
      size: fc.integer({ min: 64, max: 128 }),
      kindFlag: fc.constant(true),
      members: list(fc.record({ name, type, bitOffset: fc.nat(256), bitSize: fc.nat(255) })),
    }),
    fc.record({
      kind: fc.constantFrom('STRUCT' as const, 'UNION' as const),
      name,
      size: fc.integer({ min: 64, max: 128 }),
      kindFlag: fc.constant(false),
      members: list(fc.record({ name, type, bitOffset: fc.nat(512), bitSize: fc.constant(0) })),
    }),
    fc.record({
      kind: fc.constant('ENUM' as const),
      name,
      size: enumSize,
      signed: fc.constant(true),
      values: list(fc.record({ name, value: fc.integer() })),
    }),
    fc.record({
      kind: fc.constant('ENUM' as const),
      name,
      size: enumSize,
      signed: fc.constant(false),
      values: list(fc.record({ name, value: u32 })),
    }),
    fc.record({
      kind: fc.constant('ENUM64' as const),
      name,
      size: enumSize,
      signed: fc.constant(true),
      values: list(fc.record({ name, value: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }) })),
    }),
    fc.record({ kind: fc.constant('FWD' as const), name, union: fc.boolean() }),
    fc.record({
      kind: fc.constant('FUNC_PROTO' as const),
      name: fc.constant(''),
      returnType: type,
      params: list(fc.record({ name, type })),
    }),
    fc.record({ kind: fc.constant('VAR' as const), name, type, linkage }),
    fc.record({
      kind: fc.constant('DATASEC' as const),
      name,
      size: fc.nat(1000),
      vars: list(fc.record({ type, offset: fc.nat(100), size: fc.nat(100) })),
    }),
    fc.record({ kind: fc.constant('FLOAT' as const), name, size: fc.constantFrom(2, 4, 8, 12, 16) }),
    fc.record({
      kind: fc.constant('DECL_TAG' as const),
      name,
      type,
      componentIndex: fc.integer({ min: -1, max: 10 }),
      attribute: fc.boolean(),
    }),
  );
};

const anyTypes = fc
  .integer({ min: 1, max: 20 })
  .chain((count) => fc.array(anyType(count), { minLength: count, maxLength: count }));

describe('encoding', () => {
  test.each(objects)('%s comes back byte for byte', (object) => {
    expect(encodeBtf(goldenBtf(object))).toEqual(goldenBytes(`${object}.btf`));
  });

  test('any types come back as they were, in both byte orders, and their bytes too', () => {
    fc.assert(
      fc.property(anyTypes, fc.boolean(), (types, littleEndian) => {
        const builder = new BtfBuilder({ littleEndian });
        for (const type of types) builder.add(type);
        const bytes = builder.encode();
        const btf = Btf.parse(bytes);
        expect(btf.littleEndian).toBe(littleEndian);
        expect(types.map((_, i) => btf.type(i + 1))).toEqual(
          types.map((type, i) => ({ ...type, id: i + 1 })),
        );
        expect(encodeBtf(btf)).toEqual(bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('any types can be printed, or the reason why not is given', () => {
    fc.assert(
      fc.property(anyTypes, fc.uint8Array({ minLength: 128, maxLength: 128 }), (types, value) => {
        const builder = new BtfBuilder();
        for (const type of types) builder.add(type);
        const btf = Btf.parse(builder.encode());
        expect(dumpRaw(btf).match(/^\[/gm)).toHaveLength(types.length);
        for (const attempt of [
          () => dumpC(btf),
          () => dumpC(btf, { unsorted: true }),
          ...types.map((_, i) => () => valueText(btf, i + 1, value)),
          ...types.map((_, i) => () => decodeValue(btf, i + 1, value)),
        ]) {
          onlySkepError(attempt);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('a member that cannot be recorded is refused', () => {
    const members = [{ name: 'm', type: 0, bitOffset: 1 << 24, bitSize: 0 }];
    expect(() =>
      new BtfBuilder().add({ kind: 'STRUCT', name: 's', size: 1 << 22, kindFlag: true, members }),
    ).toThrow(/member 'm' at bit 16777216 of 0 bits cannot be recorded/);
  });
});

/** Runs `attempt`, which may fail with a SkepError only; returns whether it succeeded. */
function onlySkepError(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof SkepError) return false;
    throw error;
  }
}

describe('damaged files', () => {
  /** A generator with a fixed beginning, so that a failure can be repeated (mulberry32). */
  const random = (seed: number) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  test.each(['kinds', 'kinds-be', 'values'])(
    '%s with bytes changed or missing is read and printed, or refused with a SkepError',
    (object) => {
      const original = goldenBytes(`${object}.btf`);
      const next = random(20240607);
      const below = (n: number) => Math.floor(next() * n);
      const words = [0, 1, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, original.length];
      let parsed = 0;
      let printed = 0;
      for (let round = 0; round < 250; round++) {
        let bytes = original.slice();
        const view = new DataView(bytes.buffer);
        for (let n = 1 + below(4); n > 0; n--) {
          const at = 24 + 4 * below((bytes.length - 24) >> 2);
          switch (below(4)) {
            case 0:
              bytes[below(bytes.length)] = below(256);
              break;
            case 1:
              view.setUint32(at, words[below(words.length)] ?? 0, object !== 'kinds-be');
              break;
            case 2:
              // Another type's id, or a small count: what stays inside the bounds and means something else.
              view.setUint32(at, below(160), object !== 'kinds-be');
              break;
            default:
              if (below(20) === 0) bytes = bytes.slice(0, below(bytes.length));
          }
          if (bytes.length < original.length) break;
        }
        let btf: Btf | undefined;
        onlySkepError(() => {
          btf = Btf.parse(bytes);
        });
        if (btf === undefined) continue;
        parsed++;
        const types = btf;
        onlySkepError(() => dumpRaw(types));
        if (onlySkepError(() => dumpC(types))) printed++;
        const value = new Uint8Array(512);
        for (let id = 0; id < types.typeCount; id++) {
          onlySkepError(() => types.sizeOf(id));
          onlySkepError(() => valueText(types, id, value));
        }
      }
      // The damage must not all be caught at the door, or the rest was never tried.
      expect(parsed).toBeGreaterThan(40);
      expect(printed).toBeGreaterThan(20);
    },
    30_000,
  );

  test.each([
    [
      'anonymous structs that double',
      (builder: BtfBuilder) => {
        builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
        for (let i = 1; i <= 25; i++) {
          const member = (n: string) => ({ name: n, type: i, bitOffset: 0, bitSize: 0 });
          builder.add({
            kind: 'UNION',
            name: '',
            size: 4,
            kindFlag: false,
            members: [member('a'), member('b')],
          });
        }
        builder.add({ kind: 'TYPEDEF', name: 'bomb', type: 26 });
      },
    ],
    [
      'function types that double',
      (builder: BtfBuilder) => {
        builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
        for (let i = 1; i <= 60; i++) {
          const param = { name: 'p', type: i };
          builder.add({ kind: 'FUNC_PROTO', name: '', returnType: i, params: [param, param] });
        }
      },
    ],
    [
      'padding of gigabytes',
      (builder: BtfBuilder) => {
        for (let i = 0; i < 200; i++) {
          builder.add({ kind: 'STRUCT', name: `s${i}`, size: 0xfffffff8, kindFlag: false, members: [] });
        }
      },
    ],
  ] as const)(
    '%s are an error and not a flood',
    (_, fill) => {
      const builder = new BtfBuilder();
      fill(builder);
      const btf = Btf.parse(builder.encode());
      expect(() => dumpC(btf)).toThrow(SkepError);
      onlySkepError(() => valueText(btf, btf.typeCount - 1, new Uint8Array(64)));
      onlySkepError(() => decodeValue(btf, btf.typeCount - 1, new Uint8Array(64)));
    },
    30_000,
  );
});
