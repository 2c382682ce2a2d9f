// Random programs that are valid and end without a fault by construction, for comparing engines.
//
//   r0..r5, r7   data: always initialised, never pointers
//   r6           the packet (PACKET bytes)
//   r8, r9       counters of the inner and the outer loop
//   stack        STACK bytes below r10, written when a function begins
//
// A function is a prologue that initialises all of that, a body of statements, and an epilogue that folds
// registers, stack and packet into r0, so that a difference anywhere shows. Bodies nest ifs, loops (counted, left
// early, entered in the middle, with may_goto) and calls; only functions further down are called and loops are
// short, so every run ends soon.

import fc from 'fast-check';
import {
  type AluName,
  type AtomicName,
  alu,
  atomic,
  branch,
  byteOrder,
  type ConditionName,
  callLocal,
  encode,
  exit,
  type Instruction,
  isLocalCall,
  jump,
  jumpLong,
  load,
  loadAcquire,
  loadImm64,
  mayGoto,
  mov,
  movsx,
  neg,
  packetLoad,
  reg,
  slotCount,
  slotsOf,
  store,
  storeRelease,
} from '../../src/isa/index.js';

/** Bytes of memory that a generated program expects r1 to point to. */
export const PACKET = 64;

/** A program and the packet to run it on. */
export interface RandomProgram {
  readonly insns: readonly Instruction[];
  readonly packet: Uint8Array;
}

type Code = readonly Instruction[];
type Statement = fc.Arbitrary<Code>;

const STACK = 64;
const DATA = [0, 1, 2, 3, 4, 5, 7] as const;
const OUTER = 9;
const INNER = 8;
const FRAME_POINTER = 10;

const bits = fc.constantFrom(32 as const, 64 as const);
const register = fc.constantFrom(...DATA);
const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);

/** Immediates, often at the edges. */
const imm = fc.oneof(
  fc.integer({ min: -16, max: 64 }),
  fc.constantFrom(0x7fff_ffff, -0x8000_0000, 0xffff, 0x8000, -0x8000, 0xff, 0x80),
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
);

