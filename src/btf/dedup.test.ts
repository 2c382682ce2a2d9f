import { expect, test } from 'vitest';
import { dedupTypes } from './dedup.js';
import type { NewBtfType } from './encode.js';
import { withTypeIds } from './references.js';

const int: NewBtfType = { kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 };
const pointer = (type: number): NewBtfType => ({ kind: 'PTR', name: '', type });
const struct = (name: string, size: number, ...types: number[]): NewBtfType => ({
  kind: 'STRUCT',
  name,
  size,
  kindFlag: false,
  members: types.map((type, i) => ({ name: `m${i}`, type, bitOffset: i * 64, bitSize: 0 })),
});
const forward = (name: string): NewBtfType => ({ kind: 'FWD', name, union: false });

/** A list, whose elements refer to each other, and a tree that has a list. */
const list: NewBtfType[] = [int, struct('list', 16, 3, 1), pointer(2), struct('tree', 16, 5, 3), pointer(4)];
const behind = (types: readonly NewBtfType[], count: number): NewBtfType[] =>
  types.map((type) => withTypeIds(type, (id) => id && id + count));

test('types that refer to each other are merged with their like', () => {
  const { types, ids } = dedupTypes([...list, ...behind(list, list.length)]);
  expect(types).toEqual(list);
  expect([...ids]).toEqual([0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
});

test('types that differ somewhere below stay apart', () => {
  const wider = list.map((type) => (type.kind === 'INT' ? { ...type, size: 8, bits: 64 } : type));
  expect(dedupTypes([...list, ...behind(wider, list.length)]).types).toHaveLength(2 * list.length);
});

test('a declaration is its definition, before or behind it', () => {
  const types = [forward('list'), pointer(1), ...behind(list, 2), forward('list'), pointer(8)];
  const merged = dedupTypes(types);
  expect(merged.types).toHaveLength(list.length);
  expect(merged.ids[1]).toBe(merged.ids[4]);
  expect(merged.ids[2]).toBe(merged.ids[5]);
  expect(merged.ids[9]).toBe(merged.ids[5]);
});

test('a declaration of what is defined in two ways stays one', () => {
  const types = [int, struct('s', 4, 1), struct('s', 8, 1), forward('s'), pointer(4), pointer(2)];
  expect(dedupTypes(types).types).toEqual(types);
});

test('variables and sections are never merged', () => {
  const variable: NewBtfType = { kind: 'VAR', name: 'v', type: 1, linkage: 'static' };
  expect(dedupTypes([int, variable, variable, int]).types).toEqual([int, variable, variable]);
});
