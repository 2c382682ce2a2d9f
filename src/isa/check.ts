// The rules of an encoding: which fields of which instruction may hold what. The encoder and the strict decoder
// both ask here. A write to r10, a jump out of the program or a helper that does not exist are not errors of
// the encoding; the verifier finds those.

import type { Instruction } from './instruction.js';
import { REGISTERS } from './opcodes.js';
import type { FieldName, FieldRule, InstructionRow } from './row.js';
import { isKnownOpcode, rowOf, selectorOf } from './table.js';

const FIELDS: readonly FieldName[] = ['dst', 'src', 'offset', 'imm'];

const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

/** A field of an instruction that holds what it must not. */
export interface FieldFault {
  readonly field: 'opcode' | FieldName | 'immHigh';
  /** One clause, without the place: "offset is 7, but ...". */
  readonly message: string;
}

function listed(values: readonly number[]): string {
  const texts = values.toSorted((a, b) => a - b).map(String);
  const last = texts.pop();
  return texts.length === 0 ? `${last}` : `${texts.join(', ')} or ${last}`;
}

/** Why `value` breaks `rule`, or undefined. */
function broken(rule: FieldRule, value: number): string | undefined {
  if (typeof rule === 'number') {
    if (value === rule) return undefined;
    return rule === 0 ? 'reserved and must be 0' : `always ${rule}`;
  }
  if (rule === 'read' || rule === 'write' || rule === 'update') {
    return value < REGISTERS ? undefined : 'a register, and the registers are r0 to r10';
  }
  return undefined;
}

/** The first field of `insn` that breaks a rule of its encoding, or undefined. */
export function faultOf(insn: Instruction): FieldFault | undefined {
  const row = rowOf(insn);
  if (row === undefined) return unknownInstruction(insn);
  return faultOfRow(insn, row);
}

function unknownInstruction(insn: Instruction): FieldFault {
  const selector = selectorOf(insn.opcode);
  if (selector === undefined || !isKnownOpcode(insn.opcode)) {
    return { field: 'opcode', message: `opcode ${hex(insn.opcode)} is no instruction` };
  }
  const { field, values } = selector;
  return {
    field,
    message: `${field} is ${insn[field]}, but with opcode ${hex(insn.opcode)} it must be ${listed(values)}`,
  };
}

function faultOfRow(insn: Instruction, row: InstructionRow): FieldFault | undefined {
  for (const field of FIELDS) {
    const reason = broken(row[field], insn[field]);
    if (reason !== undefined) {
      return { field, message: `${field} is ${insn[field]}, but in ${row.name} it is ${reason}` };
    }
  }
  if (row.immHigh === 0 && (insn.immHigh ?? 0) !== 0) {
    return {
      field: 'immHigh',
      message: `the upper imm is ${insn.immHigh}, but in ${row.name} it is reserved and must be 0`,
    };
  }
  return undefined;
}
