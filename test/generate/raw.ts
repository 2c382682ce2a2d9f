// Random programs of instructions alone, valid and without a fault by construction: r1 points to the packet, r0 is
// the answer. For every engine and for the reference model, which knows neither maps nor contexts.
//
//   r0..r5, r7   data: always initialised, never pointers
//   r6           the packet (PACKET bytes)
//   r8, r9       counters of the inner and the outer loop
//   stack        see memory.ts; written when a function begins
//
// A function is a prologue that initialises all of that, a body of statements, and an epilogue that folds
// registers, stack and packet into r0, so that a difference anywhere shows. Bodies nest ifs, loops (counted, left
// early, entered in the middle, with may_goto) and calls; only functions further down are called and loops are
// short, so every run ends soon.

import fc from 'fast-check';
import {
  alu,
  branch,
  callLocal,
  encode,
  exit,
  type Instruction,
  load,
  loadImm64,
  mov,
  packetLoad,
  reg,
  store,
} from '../../src/isa/index.js';
import { type Code, link, type Statement } from './code.js';
import { behindMayGoto, conditional, INNER, loop, loopWithMayGoto, OUTER } from './control.js';
import {
  clearScalars,
  compareExchange,
  FRAME_POINTER,
  memory,
  PACKET,
  SCALARS,
  SCALARS_SIZE,
} from './memory.js';
import { arithmetic, edge, imm, register, rotation, size, value64 } from './scalars.js';

/** A program and the packet to run it on. */
export interface RandomProgram {
  readonly insns: readonly Instruction[];
  readonly packet: Uint8Array;
}

/** A store and a load through a computed pointer, on the packet behind a check of its index, and on the stack. */
const computed: Statement = fc
  .tuple(register, register, size, fc.boolean())
  .filter(([index, pointer]) => index !== pointer)
  .map(([index, pointer, bytes, onStack]) => {
    const base = onStack
      ? [mov(pointer, reg(FRAME_POINTER)), alu('add', pointer, SCALARS)]
      : [mov(pointer, reg(6))];
    const access = [
      ...base,
      alu('add', pointer, reg(index)),
      store(bytes, pointer, 0, reg(index)),
      load(bytes, pointer, pointer, 0),
    ];
    return [
      branch('gt', index, SCALARS_SIZE - bytes, access.length),
      ...access,
      // Not a pointer on any path.
      alu('mov', pointer, reg(index)),
    ];
  });

const legacyLoad: Statement = fc
  .tuple(fc.constantFrom(1 as const, 2 as const, 4 as const), fc.nat(PACKET - 4), fc.nat(32))
  .map(([bytes, at, index]) =>
    index < 16
      ? [mov(7, Math.min(index, PACKET - 4 - at)), packetLoad(bytes, at, reg(7))]
      : [packetLoad(bytes, at)],
  );

/** What is different between functions. */
interface Scope {
  /** Loops may nest this deep. */
  readonly loops: number;
  /** Numbers of the functions that may be called. */
  readonly callees: readonly number[];
  /** Legacy loads and computed pointers, which a verifier may not follow. */
  readonly unverifiable: boolean;
}

/** A call of function `callee`, which `link` resolves; afterwards r1 to r5 must be written anew. */
const call = (callees: readonly number[]): Statement =>
  fc
    .tuple(fc.constantFrom(...callees), imm, value64)
    .map(([callee, value, wide]) => [
      mov(1, reg(6)),
      callLocal(callee),
      mov(1, value),
      loadImm64(2, wide),
      mov(3, reg(0)),
      mov(4, value, 32),
      mov(5, reg(7)),
    ]);

/** A sequence of statements of at most `length`. */
function statements(scope: Scope, depth: number, length: number): Statement {
  const simple: fc.WeightedArbitrary<Code>[] = [
    { weight: 8, arbitrary: arithmetic },
    { weight: 3, arbitrary: edge },
    { weight: 1, arbitrary: rotation },
    { weight: 5, arbitrary: memory },
    { weight: 1, arbitrary: compareExchange },
  ];
  if (scope.unverifiable) {
    simple.push({ weight: 1, arbitrary: computed }, { weight: 1, arbitrary: legacyLoad });
  }
  if (scope.callees.length > 0) simple.push({ weight: 1, arbitrary: call(scope.callees) });
  if (depth > 0) {
    const body = statements(scope, depth - 1, 4);
    simple.push({ weight: 3, arbitrary: conditional(body) }, { weight: 1, arbitrary: behindMayGoto(body) });
    if (scope.loops > 0) {
      const inside = statements({ ...scope, loops: scope.loops - 1 }, depth - 1, 4);
      const counter = scope.loops === 2 ? OUTER : INNER;
      simple.push(
        { weight: 2, arbitrary: loop(inside, counter) },
        { weight: 1, arbitrary: loopWithMayGoto(inside, counter) },
      );
    }
  }
  return fc.array(fc.oneof(...simple), { maxLength: length }).map((parts) => parts.flat());
}

/** Everything that a body may read, made from the arguments. */
const prologue = (seed: bigint, zero: boolean): Code => [
  mov(6, reg(1)),
  mov(0, zero ? 0 : 1),
  loadImm64(1, seed),
  mov(2, 0x1234),
  mov(3, reg(1), 32),
  mov(4, -7),
  mov(5, reg(2)),
  mov(7, reg(1)),
  mov(8, 0),
  mov(9, 0),
  ...clearScalars,
];

/** r0 = r0 * an odd number + the register. */
const fold = (from: number): Code => [alu('mul', 0, 0x7654_321b), alu('add', 0, reg(from))];

/** The other data registers, folded into r0. */
export const foldRegisters: Code = [1, 2, 3, 4, 5, 7].flatMap(fold);

/** The scalars of the frame, folded into r0. */
export const foldScalars: Code = Array.from({ length: SCALARS_SIZE / 8 }, (_, i) => [
  load(8, 1, FRAME_POINTER, SCALARS + i * 8),
  ...fold(1),
]).flat();

/** Everything that a difference could be in. The packet is left to the main function, which sees it last. */
const epilogue = (main: boolean): Code => [
  ...foldRegisters,
  ...foldScalars,
  ...(main ? Array.from({ length: PACKET / 8 }, (_, i) => [load(8, 1, 6, i * 8), ...fold(1)]).flat() : []),
  exit(),
];

/**
 * Random programs. With `verifiable` only such as Linux's verifier can follow (it may still refuse one
 * for its complexity).
 */
export function randomProgram(options: { verifiable?: boolean } = {}): fc.Arbitrary<RandomProgram> {
  const unverifiable = options.verifiable !== true;
  const body = (loops: number, callees: readonly number[], depth: number, length: number) =>
    fc
      .tuple(value64, fc.boolean(), statements({ loops, callees, unverifiable }, depth, length))
      .map(([seed, zero, code]) => ({
        body: [...prologue(seed, zero), ...code],
        epilogue: epilogue(callees.length === 3),
      }));
  return fc
    .record({
      functions: fc.tuple(
        body(2, [1, 2, 3], 4, 12),
        body(1, [2, 3], 2, 6),
        body(0, [3], 2, 6),
        body(0, [], 1, 6),
      ),
      packet: fc.uint8Array({ minLength: PACKET, maxLength: PACKET }),
    })
    .map(({ functions, packet }) => ({ insns: link(functions), packet }));
}

/** The bytes of a program. */
export const codeOf = ({ insns }: RandomProgram): Uint8Array => encode(insns);
