// Random XDP programs that Linux's verifier accepts by construction, for comparing kernels: every statement leaves a
// function as it has found it (see frame.ts), so that any sequence of them is accepted, and a program can be shrunk
// by leaving statements out.
//
//   main (0)       calls 1, 2, 3; moves the packet
//   function 1     calls 2, 3; moves the packet
//   function 2     calls 3; its memory may be in the packet
//   function 3     calls nothing
//   finder         looks up an element, see pointers.ts; for all of them
//
// The main function adds its registers and its stack to `result`, so that whatever differs is seen there.

import fc from 'fast-check';
import {
  alu,
  atomic,
  exit,
  type Instruction,
  load,
  loadImm64,
  mov,
  reg,
  store,
} from '../../../src/isa/index.js';
import { type Code, type FunctionCode, link, type Statement } from '../code.js';
import { behindMayGoto, conditional, INNER, leave, loop, loopWithMayGoto, OUTER } from '../control.js';
import {
  clearScalars,
  compareExchange,
  FRAME_POINTER,
  memory,
  PACKET,
  PACKET_POINTER,
  SCALARS,
  SCALARS_SIZE,
} from '../memory.js';
import { foldRegisters, foldScalars } from '../raw.js';
import { arithmetic, DATA, edge, imm, rotation, value64 } from '../scalars.js';
import { chain } from './chain.js';
import { ARGUMENT, CONTEXT, contextField, HELD_COUNT, held, loadValue, refresh } from './frame.js';
import { adjust, type Callee, callFunction, helpers, tailCall } from './helpers.js';
import { finder, type Slot, throughPointer } from './pointers.js';
import { walk } from './walk.js';

/** A program, with maps by their number in MAPS, and the packets to run it on, one after the other. */
export interface XdpProgram {
  readonly insns: readonly Instruction[];
  readonly packets: readonly Uint8Array[];
  /** Runs on each packet, as the one before has left it. */
  readonly repeat: number;
}

/** What is different between functions, and between the places in one. */
interface Scope {
  readonly loops: number;
  readonly callees: readonly Callee[];
  /** Helpers may move the packet. */
  readonly moves: boolean;
  readonly tailCalls: boolean;
  /** Not in loops, nor in functions that loops may call. */
  readonly mayGoto: boolean;
  readonly slots: readonly Slot[];
  /** Pointers that are held. */
  readonly held: number;
}

const CALLEES: readonly Callee[] = [
  { number: 1, moves: true, packetArgument: false },
  { number: 2, moves: false, packetArgument: true },
  { number: 3, moves: false, packetArgument: false },
];

/** A sequence of statements of at most `length`. */
function statements(scope: Scope, depth: number, length: number): Statement {
  const parts: fc.WeightedArbitrary<Code>[] = [
    { weight: 4, arbitrary: arithmetic },
    { weight: 3, arbitrary: edge },
    { weight: 1, arbitrary: rotation },
    { weight: 4, arbitrary: memory },
    { weight: 1, arbitrary: compareExchange },
    { weight: 3, arbitrary: chain },
    { weight: 2, arbitrary: helpers },
    { weight: 1, arbitrary: leave },
  ];
  if (scope.loops === 2) parts.push({ weight: 2, arbitrary: walk });
  if (scope.moves) parts.push({ weight: 1, arbitrary: adjust });
  if (scope.tailCalls) parts.push({ weight: 1, arbitrary: tailCall });
  if (scope.callees.length > 0)
    parts.push({ weight: 2, arbitrary: callFunction(scope.callees, scope.slots) });
  if (scope.held < HELD_COUNT) {
    const free = held(scope.held);
    const inside = { ...scope, held: scope.held + 1, slots: [...scope.slots, { at: free, atomic: true }] };
    const body = depth > 0 ? statements(inside, depth - 1, 3) : fc.constant<Code>([]);
    parts.push({ weight: 5, arbitrary: throughPointer({ slots: scope.slots, free, body }) });
  }
  if (depth > 0) {
    const body = statements(scope, depth - 1, 3);
    parts.push({ weight: 3, arbitrary: conditional(body) });
    if (scope.mayGoto) {
      // What a round makes does not depend on the round before, so that the verifier comes to an end.
      const inside = fc
        .array(fc.oneof(edge, memory), { maxLength: 3 })
        .map((all: readonly Code[]) => all.flat());
      parts.push(
        { weight: 1, arbitrary: behindMayGoto(body) },
        { weight: 1, arbitrary: loopWithMayGoto(inside, INNER) },
      );
    }
    if (scope.loops > 0) {
      const inside = statements({ ...scope, loops: scope.loops - 1, mayGoto: false }, depth - 1, 3);
      parts.push({ weight: 2, arbitrary: loop(inside, scope.loops === 2 ? OUTER : INNER) });
    }
  }
  return fc
    .array(fc.oneof(...parts), { minLength: 1, maxLength: length, size: 'max' })
    .map((all) => all.flat());
}

