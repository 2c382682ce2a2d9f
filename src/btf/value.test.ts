import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { goldenBtf, goldenText } from '../../test/btf/goldens.js';
import { jsonText, valueText } from '../../test/btf/json.js';
import { SkepError } from '../base/error.js';
import {
  Btf,
  BtfBuilder,
  decodeValue,
  encodeValue,
  type NewBtfType,
  type Value,
  valueWriter,
} from './index.js';

/** The types of values.bpf.c as a loader passes them on: with the sizes and offsets of the sections. */
function loadedTypes(): Btf {
  const btf = goldenBtf('values');
  const builder = new BtfBuilder({ strings: btf.strings.bytes });
  const sections = new Map<number, NewBtfType>();
  const section = /^\[(\d+)\] DATASEC '(.*)' size=(\d+) vlen=\d+\n((?:\t.*\n)*)/gm;
  for (const [, id, name = '', size, body = ''] of goldenText('values.loaded.raw.txt').matchAll(section)) {
    const vars = [...body.matchAll(/type_id=(\d+) offset=(\d+) size=(\d+)/g)].map(
      ([, type, offset, length]) => ({
        type: Number(type),
        offset: Number(offset),
        size: Number(length),
      }),
    );
    sections.set(Number(id), { kind: 'DATASEC', name, size: Number(size), vars });
  }
  for (let id = 1; id < btf.typeCount; id++) builder.add(sections.get(id) ?? btf.type(id));
  return Btf.parse(builder.encode());
}

const values = loadedTypes();
const hello = goldenBtf('bpftool-7.8/hello');
const maps = goldenBtf('bpftool-7.8/maps');

/** A map's entries in bytes, as `bpftool -j map dump` shows them beside the formatted ones. */
function entries(json: string): { key: Uint8Array; value: Uint8Array }[] {
  const bytes = (list: string[]) => Uint8Array.from(list, (text) => Number(text));
  return (JSON.parse(json) as { key: string[]; value: string[] }[]).map(({ key, value }) => ({
    key: bytes(key),
    value: bytes(value),
  }));
}

