// Netlink's attributes: what is written is read again, what is broken ends quietly.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Attribute, Attributes, encodeAttributes } from './netlink.js';

test('attributes have the layout of <linux/netlink.h>: length, type, value, padding', () => {
  const bytes = encodeAttributes([
    [3, 'lo'],
    [43, [[1, -1]]],
  ]);
  expect(Buffer.from(bytes).toString('hex')).toBe('070003006c6f00000c002b8008000100ffffffff');
});

test('what was written is read again, numbers, texts and nests', () => {
  const leaf = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.string({ unit: fc.constantFrom(...'abcäé€') }),
  );
  const types = fc.uniqueArray(fc.integer({ min: 1, max: 0x3fff }), { maxLength: 6 });
  const flat = fc.tuple(types, fc.array(leaf, { minLength: 6, maxLength: 6 }));
  fc.assert(
    fc.property(flat, flat, ([outer, values], [inner, nested]) => {
      const inside = inner.map((type, i): Attribute => [type, nested[i] ?? 0]);
      const read = new Attributes(
        encodeAttributes([...outer.map((type, i): Attribute => [type + 1, values[i] ?? 0]), [1, inside]]),
      );
      const check = (attributes: Attributes | undefined, type: number, value: number | string | undefined) =>
        expect(typeof value === 'string' ? attributes?.text(type) : attributes?.number(type)).toBe(value);
      for (const [i, type] of outer.entries()) if (type < 0x3fff) check(read, type + 1, values[i]);
      for (const [i, type] of inner.entries()) check(read.nested(1), type, nested[i]);
    }),
  );
});

test('bytes that are no attributes give none, and never hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(100), (bytes, type) => {
      const attributes = new Attributes(bytes);
      const number = attributes.number(type);
      expect(number === undefined || Number.isInteger(number)).toBe(true);
      expect(attributes.nested(type)?.text(0) ?? '').toBeTypeOf('string');
    }),
  );
});