/** Data to begin with: known numbers, and bytes of the packet, of which the verifier knows nothing. */
const beginning: fc.Arbitrary<Code> = fc
  .record({ seed: value64, value: imm, packet: fc.array(fc.constantFrom(...DATA), { maxLength: 7 }) })
  .map(({ seed, value, packet }) => [
    loadImm64(7, seed),
    mov(0, value),
    mov(INNER, 0),
    mov(OUTER, 0),
    ...packet.map((dst, i) => load(8, dst, PACKET_POINTER, (i * 8) % PACKET)),
  ]);

const inMain = (data: Code): Code => [
  store(8, FRAME_POINTER, CONTEXT, reg(1)),
  loadValue(2, 'globals', 16),
  store(8, FRAME_POINTER, ARGUMENT, reg(2)),
  ...clearScalars,
  mov(0, 0),
  mov(4, -7),
  mov(5, 0x1234),
  mov(7, 1),
  mov(INNER, 0),
  mov(OUTER, 0),
  ...refresh(3),
  ...data,
];

/** Not every function reads all of its arguments. */
const inFunction = (data: Code, copies: boolean): Code => [
  store(8, FRAME_POINTER, CONTEXT, reg(1)),
  store(8, FRAME_POINTER, ARGUMENT, reg(3)),
  mov(PACKET_POINTER, reg(2)),
  ...(copies ? [mov(1, reg(4)), mov(2, reg(5), 32)] : [mov(1, 1), mov(2, -2)]),
  mov(3, 3),
  ...clearScalars,
  ...data,
];

/** Adds data, the scalars and the packet's length to `result`; r0 is returned. */
const endOfMain: Code = [
  loadValue(INNER, 'result'),
  ...DATA.map((register, i) => atomic('add', 8, INNER, i * 8, register)),
  ...Array.from({ length: SCALARS_SIZE / 8 }, (_, i) => [
    load(8, 1, FRAME_POINTER, SCALARS + i * 8),
    atomic('add', 8, INNER, (DATA.length + i) * 8, 1),
  ]).flat(),
  ...contextField(1, 'data_end'),
  ...contextField(2, 'data'),
  alu('sub', 1, reg(2)),
  atomic('add', 8, INNER, (DATA.length + SCALARS_SIZE / 8) * 8, 1),
  exit(),
];

const main = (depth: number, length: number): fc.Arbitrary<FunctionCode> =>
  fc
    .tuple(
      beginning,
      statements(
        {
          loops: 2,
          callees: CALLEES,
          moves: true,
          tailCalls: true,
          mayGoto: true,
          slots: [{ at: ARGUMENT, atomic: true }],
          held: 0,
        },
        depth,
        length,
      ),
    )
    .map(([data, code]) => ({ body: [...inMain(data), ...code], epilogue: endOfMain }));

const subprogram = (
  number: number,
  loops: number,
  depth: number,
  length: number,
): fc.Arbitrary<FunctionCode> => {
  const { moves = false, packetArgument = false } = CALLEES[number - 1] ?? {};
  const scope: Scope = {
    loops,
    callees: CALLEES.filter((callee) => callee.number > number),
    moves,
    tailCalls: false,
    mayGoto: false,
    slots: [{ at: ARGUMENT, atomic: !packetArgument }],
    held: 0,
  };
  const parts = fc.tuple(beginning, fc.boolean(), fc.boolean(), statements(scope, depth, length));
  return parts.map(([data, copies, tells, code]) => ({
    body: [...inFunction(data, copies), ...code],
    // What a function does not tell, it need not have: its arguments may be dead.
    epilogue: [...(tells ? foldRegisters : []), ...foldScalars, exit()],
  }));
};

const packet: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: PACKET, max: 300 }) },
      { weight: 1, arbitrary: fc.integer({ min: 14, max: PACKET }) },
    ),
    fc.integer({ min: 0, max: 0x7fff_ffff }),
  )
  .map(([size, seed]) => {
    let state = seed;
    return Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    });
  });

/** Random programs with two or three packets each. */
export const xdpProgram: fc.Arbitrary<XdpProgram> = fc
  .record({
    functions: fc.tuple(main(3, 14), subprogram(1, 2, 2, 5), subprogram(2, 2, 2, 5), subprogram(3, 2, 1, 5)),
    packets: fc.array(packet, { minLength: 1, maxLength: 3 }),
    // Some become hot: an engine may then run other code than before.
    repeat: fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom(1, 1, 1, 2) },
      { weight: 1, arbitrary: fc.constant(1100) },
    ),
  })
  .map(({ functions, packets, repeat }) => ({ insns: link([...functions, finder]), packets, repeat }));
