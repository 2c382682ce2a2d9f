import { describe, expect, test } from 'vitest';
import { goldenBtf, goldenBytes, goldenText, objects } from '../../test/btf/goldens.js';
import { SkepError } from '../base/error.js';
import { Btf, BtfBuilder, btfKinds } from './index.js';

const word = (bytes: Uint8Array, offset: number, value: number) => {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(offset, value, true);
  return copy;
};

describe('reading types', () => {
  test('the C fixture has all nineteen kinds in both byte orders', () => {
    for (const name of ['kinds', 'kinds-be']) {
      const btf = goldenBtf(name);
      expect(btf.littleEndian).toBe(name === 'kinds');
      const found = new Set<string>();
      for (let id = 0; id < btf.typeCount; id++) found.add(btf.type(id).kind);
      expect([...found].sort()).toEqual([...btfKinds].sort());
    }
  });

  test.each(objects)('%s: kind, name and size can be had without the type', (name) => {
    const btf = goldenBtf(name);
    for (let id = 0; id < btf.typeCount; id++) {
      const type = btf.type(id);
      expect([btf.kind(id), btf.nameOf(id)]).toEqual([type.kind, type.name]);
      if ('size' in type) expect(btf.sizeOf(id)).toBe(type.size);
    }
  });

  test('sizes follow typedefs, arrays and pointers', () => {
    const btf = goldenBtf('kinds');
    const size = (name: string) => btf.sizeOf(btf.findByName(name) ?? 0);
    // 3 * 4 ints; a pointer; a struct of two ints; the array in it makes it 8 bytes longer than its members.
    expect([size('matrix'), size('callback'), size('point'), size('a_small')]).toEqual([48, 8, 8, 1]);
  });

  test('names are found by kind, and the lowest id first', () => {
    const btf = goldenBtf('kinds');
    const clash = btf.idsByName('clash_enum');
    expect(clash).toEqual([btf.findByName('clash_enum', 'ENUM')]);
    expect(btf.findByName('clash_enum', 'STRUCT')).toBeUndefined();
    expect(btf.findByName('no such name')).toBeUndefined();
  });

  test('modifiers are skipped down to the type', () => {
    const btf = goldenBtf('kinds');
    const settings = btf.type(btf.findByName('functions') ?? 0);
    if (settings.kind !== 'STRUCT') throw new Error('functions is a struct');
    const member = settings.members.find((m) => m.name === 'settings');
    expect(btf.nameOf(btf.skipModifiers(member?.type ?? 0))).toBe('unsigned int');
  });

  test('split BTF continues the ids and strings of its base', () => {
    const base = goldenBtf('kinds');
    const builder = new BtfBuilder({ base });
    const target = base.findByName('tagged') ?? 0;
    const id = builder.add({ kind: 'PTR', name: '', type: target });
    builder.add({ kind: 'TYPEDEF', name: 'new_name', type: id });
    builder.add({ kind: 'TYPEDEF', name: 'point', type: id });
    const split = Btf.parse(builder.encode(), { base });
    expect(split.firstId).toBe(base.typeCount);
    expect(split.type(id)).toEqual({ kind: 'PTR', id, name: '', type: target });
    expect(split.type(target)).toBe(base.type(target));
    expect(split.idsByName('point')).toEqual([base.findByName('point'), id + 2]);
    expect(split.nameOf(id + 1)).toBe('new_name');
  });

  test('strings beyond ASCII and those that are no UTF-8 are read', () => {
    const builder = new BtfBuilder();
    const names = ['größe', '\u{1f41d}', 'x', '日本', '\ufeffbom'];
    for (const name of names) builder.add({ kind: 'FLOAT', name, size: 4 });
    const btf = Btf.parse(builder.encode());
    expect(names.map((_, i) => btf.nameOf(i + 1))).toEqual(names);
    const broken = builder.encode();
    broken[broken.lastIndexOf('x'.charCodeAt(0))] = 0xff;
    expect(Btf.parse(broken).nameOf(3)).toBe('\u00ff');
  });

  test('a long string is shared by the many names that point into it', () => {
    const builder = new BtfBuilder();
    const start = builder.string('n'.repeat(200_000));
    for (let i = 0; i < 20_000; i++) builder.add({ kind: 'FLOAT', name: '', size: 4 });
    const bytes = builder.encode();
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < 20_000; i++) view.setUint32(24 + 12 * i, start + i, true);
    const btf = Btf.parse(bytes);
    let length = 0;
    for (let id = 1; id < btf.typeCount; id++) length += btf.nameOf(id).length;
    expect(length).toBe(200_000 * 20_000 - (20_000 * 19_999) / 2);
  });
});

