// Sequences on two registers and a few bytes of the stack or of a map, so that what one instruction leaves is what the next one
// takes: bounds that are known, halves that are zero, values that are stored and loaded again.

import fc from 'fast-check';
import { alu, load, loadImm64, mov, movsx, reg } from '../../../src/isa/index.js';
import type { Code, Statement } from '../code.js';
import { conditional } from '../control.js';
import {
  accessOn,
  type Memory,
  operationOn,
  PACKET,
  PACKET_POINTER,
  SCALARS_SIZE,
  scalars,
} from '../memory.js';
import { arithmeticOn, bits, imm, value64 } from '../scalars.js';
import { loadValue, MAPS } from './frame.js';

/** Two for data, one for a pointer. */
const REGISTERS = [
  [0, 1, 2],
  [1, 2, 3],
  [3, 7, 4],
  [4, 5, 1],
  [0, 7, 5],
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

const value: Memory = {
  base: 0,
  offset: 0,
  size: MAPS.globals.valueSize,
  rights: { write: true, atomic: true, aligned: false },
};

/** On the registers a and b; p points to a map's value. */
const on = ([a, b, p]: readonly [number, number, number]): Statement => {
  const register = fc.constantFrom(a, b);
  const access = fc
    .tuple(
      fc.oneof(accessOn(register), operationOn(register)),
      fc.constantFrom(scalars, { ...value, base: p }),
      fc.nat(SCALARS_SIZE / 8 - 2),
    )
    .map(([make, memory, n]) => make({ ...memory, offset: memory.offset + n * 8, size: 16 }));
  const simple = fc.oneof(
    { weight: 2, arbitrary: begin(register) },
    { weight: 2, arbitrary: cut(register) },
    { weight: 4, arbitrary: arithmeticOn(register) },
    { weight: 3, arbitrary: access },
  );
  const some = (maxLength: number): Statement =>
    fc.array(simple, { minLength: 1, maxLength }).map((all: readonly Code[]) => all.flat());
  const part = fc.oneof(
    { weight: 4, arbitrary: simple },
    { weight: 1, arbitrary: conditional(some(2), register) },
  );
  return fc
    .tuple(fc.array(part, { minLength: 2, maxLength: 8 }), imm)
    .map(([all, after]) => [loadValue(p, 'globals'), ...all.flat(), mov(p, after)]);
};

export const chain: Statement = fc.oneof(...REGISTERS.map(on));
