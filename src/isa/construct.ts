// Instructions as values, one small function for each family: `alu('add', 1, 5)`. They fill in what the table fixes
// (opcode, unused fields) and check nothing else; `encode` does.

import type { Instruction } from './instruction.js';
import { PseudoSource } from './opcodes.js';
import type { AccessSize, AluName, AtomicName, ConditionName, InstructionRow } from './row.js';
import { rowNamed } from './table.js';

/** A register as an operand, where a bare number is an immediate: `alu('add', 1, reg(2))`. */
export interface RegisterOperand {
  readonly register: number;
}

/** The register `number` as a second operand. */
export const reg = (number: number): RegisterOperand => ({ register: number });

/** The second operand of arithmetic, branches and stores: a register, or a number that becomes the immediate. */
export type OperandValue = number | RegisterOperand;

/** Field values; those that the row fixes are taken from the row whatever is given here. */
export interface FieldValues {
  readonly dst?: number;
  readonly src?: number;
  readonly offset?: number;
  readonly imm?: number;
  readonly immHigh?: number;
}

/** The instruction of a table row with these field values, 0 where none is given. */
export function instruction(row: InstructionRow, values: FieldValues = {}): Instruction {
  const fixed = (rule: unknown, value: number | undefined): number =>
    typeof rule === 'number' ? rule : (value ?? 0);
  const insn: Instruction = {
    opcode: row.opcode,
    dst: fixed(row.dst, values.dst),
    src: fixed(row.src, values.src),
    offset: fixed(row.offset, values.offset),
    imm: fixed(row.imm, values.imm),
  };
  return row.immHigh === undefined ? insn : { ...insn, immHigh: fixed(row.immHigh, values.immHigh) };
}

const make = (name: string, values?: FieldValues): Instruction => instruction(rowNamed(name), values);

const SIZE_NAMES = { 1: 'b', 2: 'h', 4: 'w', 8: 'dw' } as const;

function operandForm(name: string, operand: OperandValue, values: FieldValues): Instruction {
  return typeof operand === 'number'
    ? make(`${name}_imm`, { ...values, imm: operand | 0 })
    : make(`${name}_reg`, { ...values, src: operand.register });
}

/** Binary arithmetic: `dst = dst op operand`; `mov` assigns. */
export const alu = (op: AluName, dst: number, operand: OperandValue, bits: 32 | 64 = 64): Instruction =>
  operandForm(`${op}${bits}`, operand, { dst });

/** `dst = operand`. */
export const mov = (dst: number, operand: OperandValue, bits: 32 | 64 = 64): Instruction =>
  alu('mov', dst, operand, bits);

/** `dst = (s8)src` and the like. */
export const movsx = (dst: number, src: number, from: 8 | 16 | 32, bits: 32 | 64 = 64): Instruction =>
  make(`movsx${from}to${bits}`, { dst, src });

/** `dst = -dst`. */
export const neg = (dst: number, bits: 32 | 64 = 64): Instruction => make(`neg${bits}`, { dst });

/** `dst = be16 dst`, `le32`, `bswap64`. */
export const byteOrder = (to: 'le' | 'be' | 'bswap', dst: number, bits: 16 | 32 | 64): Instruction =>
  make(`${to}${bits}`, { dst });

/** `dst = addr_space_cast(src, to, from)`. */
export const addrSpaceCast = (dst: number, src: number, to: number, from: number): Instruction =>
  make('addr_space_cast', { dst, src, imm: (to << 16) | (from & 0xffff) });

/** `dst = *(uN *)(base + offset)`, `size` in bytes; sign-extended when `signed` (1, 2 and 4 bytes). */
export const load = (size: AccessSize, dst: number, base: number, offset = 0, signed = false): Instruction =>
  make(`ldx${signed ? 's' : ''}_${SIZE_NAMES[size]}`, { dst, src: base, offset });

/** `*(uN *)(base + offset) = operand`, `size` in bytes. */
export const store = (size: AccessSize, base: number, offset: number, operand: OperandValue): Instruction =>
  typeof operand === 'number'
    ? make(`st_${SIZE_NAMES[size]}`, { dst: base, offset, imm: operand | 0 })
    : make(`stx_${SIZE_NAMES[size]}`, { dst: base, offset, src: operand.register });