describe('malformed BTF is refused and says where', () => {
  const good = goldenBytes('kinds.btf');
  const raw = goldenText('kinds.raw.txt');
  /** Where in the file the type with this name begins. */
  const typeOffset = (name: string): number => {
    const btf = Btf.parse(good);
    const id = btf.findByName(name) ?? 0;
    const view = new DataView(good.buffer);
    const tails = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
    const each = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];
    let at = 24;
    for (let i = 1; i < id; i++) {
      const info = view.getUint32(at + 4, true);
      at += 12 + (tails[(info >>> 24) & 0x1f] ?? 0) + (info & 0xffff) * (each[(info >>> 24) & 0x1f] ?? 0);
    }
    return at;
  };
  const typeLength = new DataView(good.buffer).getUint32(12, true);
  const gap = typeOffset('gap');
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['no bytes', new Uint8Array(0), /too few for the header/],
    ['wrong magic', word(good, 0, 0x464c457f), /magic is 0x457f/],
    ['wrong version', word(good, 0, 0x0002eb9f), /version 2 is not known/],
    ['header too short', word(good, 4, 20), /hdr_len 20/],
    ['header too long', word(good, 4, 0x7fffffff), /hdr_len 2147483647/],
    ['types beyond the end', word(good, 12, 0xfffffff0), /type section needs 4294967280 bytes/],
    ['strings beyond the end', word(good, 20, 0xfffffff0), /string section needs/],
    ['unaligned types', word(good, 8, 2), /type_off 2 is not a multiple of 4/],
    ['overlapping sections', word(good, 16, typeLength - 8), /overlap|needs/],
    ['no strings', word(good, 20, 0), /string table is empty/],
    [
      'strings without an end',
      word(good, 20, new DataView(good.buffer).getUint32(20, true) - 1),
      /does not end/,
    ],
    [
      'a cut type',
      word(good, 12, typeLength - 4),
      /BTF type \[160\]: needs 12 bytes, but the section has 8 left/,
    ],
    ['an unknown kind', word(good, gap + 4, 20 << 24), /BTF type \[\d+\].*kind 20 is not known/],
    ['a name outside', word(good, gap, 1 << 30), /name_off 1073741824 is outside the string table/],
    ['a vlen beyond the end', word(good, gap + 4, (4 << 24) | 0xffff), /STRUCT 'gap': vlen 65535/],
    ['reserved bits', word(good, gap + 4, 0x04010003), /STRUCT 'gap': info 0x4010003 has reserved bits/],
    [
      'a member type outside',
      word(good, gap + 16, 1 << 20),
      /STRUCT 'gap': member 0 type 1048576 is outside/,
    ],
    ['a member beyond the size', word(good, gap + 20, 1 << 20), /STRUCT 'gap': member 0 at bit 1048576/],
  ];
  test.each(cases)('%s', (_, bytes, message) => {
    expect(raw).toContain("STRUCT 'gap'");
    expect(() => Btf.parse(bytes)).toThrow(SkepError);
    expect(() => Btf.parse(bytes)).toThrow(message);
  });

  test('loops end in an error wherever a type is followed', () => {
    const builder = new BtfBuilder();
    builder.add({ kind: 'CONST', name: '', type: 2 });
    builder.add({ kind: 'VOLATILE', name: '', type: 1 });
    builder.add({ kind: 'ARRAY', name: '', type: 3, indexType: 1, length: 1 });
    const btf = Btf.parse(builder.encode());
    expect(() => btf.sizeOf(1)).toThrow(/BTF type \[1\] CONST: its type refers to itself/);
    expect(() => btf.skipModifiers(2)).toThrow(/refers to itself/);
    expect(() => btf.sizeOf(3)).toThrow(/refers to itself/);
  });

  test('an array too large for any memory has no size', () => {
    const builder = new BtfBuilder();
    builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
    builder.add({ kind: 'ARRAY', name: '', type: 1, indexType: 1, length: 0xffffffff });
    builder.add({ kind: 'ARRAY', name: '', type: 2, indexType: 1, length: 0xffffffff });
    const btf = Btf.parse(builder.encode());
    expect(() => btf.sizeOf(2)).toThrow(/BTF type \[2\] ARRAY: its size of 17179869180 bytes/);
    expect(() => btf.sizeOf(3)).toThrow(SkepError);
  });

  test('what has no size says so', () => {
    const btf = goldenBtf('kinds');
    expect(() => btf.sizeOf(0)).toThrow(/a VOID has no size/);
    expect(() => btf.sizeOf(btf.findByName('forward') ?? 0)).toThrow(/FWD 'forward': a FWD has no size/);
    expect(() => btf.type(btf.typeCount)).toThrow(/there is no type/);
  });
});
