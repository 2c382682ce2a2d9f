// The instructions that rewriting puts in, named as Linux's macros name them in its own tables of instructions.

import { AluOp, AtomicOp, InsnClass, JumpOp, Mode, Size, Source } from '../../../isa/opcodes.js';
import { CALL, type InsnFields, JA, LD_IMM64, type Skip } from './code.js';

const { K, X } = Source;
const { LDX, ST, STX, ALU, ALU64, JMP, JMP32 } = InsnClass;

/** A register that programs do not have. */
export const AX = 11;
export const FP = 10;

export type Bytes = 1 | 2 | 4 | 8;
const SIZES: Readonly<Record<Bytes, number>> = { 1: Size.B, 2: Size.H, 4: Size.W, 8: Size.DW };
export type Op = keyof typeof AluOp;
export type Condition = keyof typeof JumpOp;

const insn = (code: number, dst: number, src: number, off: number, imm: number): InsnFields => ({
  code,
  dst,
  src,
  off,
  imm,
});

export const load = (size: Bytes, dst: number, src: number, off: number): InsnFields =>
  insn(LDX | Mode.MEM | SIZES[size], dst, src, off, 0);
export const store = (size: Bytes, dst: number, src: number, off: number): InsnFields =>
  insn(STX | Mode.MEM | SIZES[size], dst, src, off, 0);
export const storeImm = (size: Bytes, dst: number, off: number, imm: number): InsnFields =>
  insn(ST | Mode.MEM | SIZES[size], dst, 0, off, imm);
/** The store of `si`, a register or a number, to another place in another size. */
export const storeAs = (si: InsnFields, size: Bytes, dst: number, off: number): InsnFields =>
  insn((si.code & 7) | Mode.MEM | SIZES[size], dst, si.src, off, si.imm);

export const alu = (op: Op, dst: number, src: number): InsnFields =>
  insn(ALU64 | AluOp[op] | X, dst, src, 0, 0);
export const aluImm = (op: Op, dst: number, imm: number): InsnFields =>
  insn(ALU64 | AluOp[op] | K, dst, 0, 0, imm);
export const alu32 = (op: Op, dst: number, src: number): InsnFields =>
  insn(ALU | AluOp[op] | X, dst, src, 0, 0);
export const alu32Imm = (op: Op, dst: number, imm: number): InsnFields =>
  insn(ALU | AluOp[op] | K, dst, 0, 0, imm);
export const mov = (dst: number, src: number): InsnFields => alu('MOV', dst, src);
export const movImm = (dst: number, imm: number): InsnFields => aluImm('MOV', dst, imm);
export const mov32Imm = (dst: number, imm: number): InsnFields => alu32Imm('MOV', dst, imm);
/** A per-CPU address becomes the one of this CPU. */
export const movPerCpu = (dst: number, src: number): InsnFields =>
  insn(ALU64 | AluOp.MOV | X, dst, src, -1, 0);
/** Sign extension from so many bits. */
export const movSigned = (dst: number, src: number, bits: number): InsnFields =>
  insn(ALU64 | AluOp.MOV | X, dst, src, bits, 0);

export const jump = (condition: Condition, dst: number, src: number, skip: Skip): InsnFields => ({
  ...insn(JMP | JumpOp[condition] | X, dst, src, 0, 0),
  skip,
});
export const jumpImm = (condition: Condition, dst: number, imm: number, skip: Skip): InsnFields => ({
  ...insn(JMP | JumpOp[condition] | K, dst, 0, 0, imm),
  skip,
});
export const jump32 = (condition: Condition, dst: number, src: number, skip: Skip): InsnFields => ({
  ...insn(JMP32 | JumpOp[condition] | X, dst, src, 0, 0),
  skip,
});
export const jump32Imm = (condition: Condition, dst: number, imm: number, skip: Skip): InsnFields => ({
  ...insn(JMP32 | JumpOp[condition] | K, dst, 0, 0, imm),
  skip,
});
export const goto = (skip: Skip): InsnFields => ({ ...insn(JA, 0, 0, 0, 0), skip });
export const exit = (): InsnFields => insn(JMP | JumpOp.EXIT, 0, 0, 0, 0);
export const call = (symbol: string): InsnFields => ({ ...insn(CALL, 0, 0, 0, 0), symbol });
/** The address of something in the kernel. */
export const address = (dst: number, symbol: string): InsnFields => ({
  ...insn(LD_IMM64, dst, 0, 0, 0),
  high: 0,
  symbol,
});
export const exchange = (dst: number, src: number): InsnFields =>
  insn(STX | Mode.ATOMIC | Size.DW, dst, src, 0, AtomicOp.XCHG);
/** Speculation stops here. */
export const nospec = (): InsnFields => insn(ST | 0xc0, 0, 0, 0, 0);
