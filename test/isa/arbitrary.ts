// Random valid instructions for property tests, drawn from the instruction table.

import fc from 'fast-check';
import {
  type FieldRule,
  INSTRUCTIONS,
  type Instruction,
  type InstructionRow,
  instruction,
} from '../../src/isa/index.js';

const int16 = fc.oneof(fc.integer({ min: -8, max: 8 }), fc.integer({ min: -0x8000, max: 0x7fff }));
const int32 = fc.oneof(
  fc.integer({ min: -8, max: 8 }),
  fc.constantFrom(-0x8000_0000, 0x7fff_ffff, -1),
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
);
const register = fc.integer({ min: 0, max: 10 });

function field(rule: FieldRule, number: fc.Arbitrary<number>): fc.Arbitrary<number> {
  if (typeof rule === 'number') return fc.constant(rule);
  return rule === 'read' || rule === 'write' || rule === 'update' ? register : number;
}

/** Any instruction of one row. */
export function instructionOf(row: InstructionRow): fc.Arbitrary<Instruction> {
  return fc
    .record({
      dst: field(row.dst, register),
      src: field(row.src, register),
      offset: field(row.offset, int16),
      imm: field(row.imm, int32),
      immHigh: field(row.immHigh ?? 0, int32),
    })
    .map((values) => instruction(row, values));
}

/** Any instruction of any of `rows`, each row as likely as the others. */
export const anyInstruction = (rows: readonly InstructionRow[] = INSTRUCTIONS): fc.Arbitrary<Instruction> =>
  fc.constantFrom(...rows).chain(instructionOf);

/** A sequence of any instructions; jumps may go anywhere. */
export const anyProgram = (maxLength = 40): fc.Arbitrary<Instruction[]> =>
  fc.array(anyInstruction(), { maxLength });
