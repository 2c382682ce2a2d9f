// What every generator here is made of: registers, numbers that are often at an edge, and statements over data
// registers alone.

import fc from 'fast-check';
import {
  type AluName,
  alu,
  byteOrder,
  type ConditionName,
  loadImm64,
  mov,
  movsx,
  neg,
  reg,
} from '../../src/isa/index.js';
import type { Statement } from './code.js';

/** Registers that hold data between statements: always initialised, never pointers. */
export const DATA = [0, 1, 2, 3, 4, 5, 7] as const;

export const bits = fc.constantFrom(32 as const, 64 as const);
/** A few more often than the others, so that one statement works on what another has made. */
export const register = fc.constantFrom(...DATA, 0 as const, 1 as const, 1 as const, 2 as const);
export const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);

/** Immediates, often at the edges. */
export const imm = fc.oneof(
  fc.integer({ min: -16, max: 64 }),
  fc.constantFrom(-1, -1, 0, 1, 0x7fff_ffff, -0x8000_0000, 0xffff, 0x8000, -0x8000, 0xff, 0x80),
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
);

export const value64 = fc.oneof(
  fc.bigInt({ min: -8n, max: 64n }),
  fc.constantFrom(
    1n << 63n,
    (1n << 63n) - 1n,
    1n << 31n,
    (1n << 31n) - 1n,
    (1n << 32n) - 1n,
    1n << 32n,
    -(1n << 31n),
  ),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
);

export const OPERATIONS: readonly AluName[] = [
  'add',
  'sub',
  'mul',
  'div',
  'sdiv',
  'or',
  'and',
  'lsh',
  'rsh',
  'mod',
  'smod',
  'xor',
  'mov',
  'arsh',
];
export const CONDITIONS: readonly ConditionName[] = [
  'eq',
  'ne',
  'gt',
  'ge',
  'lt',
  'le',
  'sgt',
  'sge',
  'slt',
  'sle',
  'set',
];

/** An immediate that a verifier lets pass for this operation: no division by 0, no count beyond the width. */
export function operandFor(op: AluName, value: number, width: 32 | 64): number {
  if (op === 'lsh' || op === 'rsh' || op === 'arsh') return value & (width - 1);
  return /div|mod/.test(op) && value === 0 ? 3 : value;
}

/** One operation on registers of these. */
export const arithmeticOn = (register: fc.Arbitrary<number>): Statement =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...OPERATIONS), register, imm, bits)
      .map(([op, dst, value, width]) => [alu(op, dst, operandFor(op, value, width), width)]),
    fc
      .tuple(fc.constantFrom(...OPERATIONS), register, register, bits)
      .map(([op, dst, src, width]) => [alu(op, dst, reg(src), width)]),
    fc.tuple(register, bits).map(([dst, width]) => [neg(dst, width)]),
    fc
      .tuple(fc.constantFrom('le', 'be', 'bswap'), register, fc.constantFrom(16, 32, 64))
      .map(([to, dst, width]) => [byteOrder(to, dst, width)]),
    fc
      .tuple(register, register, fc.constantFrom(8, 16, 32), bits)
      .map(([dst, src, from, width]) => [movsx(dst, src, from, from === 32 ? 64 : width)]),
    fc.tuple(register, value64).map(([dst, value]) => [loadImm64(dst, value)]),
  );

export const arithmetic: Statement = arithmeticOn(register);

/** An operation on two numbers that are known, so that its edges are met: random registers are hardly ever equal. */
export const edge: Statement = fc.oneof(
  fc
    .tuple(fc.constantFrom(...OPERATIONS), register, register, value64, value64, bits)
    .map(([op, dst, src, a, b, width]) => [
      loadImm64(dst, a),
      loadImm64(src, b),
      alu(op, dst, reg(src), width),
    ]),
  fc
    .tuple(fc.constantFrom(...OPERATIONS), register, value64, imm, bits)
    .map(([op, dst, a, b, width]) => [loadImm64(dst, a), alu(op, dst, operandFor(op, b, width), width)]),
);

/** A rotation, as compilers write it: engines may have one instruction for it. */
export const rotation: Statement = fc
  .tuple(register, fc.constantFrom(0, 1, 3, 4, 5), fc.integer({ min: 1, max: 63 }), bits)
  .filter(([dst, scratch]) => dst !== scratch)
  .map(([dst, scratch, count, width]) => [
    mov(scratch, reg(dst), width),
    alu('lsh', dst, count % width, width),
    alu('rsh', scratch, (width - (count % width)) % width, width),
    alu('or', dst, reg(scratch), width),
  ]);