const hexList = (bytes: Uint8Array) => [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`);

/** What bpftool prints for a whole map, given the types of its keys (none for a section) and values. */
function dumpMap(
  btf: Btf,
  key: string | undefined,
  value: string,
  json: string,
  { plain, pretty }: { plain: boolean; pretty: boolean },
): string {
  const writeKey = key === undefined ? undefined : valueWriter(btf, btf.findByName(key) ?? 0, { plain });
  const writeValue = valueWriter(btf, btf.findByName(value) ?? 0, { plain });
  const text = jsonText((sink) => {
    sink.startArray();
    for (const entry of entries(json)) {
      sink.startObject();
      if (!plain) {
        sink.member('key', hexList(entry.key));
        sink.member('value', hexList(entry.value));
        sink.name('formatted');
        sink.startObject();
      }
      if (writeKey) {
        sink.name('key');
        writeKey(entry.key, sink);
      }
      sink.name('value');
      writeValue(entry.value, sink);
      if (!plain) sink.endObject();
      sink.endObject();
    }
    sink.endArray();
  }, pretty);
  return `${text}\n`;
}

describe('values as bpftool prints them', () => {
  // bpftool 7.1 prints pointers without quotes, 7.8 with them.
  const quoted = (text: string) =>
    text.replace(/: (\(nil\)|0x1234abcd)$/gm, ': "$1"').replace(/: (\(nil\)|0x1234abcd),$/gm, ': "$1",');
  test.each([
    [
      'values.bpf.c: .data',
      values,
      undefined,
      '.data',
      'values_data.map.txt',
      'values_data.map.json.txt',
      'values_data.map.pretty.txt',
    ],
    [
      'values.bpf.c: .bss',
      values,
      undefined,
      '.bss',
      'values_bss.map.txt',
      'values_bss.map.json.txt',
      'values_bss.map.pretty.txt',
    ],
    [
      'values.bpf.c: .rodata',
      values,
      undefined,
      '.rodata',
      'values_rodata.map.txt',
      'values_rodata.map.json.txt',
      'values_rodata.map.pretty.txt',
    ],
    [
      'values.bpf.c: a hash',
      values,
      'key',
      'value',
      'hash.map.txt',
      'hash.map.json.txt',
      'hash.map.pretty.txt',
    ],
    ...(
      [
        ['hello-map-dump-bss-after', hello, undefined, '.bss'],
        ['hello-map-dump-rodata', hello, undefined, '.rodata'],
        ['maps-dump-h', maps, 'key_t', 'val_t'],
        ['maps-dump-arr', maps, '__u32', '__u64'],
        ['maps-dump-lpm', maps, 'lpmkey', '__u32'],
        ['maps-dump-maps_data', maps, undefined, '.data'],
        ['maps-dump-maps_bss', maps, undefined, '.bss'],
        ['maps-dump-maps_rodata', maps, undefined, '.rodata'],
      ] as const
    ).map(
      ([name, btf, key, value]) =>
        [
          name,
          btf,
          key,
          value,
          ...(['plain', 'json', 'pretty'] as const).map((form) => `bpftool-7.8/${name}.${form}.txt`),
        ] as [string, Btf, string | undefined, string, string, string, string],
    ),
  ] as [string, Btf, string | undefined, string, string, string, string][])(
    '%s',
    (_, btf, key, value, plain, json, pretty) => {
      const all = goldenText(json);
      const print = (plain: boolean, pretty: boolean) => dumpMap(btf, key, value, all, { plain, pretty });
      expect(print(true, true)).toBe(quoted(goldenText(plain)));
      expect(print(false, false)).toBe(all);
      expect(print(false, true)).toBe(goldenText(pretty));
    },
  );

  test('one value by itself is printed as in a plain dump', () => {
    const id = values.findByName('bits') ?? 0;
    const bytes = Uint8Array.of(0x8d, 0x7d, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 9, 0, 0);
    expect(valueText(values, id, bytes)).toBe(
      '{\n    "a": 0x5,\n    "b": 0x11,\n    "c": 0x7d,\n    "d": 0x0,\n    "e": 0xffffffffff,\n    "f": 9\n}',
    );
  });

  test('bit fields of big-endian objects are counted from the highest bit', () => {
    const big = goldenBtf('kinds-be');
    const little = goldenBtf('kinds');
    const fields = { a: 5, b: 17, c: -3, d: 1, e: 0x123456789an, f: 9, g: 300 };
    const id = big.findByName('bits') ?? 0;
    const bytes = encodeValue(big, id, fields);
    expect([bytes[0], bytes[1]]).toEqual([0b101_10001, 0b1111101_0]);
    expect(decodeValue(big, id, bytes)).toEqual(fields);
    expect(decodeValue(little, little.findByName('bits') ?? 0, encodeValue(little, id, fields))).toEqual(
      fields,
    );
  });

  test('too few bytes and types without values are refused', () => {
    const id = values.findByName('value') ?? 0;
    expect(() => valueText(values, id, new Uint8Array(55))).toThrow(
      /STRUCT 'value': needs 56 bytes at offset 0, but the value has 55/,
    );
    expect(() => decodeValue(values, id, new Uint8Array(55))).toThrow(/needs 56 bytes/);
    expect(() => valueText(values, 0, new Uint8Array(8))).toThrow(/a VOID has no value/);
  });
});

/** The initialisers of values.bpf.c, as JavaScript has them. */
const initialised: { readonly [name: string]: Value } = {
  unsigned_8: 200,
  signed_8: -100,
  unsigned_16: 60000,
  signed_16: -30000,
  unsigned_32: 4000000000,
  signed_32: -2000000000,
  unsigned_64: 18446744073709551615n,
  signed_64: -9223372036854775808n,
  signed_128: -1n,
  unsigned_128: (0x1234n << 64n) | 0x5678n,
  small_128: 7n,
  letter: 120,
  control: 3,
  byte_array: [1, 2, 3, 4],
  text: 'a " b',
  single: "it's",
  controls: [97, 9, 98, 10, 0, 0, 0, 0],
  full: [102, 117, 108, 108],
  yes: true,
  bool_then_bytes: { no: false, after: [1, 2, 3] },
  green: 'GREEN',
  blue: 'BLUE',
  unknown: 77,
  small_known: 'SMALL',
  big_known: 'BIG',
  big_unknown: 18446744073709551613n,
  some_pointer: 0x1234abcdn,
  matrix: [
    [1, 2, 3],
    [4, 5, 6],
  ],
  some_bits: { a: 5, b: 17, c: -3, d: 70000, e: 0x123456789an, f: 9 },
  some_value: {
    count: 1n,
    negative: -5,
    color: 'GREEN',
    bits: { a: 1, b: 2, c: 3, d: 4, e: 5n, f: 6 },
    half: 0x1234,
    bytes: [0x34, 0x12],
    word: 0x01020304,
    parts: { low: 4, high: 3 },
    flag: true,
    name: 'abc',
    pointer: 0n,
    nothing: {},
    none: [],
  },
  some_keys: [
    { pid: 1, comm: 'one' },
    { pid: 2, comm: 'two' },
  ],
};

describe('values between bytes and JavaScript', () => {
  const data = entries(goldenText('values_data.map.json.txt'))[0]?.value ?? new Uint8Array();
  const section = values.findByName('.data', 'DATASEC') ?? 0;

  test('a section that clang initialised reads as its C source says', () => {
    expect(decodeValue(values, section, data)).toEqual(initialised);
  });

  test('writing the same values gives the bytes that clang made', () => {
    expect(encodeValue(values, section, initialised)).toEqual(data);
  });

  test('any bytes read the same after being written back', () => {
    const btf = goldenBtf('kinds');
    const names = [
      'bits',
      'bit_gap',
      'gap',
      'aligned',
      'packed',
      'packed_bits',
      'arrays',
      'anonymous',
      'numbers',
      'list',
    ];
    const ids = names.map((name) => btf.idsByName(name).find((id) => btf.kind(id) === 'STRUCT') ?? 0);
    fc.assert(
      fc.property(fc.constantFrom(...ids), fc.uint8Array({ minLength: 256, maxLength: 256 }), (id, bytes) => {
        const value = decodeValue(btf, id, bytes);
        expect(decodeValue(btf, id, encodeValue(btf, id, value))).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  const variable = (name: string) => values.findByName(name, 'VAR') ?? 0;
  test.each([
    ['unsigned_16', '443', 443],
    ['unsigned_16', ' 0x1bb ', 443],
    ['unsigned_16', '0b11', 3],
    ['unsigned_64', '18446744073709551615', 18446744073709551615n],
    ['signed_64', '-1', -1n],
    ['signed_8', "'A'", 65],
    ['yes', 'true', true],
    ['yes', '0', false],
    ['yes', 1, true],
    ['green', 'BLUE', 'BLUE'],
    ['green', '5', 'GREEN'],
    ['green', 99, 99],
    ['big_known', 'BIG', 'BIG'],
    ['some_pointer', '0xffff', 0xffffn],
    ['text', 'hello', 'hello'],
    ['text', '', ''],
    [
      'matrix',
      '[[1, 2], [3]]',
      [
        [1, 2, 0],
        [3, 0, 0],
      ],
    ],
    ['byte_array', Uint8Array.of(9, 8), [9, 8, 0, 0]],
    ['some_bits', '{"a": "7", "c": -64}', { a: 7, b: 0, c: -64, d: 0, e: 0n, f: 0 }],
  ] as [string, Value, Value][])('%s set to %o', (name, given, expected) => {
    const id = variable(name);
    expect(decodeValue(values, id, encodeValue(values, id, given))).toEqual(expected);
  });

  test.each([
    ['unsigned_8', 256, /^unsigned_8: 256 does not fit in 8 bits \(0 to 255\)$/],
    ['unsigned_8', -1, /-1 does not fit/],
    ['signed_8', 128, /128 does not fit in 8 bits \(-128 to 127\)/],
    ['signed_64', 1n << 63n, /does not fit in 64 bits/],
    ['unsigned_32', 1.5, /1\.5 is no exact integer/],
    ['unsigned_64', 2 ** 60, /no exact integer/],
    ['unsigned_32', 'ten', /'ten' is no integer/],
    ['unsigned_32', '', /'' is no integer/],
    ['unsigned_32', [1], /an array is no integer/],
    ['yes', 2, /2 is neither true nor false/],
    ['green', 'PURPLE', /green: 'PURPLE' is no integer/],
    ['text', 'seventeen letters', /17 bytes of text do not fit in char\[16\]/],
    ['byte_array', [1, 2, 3, 4, 5], /5 values do not fit in an array of 4/],
    ['byte_array', [0, 300], /byte_array\[1\]: 300 does not fit/],
    ['byte_array', 'no json', /'no json' is no JSON/],
    ['matrix', 5, /an array is wanted, not 5/],
    ['some_bits', { a: 8 }, /some_bits\.a: 8 does not fit in 3 bits \(0 to 7\)/],
    ['some_bits', { z: 1 }, /there is no member 'z'/],
    ['some_bits', 3, /an object with the members is wanted/],
    ['some_bits', '{"a": null}', /null stands for no value/],
  ] as [string, Value, RegExp][])('%s cannot be %o', (name, given, message) => {
    expect(() => encodeValue(values, variable(name), given)).toThrow(SkepError);
    expect(() => encodeValue(values, variable(name), given)).toThrow(message);
  });

  test('what may be meant is said in the hint', () => {
    const hint = (name: string, given: Value) => {
      try {
        encodeValue(values, variable(name), given);
      } catch (error) {
        return error instanceof SkepError ? error.hint : error;
      }
    };
    expect(hint('green', 'PURPLE')).toBe('an integer or one of RED, GREEN, BLUE');
    expect(hint('some_bits', { z: 1 })).toBe('members: a, b, c, d, e, f');
  });

  test('floating point numbers of four and eight bytes', () => {
    const btf = goldenBtf('kinds');
    const id = btf.findByName('numbers', 'STRUCT') ?? 0;
    const bytes = encodeValue(btf, id, { f: 1.5, d: '-0.1' });
    const view = new DataView(bytes.buffer);
    expect([view.getFloat32(0, true), view.getFloat64(8, true)]).toEqual([1.5, -0.1]);
    expect(decodeValue(btf, id, bytes)).toMatchObject({ f: 1.5, d: -0.1 });
    expect(valueText(btf, btf.findByName('double', 'FLOAT') ?? 0, bytes.subarray(8))).toBe('-0.1');
    expect(() => encodeValue(btf, id, { f: 'much' })).toThrow(/f: 'much' is no number/);
  });
});
