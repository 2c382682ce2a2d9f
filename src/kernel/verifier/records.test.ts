import { describe, expect, test } from 'vitest';
import { Btf, BtfBuilder } from '../../btf/index.js';
import { BadFields, mapRecord, objectRecord, recordOf } from './records.js';

/** A structure of members of the given types, one after the other, and what they need to be known. */
function build(
  members: readonly { type: string; at: number; length?: number; tag?: string }[],
  size: number,
) {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
  const struct = (name: string, bytes: number) =>
    builder.add({ kind: 'STRUCT', name, size: bytes, kindFlag: false, members: [] });
  const types = new Map([
    ['int', int],
    ['bpf_spin_lock', struct('bpf_spin_lock', 4)],
    ['bpf_timer', struct('bpf_timer', 16)],
    ['bpf_list_head', struct('bpf_list_head', 16)],
    ['bpf_rb_node', struct('bpf_rb_node', 32)],
  ]);
  const target = struct('task', 8);
  const pointer = (tag: string) => {
    const type = builder.add({ kind: 'TYPE_TAG', name: tag, type: target, attribute: false });
    return builder.add({ kind: 'PTR', name: '', type });
  };
  for (const tag of ['kptr', 'kptr_untrusted', 'percpu_kptr']) types.set(tag, pointer(tag));
  const all = members.map(({ type, at, length }, i) => {
    const id = types.get(type) ?? int;
    const member =
      length === undefined ? id : builder.add({ kind: 'ARRAY', name: '', type: id, indexType: int, length });
    return { name: `m${i}`, type: member, bitOffset: at * 8, bitSize: 0 };
  });
  const value = builder.add({ kind: 'STRUCT', name: 'value', size, kindFlag: false, members: all });
  members.forEach(({ tag }, i) => {
    if (tag) builder.add({ kind: 'DECL_TAG', name: tag, type: value, componentIndex: i, attribute: false });
  });
  return { btf: Btf.parse(builder.encode()), value };
}

describe('special fields of a type', () => {
  test('each is found at its place, arrays of kernel pointers one by one', () => {
    const { btf, value } = build(
      [
        { type: 'bpf_spin_lock', at: 0 },
        { type: 'kptr', at: 8, length: 2 },
        { type: 'bpf_timer', at: 24 },
      ],
      40,
    );
    expect(mapRecord(btf, value)?.fields.map(({ kind, offset, size }) => [kind, offset, size])).toEqual([
      ['spin-lock', 0, 4],
      ['kptr-ref', 8, 8],
      ['kptr-ref', 16, 8],
      ['timer', 24, 16],
    ]);
  });

  test.each([
    [
      'two locks',
      [
        { type: 'bpf_spin_lock', at: 0 },
        { type: 'bpf_spin_lock', at: 4 },
      ],
    ],
    ['an array of timers', [{ type: 'bpf_timer', at: 0, length: 2 }]],
    [
      'a list without a tag',
      [
        { type: 'bpf_spin_lock', at: 0 },
        { type: 'bpf_list_head', at: 8 },
      ],
    ],
    ['too many pointers', [{ type: 'kptr', at: 0, length: 12 }]],
  ])('a map with %s cannot be', (_what, members) => {
    const { btf, value } = build(members, 128);
    expect(() => mapRecord(btf, value)).toThrow(BadFields);
    expect(recordOf(btf, value)).toBeUndefined();
  });

  test('nodes are special in allocated objects alone', () => {
    const { btf, value } = build([{ type: 'bpf_rb_node', at: 8 }], 40);
    expect(mapRecord(btf, value)).toBeUndefined();
    expect(objectRecord(btf, value)?.fields.map(({ kind, offset }) => [kind, offset])).toEqual([
      ['rb-node', 8],
    ]);
  });

  test('a field that is not aligned is none', () => {
    const { btf, value } = build([{ type: 'kptr', at: 4 }], 16);
    expect(mapRecord(btf, value)).toBeUndefined();
  });
});