const value64 = fc.oneof(
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

const OPERATIONS: readonly AluName[] = [
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
const CONDITIONS: readonly ConditionName[] = [
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
const ATOMICS: readonly AtomicName[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];

/** An immediate that a verifier lets pass for this operation: no division by 0, no count beyond the width. */
function operandFor(op: AluName, value: number, width: 32 | 64): number {
  if (op === 'lsh' || op === 'rsh' || op === 'arsh') return value & (width - 1);
  return /div|mod/.test(op) && value === 0 ? 3 : value;
}

const arithmetic: Statement = fc.oneof(
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

/** An operation on two numbers that are known, so that its edges are met: random registers are hardly ever equal. */
const edge: Statement = fc.oneof(
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
const rotation: Statement = fc
  .tuple(register, fc.constantFrom(0, 1, 3, 4, 5), fc.integer({ min: 1, max: 63 }), bits)
  .filter(([dst, scratch]) => dst !== scratch)
  .map(([dst, scratch, count, width]) => [
    mov(scratch, reg(dst), width),
    alu('lsh', dst, count % width, width),
    alu('rsh', scratch, (width - (count % width)) % width, width),
    alu('or', dst, reg(scratch), width),
  ]);

/** A place of `bytes` on the stack, aligned as Linux wants it. */
const slotOf = (place: number, bytes: number): number => -STACK + (place % (STACK / bytes)) * bytes;
const place = fc.nat(STACK - 1);

const memory: Statement = fc.oneof(
  fc
    .tuple(size, register, place, fc.boolean())
    .map(([bytes, dst, at, signed]) => [
      load(bytes, dst, FRAME_POINTER, slotOf(at, bytes), signed && bytes < 8),
    ]),
  fc
    .tuple(size, place, fc.oneof(register.map(reg), imm))
    .map(([bytes, at, operand]) => [store(bytes, FRAME_POINTER, slotOf(at, bytes), operand)]),
  fc
    .tuple(size, register, fc.nat(PACKET - 8), fc.boolean())
    .map(([bytes, dst, at, signed]) => [load(bytes, dst, 6, at, signed && bytes < 8)]),
  fc
    .tuple(size, fc.nat(PACKET - 8), fc.oneof(register.map(reg), imm))
    .map(([bytes, at, operand]) => [store(bytes, 6, at, operand)]),
  fc
    .tuple(
      fc.constantFrom(...ATOMICS),
      fc.constantFrom(4 as const, 8 as const),
      place,
      register,
      fc.boolean(),
    )
    .map(([op, bytes, at, src, fetch]) => [atomic(op, bytes, FRAME_POINTER, slotOf(at, bytes), src, fetch)]),
  fc
    .tuple(size, place, register)
    .map(([bytes, at, dst]) => [loadAcquire(bytes, dst, FRAME_POINTER, slotOf(at, bytes))]),
  fc
    .tuple(size, place, register)
    .map(([bytes, at, src]) => [storeRelease(bytes, FRAME_POINTER, slotOf(at, bytes), src)]),
);

/** A store and a load through a computed pointer, on the packet behind a check of its index, and on the stack. */
const computed: Statement = fc
  .tuple(register, register, size, fc.boolean())
  .filter(([index, pointer]) => index !== pointer)
  .map(([index, pointer, bytes, onStack]) => {
    const base = onStack
      ? [mov(pointer, reg(FRAME_POINTER)), alu('add', pointer, -STACK)]
      : [mov(pointer, reg(6))];
    const access = [
      ...base,
      alu('add', pointer, reg(index)),
      store(bytes, pointer, 0, reg(index)),
      load(bytes, pointer, pointer, 0),
    ];
    return [
      branch('gt', index, STACK - bytes, access.length),
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

/** Emits a branch over `distance` slots. */
type Branch = (distance: number) => Instruction;

interface Condition {
  /** Often makes the operands equal or nearly so. */
  readonly before: Code;
  readonly branch: Branch;
}

const condition: fc.Arbitrary<Condition> = fc
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

function conditional(body: Statement): Statement {
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
    body.map((then) => [mayGoto(slotCount(then)), ...then]),
  );
}

function loop(body: Statement, counter: number): Statement {
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
    // With may_goto as a second way out.
    fc.tuple(count, body).map(([times, inside]) => {
      const code = [mayGoto(slotCount(inside) + 2), ...inside, step];
      return [mov(counter, times), ...code, branch('sgt', counter, 0, back(code))];
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

/** A sequence of statements of at most `length`. */
function statements(scope: Scope, depth: number, length: number): Statement {
  const simple: fc.WeightedArbitrary<Code>[] = [
    { weight: 8, arbitrary: arithmetic },
    { weight: 3, arbitrary: edge },
    { weight: 1, arbitrary: rotation },
    { weight: 5, arbitrary: memory },
  ];
  if (scope.unverifiable) {
    simple.push({ weight: 1, arbitrary: computed }, { weight: 1, arbitrary: legacyLoad });
  }
  if (scope.callees.length > 0) simple.push({ weight: 1, arbitrary: call(scope.callees) });
  if (depth > 0) {
    simple.push({ weight: 4, arbitrary: conditional(statements(scope, depth - 1, 4)) });
    if (scope.loops > 0) {
      const inside = statements({ ...scope, loops: scope.loops - 1 }, depth - 1, 4);
      simple.push({ weight: 2, arbitrary: loop(inside, scope.loops === 2 ? OUTER : INNER) });
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
  ...Array.from({ length: STACK / 8 }, (_, i) => store(8, FRAME_POINTER, -STACK + i * 8, i * 0x01010101)),
];

/** r0 = r0 * an odd number + the register. */
const fold = (from: number): Code => [alu('mul', 0, 0x7654_321b), alu('add', 0, reg(from))];

/** Everything that a difference could be in. The packet is left to the main function, which sees it last. */
const epilogue = (main: boolean): Code => [
  ...[1, 2, 3, 4, 5, 7].flatMap(fold),
  ...Array.from({ length: STACK / 8 }, (_, i) => [
    load(8, 1, FRAME_POINTER, -STACK + i * 8),
    ...fold(1),
  ]).flat(),
  ...(main ? Array.from({ length: PACKET / 8 }, (_, i) => [load(8, 1, 6, i * 8), ...fold(1)]).flat() : []),
  exit(),
];

/** Puts functions one after the other and turns the numbers in calls into distances. */
function link(functions: readonly Code[]): Instruction[] {
  const starts: number[] = [];
  let slot = 0;
  for (const code of functions) {
    starts.push(slot);
    slot += slotCount(code);
  }
  let at = 0;
  return functions.flat().map((insn) => {
    at += slotsOf(insn);
    return isLocalCall(insn) ? callLocal((starts[insn.imm] ?? 0) - at) : insn;
  });
}

/**
 * Random programs. With `verifiable` only such as Linux's verifier can follow (it may still refuse one
 * for its complexity).
 */
export function randomProgram(options: { verifiable?: boolean } = {}): fc.Arbitrary<RandomProgram> {
  const unverifiable = options.verifiable !== true;
  const body = (loops: number, callees: readonly number[], depth: number, length: number): Statement =>
    fc
      .tuple(value64, fc.boolean(), statements({ loops, callees, unverifiable }, depth, length))
      .map(([seed, zero, code]) => [...prologue(seed, zero), ...code, ...epilogue(callees.length === 3)]);
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
    .map(({ functions, packet }) => ({ insns: link(needed(functions)), packet }));
}

/** Without the functions that nothing calls (Linux refuses unreachable ones); numbers in calls follow. */
function needed(functions: readonly Code[]): Code[] {
  const used = new Set([0]);
  for (const number of used) {
    for (const insn of functions[number] ?? []) if (isLocalCall(insn)) used.add(insn.imm);
  }
  const kept = [...used].sort((a, b) => a - b);
  return kept.map((number) =>
    (functions[number] ?? []).map((insn) => (isLocalCall(insn) ? callLocal(kept.indexOf(insn.imm)) : insn)),
  );
}

/** The bytes of a program. */
export const codeOf = ({ insns }: RandomProgram): Uint8Array => encode(insns);
