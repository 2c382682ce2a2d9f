// Instructions to bytes, the inverse of decode.ts: decode(encode(x)) = x.

import { SkepError } from '../base/error.js';
import { faultOf } from './check.js';
import { slotCount, slotsOf } from './classify.js';
import type { ByteOrder } from './decode.js';
import type { Instruction } from './instruction.js';
import { SLOT_BYTES } from './opcodes.js';

/**
 * Encodes a program. Throws a SkepError that names the instruction (by its slot) and the field
 * when a field is out of range or breaks the rules of its encoding.
 */
export function encode(insns: readonly Instruction[], options: ByteOrder = {}): Uint8Array {
  let slot = 0;
  for (const insn of insns) {
    const fault = rangeFault(insn) ?? faultOf(insn)?.message;
    if (fault !== undefined) throw new SkepError(fault, { where: `instruction ${slot}` });
    slot += slotsOf(insn);
  }
  return encodeUnchecked(insns, options);
}

/**
 * Encodes instructions that need not be valid, such as those that a kernel rewrote; fields are cut to their width.
 */
export function encodeUnchecked(insns: readonly Instruction[], options: ByteOrder = {}): Uint8Array {
  const littleEndian = options.littleEndian ?? true;
  const code = new Uint8Array(slotCount(insns) * SLOT_BYTES);
  const view = new DataView(code.buffer);
  let at = 0;
  for (const insn of insns) {
    writeFields(view, at, insn, littleEndian);
    at += slotsOf(insn) * SLOT_BYTES;
  }
  return code;
}

const RANGES = [
  { field: 'opcode', min: 0, max: 0xff },
  { field: 'dst', min: 0, max: 15 },
  { field: 'src', min: 0, max: 15 },
  { field: 'offset', min: -0x8000, max: 0x7fff },
  { field: 'imm', min: -0x8000_0000, max: 0x7fff_ffff },
  { field: 'immHigh', min: -0x8000_0000, max: 0x7fff_ffff },
] as const;

function rangeFault(insn: Instruction): string | undefined {
  for (const { field, min, max } of RANGES) {
    const value = insn[field];
    if (field === 'immHigh' && value === undefined) continue;
    if (value === undefined || !Number.isInteger(value) || value < min || value > max) {
      return `${field} is ${value}, but it must be a whole number from ${min} to ${max}`;
    }
  }
  if (insn.immHigh !== undefined && slotsOf(insn) === 1) {
    return 'immHigh is given, but only ld_imm64 has an upper immediate';
  }
  if (insn.immHigh === undefined && slotsOf(insn) === 2) {
    return 'immHigh is missing, but ld_imm64 has an upper immediate';
  }
  return undefined;
}

function writeFields(view: DataView, at: number, insn: Instruction, littleEndian: boolean): void {
  const [low, high] = littleEndian ? [insn.dst, insn.src] : [insn.src, insn.dst];
  view.setUint8(at, insn.opcode);
  view.setUint8(at + 1, (high << 4) | (low & 0x0f));
  view.setInt16(at + 2, insn.offset, littleEndian);
  view.setInt32(at + 4, insn.imm, littleEndian);
  if (slotsOf(insn) === 2) view.setInt32(at + SLOT_BYTES + 4, insn.immHigh ?? 0, littleEndian);
}
