// Control flow around pieces of code: conditions, and loops that end.

import fc from 'fast-check';
import {
  alu,
  branch,
  exit,
  type Instruction,
  jump,
  jumpLong,
  mayGoto,
  mov,
  reg,
  slotCount,
} from '../../src/isa/index.js';
import { type Code, OUT, type Statement } from './code.js';
import { bits, CONDITIONS, imm, register } from './scalars.js';

/** Counters of loops, of the inner and of the outer one. */
export const INNER = 8;
export const OUTER = 9;

/** Emits a branch over `distance` slots. */
type Branch = (distance: number) => Instruction;

interface Condition {
  /** Often makes the operands equal or nearly so. */
  readonly before: Code;
  readonly branch: Branch;
}

const conditionOn = (register: fc.Arbitrary<number>): fc.Arbitrary<Condition> =>
  fc
    .record({
      name: fc.constantFrom(...CONDITIONS),
      dst: register,
      operand: fc.oneof(register.map(reg), imm),
      width: bits,
      near: fc.constantFrom(undefined, -1, 0, 1),
    })
    .map(({ name, dst, operand, width, near }) => ({
      before: near === undefined ? [] : [mov(dst, operand), alu('add', dst, near)],
      branch: (distance) => branch(name, dst, operand, distance, width),
    }));

const condition = conditionOn(register);

/** `body` behind a condition, or one of two. */
export function conditional(body: Statement, on: fc.Arbitrary<number> = register): Statement {
  const condition = conditionOn(on);
  return fc.oneof(
    fc.tuple(condition, body).map(([when, then]) => [...when.before, when.branch(slotCount(then)), ...then]),
    fc
      .tuple(condition, body, body, fc.boolean())
      .map(([when, then, other, long]) => [
        ...when.before,
        when.branch(slotCount(then) + 1),
        ...then,
        long ? jumpLong(slotCount(other)) : jump(slotCount(other)),
        ...other,
      ]),
    // Two branches to one place, as && and || make them.
    fc
      .tuple(condition, condition, body)
      .map(([first, second, then]) => [
        ...first.before,
        first.branch(slotCount(then) + slotCount(second.before) + 1),
        ...second.before,
        second.branch(slotCount(then)),
        ...then,
      ]),
  );
}

/** Loops of up to five rounds, in all the shapes that `counter` allows. */
export function loop(body: Statement, counter: number): Statement {
  const count = fc.integer({ min: 1, max: 5 });
  const back = (code: Code): number => -slotCount(code) - 1;
  const step = alu('add', counter, -1);
  return fc.oneof(
    // Tested at the end.
    fc.tuple(count, body).map(([times, inside]) => {
      const code = [...inside, step];
      return [mov(counter, times), ...code, branch('ne', counter, 0, back(code))];
    }),
    // Tested at the top, counting up.
    fc.tuple(count, body).map(([times, inside]) => {
      const code = [
        branch('sge', counter, times, slotCount(inside) + 2, 32),
        ...inside,
        alu('add', counter, 1, 32),
      ];
      return [mov(counter, 0, 32), ...code, jump(back(code))];
    }),
    // Left early from the middle.
    fc
      .tuple(count, body, body, fc.constantFrom(...CONDITIONS), register, imm)
      .map(([times, a, b, name, dst, value]) => {
        const rest = [...b, step];
        const code = [...a, branch(name, dst, value, slotCount(rest) + 1), ...rest];
        return [mov(counter, times), ...code, branch('ne', counter, 0, back(code))];
      }),
    // Entered in the middle or at the top: irreducible.
    fc
      .tuple(count, body, body, fc.constantFrom(...CONDITIONS), register, imm)
      .map(([times, a, b, name, dst, value]) => {
        const code = [...a, ...b, step];
        return [
          mov(counter, times),
          branch(name, dst, value, slotCount(a)),
          ...code,
          branch('ne', counter, 0, back(code)),
        ];
      }),
  );
}

// Linux's verifier follows may_goto without bounds: behind it, a counter that it takes for imprecise is any number, and
// in a loop with data that is precise it may never come to an end.

/** `body` behind a may_goto, which lets it pass. */
export const behindMayGoto = (body: Statement): Statement =>
  body.map((then) => [mayGoto(slotCount(then)), ...then]);

/** A loop with may_goto as a second way out. */
export const loopWithMayGoto = (body: Statement, counter: number): Statement =>
  fc.tuple(fc.integer({ min: 1, max: 5 }), body).map(([times, inside]) => {
    const step = alu('add', counter, -1);
    const code = [mayGoto(slotCount(inside) + 2), ...inside, step];
    return [mov(counter, times), ...code, branch('sgt', counter, 0, -slotCount(code) - 1)];
  });

/** A way out of the function from anywhere in it: through its epilogue, or at once. */
export const leave: Statement = fc
  .tuple(condition, fc.boolean())
  .map(([when, atOnce]) => [...when.before, ...(atOnce ? [when.branch(1), exit()] : [when.branch(OUT)])]);
