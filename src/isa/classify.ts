// Questions about one instruction that need no row: what the bits of its opcode say.
// For everything else ask `rowOf(insn).semantics`.

import type { Instruction } from './instruction.js';
import { CallSource, InsnClass, JumpOp, Mode, PseudoSource, Size, Source } from './opcodes.js';

/** `ld_imm64`, the one wide instruction. */
export const LD_IMM64 = InsnClass.LD | Mode.IMM | Size.DW;
export const EXIT = InsnClass.JMP | JumpOp.EXIT;
export const CALL = InsnClass.JMP | JumpOp.CALL;
export const CALLX = InsnClass.JMP | JumpOp.CALL | Source.X;
export const JA = InsnClass.JMP | JumpOp.JA;
export const GOTOL = InsnClass.JMP32 | JumpOp.JA;
export const GOTOX = InsnClass.JMP | JumpOp.JA | Source.X;
export const MAY_GOTO = InsnClass.JMP | JumpOp.JCOND;

/** The slots that an instruction takes: two for `ld_imm64`, otherwise one. */
export function slotsOf(insn: Instruction): 1 | 2 {
  return insn.opcode === LD_IMM64 ? 2 : 1;
}

/** The slots that a program takes. */
export const slotCount = (insns: readonly Instruction[]): number =>
  insns.reduce((sum, insn) => sum + slotsOf(insn), 0);

/** The first slot of every instruction, and after the last one the number of slots of the program. */
export function slotOffsets(insns: readonly Instruction[]): Int32Array {
  const offsets = new Int32Array(insns.length + 1);
  let slot = 0;
  for (const [index, insn] of insns.entries()) {
    offsets[index] = slot;
    slot += slotsOf(insn);
  }
  offsets[insns.length] = slot;
  return offsets;
}

/** The class of an opcode, one of `InsnClass`. */
export const classOf = (opcode: number): number => opcode & 0x07;

/** The operation of an arithmetic or jump opcode, one of `AluOp` or `JumpOp`. */
export const operationOf = (opcode: number): number => opcode & 0xf0;

/** Whether the second operand of an arithmetic or jump opcode is the source register. */
export const usesSourceRegister = (opcode: number): boolean => (opcode & Source.X) !== 0;

/** The mode of a load or store opcode, one of `Mode`. */
export const modeOf = (opcode: number): number => opcode & 0xe0;

/** The bytes that a load, store or atomic opcode accesses, or 0 for any other opcode and for `ld_imm64`. */
export function accessSizeOf(opcode: number): 0 | 1 | 2 | 4 | 8 {
  if (classOf(opcode) > InsnClass.STX || opcode === LD_IMM64) return 0;
  switch (opcode & 0x18) {
    case Size.B:
      return 1;
    case Size.H:
      return 2;
    case Size.W:
      return 4;
    default:
      return 8;
  }
}

export const isExit = (insn: Instruction): boolean => insn.opcode === EXIT;
export const isCall = (insn: Instruction): boolean => insn.opcode === CALL || insn.opcode === CALLX;
export const isHelperCall = (insn: Instruction): boolean =>
  insn.opcode === CALL && insn.src === CallSource.HELPER;
export const isLocalCall = (insn: Instruction): boolean =>
  insn.opcode === CALL && insn.src === CallSource.LOCAL;
export const isKfuncCall = (insn: Instruction): boolean =>
  insn.opcode === CALL && insn.src === CallSource.KFUNC;
export const isLoadImm64 = (insn: Instruction): boolean => insn.opcode === LD_IMM64;

/** `ld_imm64` that names a map by file descriptor or index. */
export function isMapReference(insn: Instruction): boolean {
  return (
    insn.opcode === LD_IMM64 &&
    (insn.src === PseudoSource.MAP_FD ||
      insn.src === PseudoSource.MAP_VALUE ||
      insn.src === PseudoSource.MAP_IDX ||
      insn.src === PseudoSource.MAP_IDX_VALUE)
  );
}

/** `ld_imm64` that loads the address of a subprogram. */
export const isFunctionReference = (insn: Instruction): boolean =>
  insn.opcode === LD_IMM64 && insn.src === PseudoSource.FUNC;

/** Any instruction that may go elsewhere than to the next one, calls and exits not counted. */
export function isJump(insn: Instruction): boolean {
  const insnClass = classOf(insn.opcode);
  if (insnClass !== InsnClass.JMP && insnClass !== InsnClass.JMP32) return false;
  const operation = operationOf(insn.opcode);
  return operation !== JumpOp.CALL && operation !== JumpOp.EXIT;
}

/** A jump that may also fall through: conditions and `may_goto`. */
export const isConditional = (insn: Instruction): boolean =>
  isJump(insn) && operationOf(insn.opcode) !== JumpOp.JA;

/** Control never reaches the next instruction: `exit`, `goto`, `gotol`, `gotox`. */
export const endsBlock = (insn: Instruction): boolean =>
  isExit(insn) || (isJump(insn) && !isConditional(insn));

/**
 * The slot that a jump goes to when `insn` is at `slot`, or undefined when it is no jump or the
 * target is in a register. Not checked to lie within the program.
 */
export function jumpTarget(insn: Instruction, slot: number): number | undefined {
  if (!isJump(insn) || insn.opcode === GOTOX) return undefined;
  return slot + 1 + (insn.opcode === GOTOL ? insn.imm : insn.offset);
}

/** The slot of the subprogram that `insn` at `slot` calls or takes the address of, or undefined. */
export function functionTarget(insn: Instruction, slot: number): number | undefined {
  return isLocalCall(insn) || isFunctionReference(insn) ? slot + 1 + insn.imm : undefined;
}

/** The 64-bit number that a wide instruction holds. */
export function imm64Of(insn: Instruction): bigint {
  return (BigInt(insn.immHigh ?? 0) << 32n) | BigInt(insn.imm >>> 0);
}