/** `r0 = *(uN *)skb[imm]`, or with `index` `skb[index + imm]`; legacy packet access. */
export const packetLoad = (size: 1 | 2 | 4, imm: number, index?: RegisterOperand): Instruction =>
  index === undefined
    ? make(`ld_abs_${SIZE_NAMES[size]}`, { imm })
    : make(`ld_ind_${SIZE_NAMES[size]}`, { src: index.register, imm });

/** An atomic operation on `*(base + offset)`; with `fetch` (always, for xchg and cmpxchg) it gives the old value. */
export function atomic(
  op: AtomicName,
  size: 4 | 8,
  base: number,
  offset: number,
  src: number,
  fetch = false,
): Instruction {
  const exchange = op === 'xchg' || op === 'cmpxchg';
  return make(`atomic_${fetch && !exchange ? 'fetch_' : ''}${op}_${SIZE_NAMES[size]}`, {
    dst: base,
    src,
    offset,
  });
}

/** `dst = load_acquire((uN *)(base + offset))`. */
export const loadAcquire = (size: AccessSize, dst: number, base: number, offset = 0): Instruction =>
  make(`load_acquire_${SIZE_NAMES[size]}`, { dst, src: base, offset });

/** `store_release((uN *)(base + offset), src)`. */
export const storeRelease = (size: AccessSize, base: number, offset: number, src: number): Instruction =>
  make(`store_release_${SIZE_NAMES[size]}`, { dst: base, src, offset });

/** `dst = value ll`; `value` is taken modulo 2^64. */
export const loadImm64 = (dst: number, value: bigint): Instruction =>
  make('ld_imm64', { dst, ...halves(value) });

/** `dst` = what `pseudo` (one of `PseudoSource`) makes of the two immediates. */
export function loadPseudo(dst: number, pseudo: number, imm: number, immHigh = 0): Instruction {
  const name = Object.entries(PseudoSource).find(([, number]) => number === pseudo)?.[0];
  if (name === undefined) throw new RangeError(`no ld_imm64 has the pseudo source ${pseudo}`);
  return make(pseudo === 0 ? 'ld_imm64' : `ld_imm64_${name.toLowerCase()}`, { dst, imm, immHigh });
}

/** The two immediates of a 64-bit number. */
export const halves = (value: bigint): { imm: number; immHigh: number } => ({
  imm: Number(BigInt.asIntN(32, value)),
  immHigh: Number(BigInt.asIntN(32, value >> 32n)),
});

/** `if dst condition operand goto +distance`, in slots from the next instruction. */
export const branch = (
  condition: ConditionName,
  dst: number,
  operand: OperandValue,
  distance: number,
  bits: 32 | 64 = 64,
): Instruction => operandForm(`j${condition}${bits}`, operand, { dst, offset: distance });

/** `goto +distance`. */
export const jump = (distance: number): Instruction => make('ja', { offset: distance });

/** `gotol +distance`, with 32 bits for the distance. */
export const jumpLong = (distance: number): Instruction => make('gotol', { imm: distance });

/** `gotox dst`. */
export const jumpIndirect = (dst: number): Instruction => make('gotox', { dst });

/** `may_goto +distance`. */
export const mayGoto = (distance: number): Instruction => make('may_goto', { offset: distance });

/** `call helper`. */
export const callHelper = (id: number): Instruction => make('call_helper', { imm: id });

/** A call of the subprogram `distance` slots after the next instruction. */
export const callLocal = (distance: number): Instruction => make('call_local', { imm: distance });

/** A call of the kernel function with BTF id `id`, in the module at index `module` of `fd_array` (0: vmlinux). */
export const callKfunc = (id: number, module = 0): Instruction =>
  make('call_kfunc', { imm: id, offset: module });

/** `callx dst`. */
export const callRegister = (dst: number): Instruction => make('callx', { dst });

/** `exit`. */
export const exit = (): Instruction => make('exit');
