// A comparison in other words says the same of every number.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reworded } from './alu.js';

const COMPARE = {
  gt: (a: bigint, b: bigint) => a > b,
  ge: (a: bigint, b: bigint) => a >= b,
  lt: (a: bigint, b: bigint) => a < b,
  le: (a: bigint, b: bigint) => a <= b,
};

const imms = fc.oneof(
  fc.integer(),
  fc.constantFrom(-0x80000000, -0x7fffffff, -2, -1, 0, 1, 0x7ffffffe, 0x7fffffff),
);

test.each(['gt', 'ge', 'lt', 'le'] as const)('%s, signed and unsigned, 32 and 64 bits wide', (name) => {
  const property = fc.property(imms, imms, fc.constantFrom(32, 64), fc.boolean(), (a, imm, bits, signed) => {
    const condition = signed ? (`s${name}` as const) : name;
    const other = reworded(condition, imm);
    fc.pre(other !== undefined);
    const value = (n: number) => (signed ? BigInt.asIntN(bits, BigInt(n)) : BigInt.asUintN(bits, BigInt(n)));
    const compare = (by: string, n: number) =>
      COMPARE[by.replace('s', '') as keyof typeof COMPARE](value(a), value(n));
    expect(other.condition).not.toBe(condition);
    expect(compare(other.condition, other.imm)).toBe(compare(condition, imm));
  });
  fc.assert(property, { numRuns: 2000 });
});
