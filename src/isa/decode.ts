// Bytes to instructions. The bit layout of a slot is drawn in instruction.ts; in a wide instruction the second slot
// is zero but for its imm:
//
//         +------+---------+--------+------------+
//         | 0x18 | dst,src | offset | imm (low)  |
//         +------+---------+--------+------------+
//         | 0    | 0       | 0      | imm (high) |
//         +------+---------+--------+------------+

import { SkepError } from '../base/error.js';
import { faultOf } from './check.js';
import { LD_IMM64 } from './classify.js';
import type { Instruction } from './instruction.js';
import { SLOT_BYTES } from './opcodes.js';

/** The byte order of encoded instructions; little-endian unless told otherwise. */
export interface ByteOrder {
  readonly littleEndian?: boolean;
}

/** What `decodeOne` found at a slot. */
export interface DecodedSlot {
  /** The fields as they stand in the bytes. A wide instruction without its second slot has no `immHigh`. */
  readonly insn: Instruction;
  /** Slots taken: 2 for a complete wide instruction, otherwise 1. */
  readonly slots: 1 | 2;
  /** Why this is no valid instruction, or undefined when it is one. */
  readonly fault: string | undefined;
}

/**
 * Decodes a whole program, strictly: an encoding that RFC 9669 and Linux 6.18 do not define throws a SkepError
 * that names the instruction by its slot, and the field.
 */
export function decode(code: Uint8Array, options: ByteOrder = {}): Instruction[] {
  if (code.length % SLOT_BYTES !== 0) {
    throw new SkepError(
      `the code has ${code.length} bytes, which is no multiple of ${SLOT_BYTES}, the size of an instruction`,
    );
  }
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const insns: Instruction[] = [];
  for (let slot = 0; slot < code.length / SLOT_BYTES; ) {
    const { insn, slots, fault } = decodeSlot(view, slot, options.littleEndian ?? true);
    if (fault !== undefined) throw new SkepError(fault, { where: `instruction ${slot}` });
    insns.push(insn);
    slot += slots;
  }
  return insns;
}

/**
 * Decodes what stands at `slot`, leniently: whatever the eight bytes are, their fields are given and `fault` says
 * what is wrong with them. Throws a SkepError only when there are no eight bytes.
 */
export function decodeOne(code: Uint8Array, slot: number, options: ByteOrder = {}): DecodedSlot {
  if (!(slot >= 0 && (slot + 1) * SLOT_BYTES <= code.length)) {
    throw new SkepError(`there is no instruction ${slot}: the code has ${code.length} bytes`);
  }
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  return decodeSlot(view, slot, options.littleEndian ?? true);
}

function decodeSlot(view: DataView, slot: number, littleEndian: boolean): DecodedSlot {
  const at = slot * SLOT_BYTES;
  const fields = readSlot(view, at, littleEndian);
  if (fields.opcode !== LD_IMM64) return { insn: fields, slots: 1, fault: faultOf(fields)?.message };
  if (at + 2 * SLOT_BYTES > view.byteLength) {
    return { insn: fields, slots: 1, fault: 'ld_imm64 takes two slots, but the code ends after the first' };
  }
  const second = readSlot(view, at + SLOT_BYTES, littleEndian);
  for (const field of ['opcode', 'dst', 'src', 'offset'] as const) {
    if (second[field] === 0) continue;
    const fault = `${field} of the second slot of ld_imm64 is ${second[field]}, but it must be 0`;
    return { insn: fields, slots: 1, fault };
  }
  const insn: Instruction = { ...fields, immHigh: second.imm };
  return { insn, slots: 2, fault: faultOf(insn)?.message };
}

function readSlot(view: DataView, at: number, littleEndian: boolean): Instruction {
  const registers = view.getUint8(at + 1);
  const low = registers & 0x0f;
  const high = registers >> 4;
  return {
    opcode: view.getUint8(at),
    dst: littleEndian ? low : high,
    src: littleEndian ? high : low,
    offset: view.getInt16(at + 2, littleEndian),
    imm: view.getInt32(at + 4, littleEndian),
  };
}
