// Sequences on two registers and a few bytes of the stack, so that what one instruction leaves is what the next one
// takes: bounds that are known, halves that are zero, values that are stored and loaded again.

import fc from 'fast-check';
import { alu, load, loadImm64, mov, movsx, reg } from '../../src/isa/index.js';
import type { Code, Statement } from './code.js';
import { conditional } from './control.js';
import { accessOn, type Memory, PACKET, PACKET_POINTER, SCALARS_SIZE, scalars } from './memory.js';
import { arithmeticOn, bits, value64 } from './scalars.js';

const PAIRS = [
  [0, 1],
  [1, 2],
  [3, 7],
  [4, 5],
  [0, 7],
] as const;

/** Data of which something is known: how large it is at most, or all of it. */
const begin = (register: fc.Arbitrary<number>): Statement =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(1 as const, 2 as const, 4 as const), register, fc.nat(PACKET - 8))
      .map(([bytes, dst, at]) => [load(bytes, dst, PACKET_POINTER, at)]),
    fc.tuple(register, fc.integer({ min: 1, max: 0xffff })).map(([dst, mask]) => [alu('and', dst, mask)]),
    fc
      .tuple(register, bits, fc.integer({ min: 1, max: 31 }))
      .map(([dst, width, count]) => [alu('rsh', dst, count, width)]),
    fc.tuple(register, value64).map(([dst, value]) => [loadImm64(dst, value)]),
  );

/** Ways to make the upper part of a register zero, or the sign. */
const cut = (register: fc.Arbitrary<number>): Statement =>
  fc
    .tuple(
      register,
      register,
      bits,
      fc.constantFrom('rsh' as const, 'arsh' as const),
      fc.constantFrom(8 as const, 16 as const, 32 as const),
      fc.nat(4),
    )
    .map(([dst, src, width, shift, from, how]) => {
      if (how === 0) return [movsx(dst, src, from, from === 32 ? 64 : width)];
      if (how === 1) return [mov(dst, reg(src)), alu('lsh', dst, 64 - from), alu(shift, dst, 64 - from)];
      if (how === 2) return [alu('and', dst, -1, 32)];
      return [mov(dst, reg(src), 32)];
    });

const on = (pair: readonly [number, number]): Statement => {
  const register = fc.constantFrom(...pair);
  const arithmetic = arithmeticOn(register);
  const access = fc.tuple(accessOn(register), fc.nat(SCALARS_SIZE / 8 - 2)).map(([make, n]) => {
    const near: Memory = { ...scalars, offset: scalars.offset + n * 8, size: 16 };
    return make(near);
  });
  const simple = fc.oneof(
    { weight: 2, arbitrary: begin(register) },
    { weight: 2, arbitrary: cut(register) },
    { weight: 4, arbitrary: arithmetic },
    { weight: 2, arbitrary: access },
  );
  const some = (maxLength: number): Statement =>
    fc.array(simple, { minLength: 1, maxLength }).map((all: readonly Code[]) => all.flat());
  const part = fc.oneof(
    { weight: 4, arbitrary: simple },
    { weight: 1, arbitrary: conditional(some(2), register) },
  );
  return fc.array(part, { minLength: 2, maxLength: 8 }).map((all: readonly Code[]) => all.flat());
};

export const chain: Statement = fc.oneof(...PAIRS.map(on));
