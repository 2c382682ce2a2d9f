// Bounds hold for every number within the bounds of the operands, by RFC 9669's arithmetic on BigInts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AluName, ConditionName } from '../../isa/table.js';
import { compute, type Interval, immediate, narrow, widen } from './interval.js';

const wide = (bits: number, n: bigint) => BigInt.asUintN(bits, n);
const signed = (bits: number, n: bigint) => BigInt.asIntN(bits, n);

const OPS: Record<string, (bits: number, a: bigint, b: bigint) => bigint> = {
  mov: (_, _a, b) => b,
  add: (_, a, b) => a + b,
  sub: (_, a, b) => a - b,
  mul: (_, a, b) => a * b,
  div: (_, a, b) => (b === 0n ? 0n : a / b),
  mod: (_, a, b) => (b === 0n ? a : a % b),
  and: (_, a, b) => a & b,
  or: (_, a, b) => a | b,
  xor: (_, a, b) => a ^ b,
  lsh: (bits, a, b) => a << (b % BigInt(bits)),
  rsh: (bits, a, b) => a >> (b % BigInt(bits)),
  arsh: (bits, a, b) => signed(bits, a) >> (b % BigInt(bits)),
};

const CONDITIONS: Partial<Record<ConditionName, (bits: number, a: bigint, b: bigint) => boolean>> = {
  eq: (_, a, b) => a === b,
  ne: (_, a, b) => a !== b,
  gt: (_, a, b) => a > b,
  ge: (_, a, b) => a >= b,
  lt: (_, a, b) => a < b,
  le: (_, a, b) => a <= b,
  sgt: (bits, a, b) => signed(bits, a) > signed(bits, b),
  sge: (bits, a, b) => signed(bits, a) >= signed(bits, b),
  slt: (bits, a, b) => signed(bits, a) < signed(bits, b),
  sle: (bits, a, b) => signed(bits, a) <= signed(bits, b),
};

const holds = ({ min, max }: Interval, n: bigint): boolean =>
  n >= BigInt(min) && (max === Number.POSITIVE_INFINITY || n <= BigInt(max));

/** Numbers near the places where something changes. */
const numbers = fc.oneof(
  fc.nat(40).map(BigInt),
  fc
    .tuple(fc.nat(64), fc.integer({ min: -2, max: 2 }))
    .map(([at, by]) => wide(64, (1n << BigInt(at)) + BigInt(by))),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);

/** A number with bounds that hold. */
const bounded = fc.tuple(numbers, numbers, numbers, fc.boolean()).map(([n, below, above, isExact]) => {
  if (isExact) return { n, interval: n < 1n << 53n ? { min: Number(n), max: Number(n) } : immediate(-1) };
  const max = n + above < 1n << 53n ? Number(n + above) : Number.POSITIVE_INFINITY;
  return { n, interval: { min: n - below < 0n || n > 1n << 53n ? 0 : Number(n - below), max } };
});

const bits = fc.constantFrom(32, 64);

test('the result of every operation is within its bounds', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(OPS)), bits, bounded, bounded, (op, width, a, b) => {
      const result = wide(width, OPS[op]?.(width, wide(width, a.n), wide(width, b.n)) ?? 0n);
      expect(holds(compute(op as AluName, width, a.interval, b.interval, undefined), result)).toBe(true);
    }),
    { numRuns: 20_000 },
  );
});

test('so is the result of an operation with a constant', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(OPS)),
      bits,
      bounded,
      fc.oneof(fc.integer(), fc.integer({ min: -3, max: 70 })),
      (op, width, a, constant) => {
        const result = wide(width, OPS[op]?.(width, wide(width, a.n), wide(width, BigInt(constant))) ?? 0n);
        const bounds = compute(op as AluName, width, a.interval, immediate(constant), constant);
        expect(holds(bounds, result)).toBe(true);
      },
    ),
    { numRuns: 20_000 },
  );
});

test('what a comparison tells is true of every number that passes it', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(CONDITIONS)), bits, bounded, bounded, (name, width, a, b) => {
      const condition = name as ConditionName;
      fc.pre(CONDITIONS[condition]?.(width, wide(width, a.n), wide(width, b.n)) ?? false);
      expect(holds(narrow(a.interval, condition, width, b.interval), a.n)).toBe(true);
    }),
    { numRuns: 20_000 },
  );
});

test('bounds that grow from round to round end after a few', () => {
  let known: Interval = { min: 5, max: 5 };
  for (let i = 0; i < 6; i++) known = widen(known, { min: known.min - 1, max: known.max + 1 });
  expect(known).toEqual({ min: 0, max: Number.POSITIVE_INFINITY });
});
