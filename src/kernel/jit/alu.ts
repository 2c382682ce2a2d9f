// Arithmetic, moves, byte order and conditions (RFC 9669, section 4). A 32-bit operation works on the lower
// halves and leaves the upper half of its destination zero.

import type { AluName, ConditionName, Semantics } from '../../isa/table.js';
import { WORD_MAX } from './interval.js';
import type { Provenance } from './provenance.js';
import type { Translator } from './translator.js';
import { I32, I64, Op } from './wasm.js';

type Alu = Extract<Semantics, { kind: 'alu' }>;

const OPS_64: Partial<Record<AluName, Op>> = {
  add: Op.i64_add,
  sub: Op.i64_sub,
  mul: Op.i64_mul,
  or: Op.i64_or,
  and: Op.i64_and,
  xor: Op.i64_xor,
  lsh: Op.i64_shl,
  rsh: Op.i64_shr_u,
  arsh: Op.i64_shr_s,
};

const OPS_32: Partial<Record<AluName, Op>> = {
  add: Op.i32_add,
  sub: Op.i32_sub,
  mul: Op.i32_mul,
  or: Op.i32_or,
  and: Op.i32_and,
  xor: Op.i32_xor,
  lsh: Op.i32_shl,
  rsh: Op.i32_shr_u,
  arsh: Op.i32_shr_s,
};

const CONDITIONS: Record<ConditionName, readonly [i64: Op, i32: Op]> = {
  eq: [Op.i64_eq, Op.i32_eq],
  ne: [Op.i64_ne, Op.i32_ne],
  gt: [Op.i64_gt_u, Op.i32_gt_u],
  ge: [Op.i64_ge_u, Op.i32_ge_u],
  lt: [Op.i64_lt_u, Op.i32_lt_u],
  le: [Op.i64_le_u, Op.i32_le_u],
  sgt: [Op.i64_gt_s, Op.i32_gt_s],
  sge: [Op.i64_ge_s, Op.i32_ge_s],
  slt: [Op.i64_lt_s, Op.i32_lt_s],
  sle: [Op.i64_le_s, Op.i32_le_s],
  set: [Op.i64_ne, Op.i32_ne],
};

/** Pushes the second operand in the operation's width. */
function pushOperand(t: Translator, slot: number, bits: 32 | 64, operand: 'imm' | 'reg'): void {
  const { insn } = t.step(slot);
  if (operand === 'reg') {
    if (bits === 64) t.push(insn.src);
    else t.push32(insn.src);
  } else t.body.given(insn.imm, bits === 64);
}

/** The same comparisons with the next integer up, and down. */
const UP: Partial<Record<ConditionName, ConditionName>> = { gt: 'ge', le: 'lt', sgt: 'sge', sle: 'slt' };
const DOWN: Partial<Record<ConditionName, ConditionName>> = { ge: 'gt', lt: 'le', sge: 'sgt', slt: 'sle' };

/** The same comparison with a constant in other words; undefined where there are none. */
/** addr_space_cast from the kernel's address space to that of user space. */
const TO_USER_SPACE = 1 << 16;

export function reworded(
  condition: ConditionName,
  imm: number,
): { condition: ConditionName; imm: number } | undefined {
  const [up, down] = [UP[condition], DOWN[condition]];
  // Neither over the edges of 32 bits nor over those between what is and is not below zero.
  if (up && imm !== -1 && imm !== 0x7fffffff) return { condition: up, imm: imm + 1 };
  if (down && imm !== 0 && imm !== -0x80000000) return { condition: down, imm: imm - 1 };
  return undefined;
}

/**
 * Pushes the condition of the branch at `slot` (i32), on request in other words: V8 computes what is written twice in
 * the same words once, and then has to keep it in a register instead of in the processor's flags.
 */
export function pushCondition(t: Translator, slot: number, inOtherWords = false): void {
  const { insn, does } = t.step(slot);
  if (does.kind !== 'branch') throw new Error(`no condition at ${slot}`);
  const { bits, operand } = does;
  const other = inOtherWords && operand === 'imm' ? reworded(does.condition, insn.imm) : undefined;
  const { condition, imm } = other ?? { condition: does.condition, imm: insn.imm };
  const [wide, narrow] = CONDITIONS[condition];
  if (bits === 64) t.push(insn.dst);
  else t.push32(insn.dst);
  if (operand === 'reg') pushOperand(t, slot, bits, operand);
  else t.body.given(imm, bits === 64);
  if (condition === 'set') {
    if (bits === 64) t.body.op(Op.i64_and).i64(0);
    else t.body.op(Op.i32_and).i32(0);
  }
  t.body.op(bits === 64 ? wide : narrow);
}

/** Extends the lower half of register `r`, of which `p` is known. */
export function extend(t: Translator, r: number, signed: boolean, p: Provenance): void {
  if (signed) {
    t.push(r);
    t.body.op(Op.i64_extend32_s);
    t.pop(r);
  } else if (p?.kind !== 'number' || p.max > WORD_MAX) {
    t.push32(r);
    t.pop32(r);
  }
}

/** Writes an instruction that only computes. */
export function compute(t: Translator, slot: number): void {
  const { insn, does } = t.step(slot);
  const { body } = t;
  switch (does.kind) {
    case 'alu':
      alu(t, slot, does);
      break;
    case 'neg':
      if (does.bits === 64) {
        body.i64(0);
        t.push(insn.dst);
        body.op(Op.i64_sub);
        t.pop(insn.dst);
      } else {
        body.i32(0);
        t.push32(insn.dst);
        body.op(Op.i32_sub);
        t.pop32(insn.dst);
      }
      break;
    case 'movsx':
      if (does.bits === 64) {
        t.push(insn.src);
        body.op(
          does.from === 8 ? Op.i64_extend8_s : does.from === 16 ? Op.i64_extend16_s : Op.i64_extend32_s,
        );
        t.pop(insn.dst);
      } else {
        t.push32(insn.src);
        body.op(does.from === 8 ? Op.i32_extend8_s : Op.i32_extend16_s);
        t.pop32(insn.dst);
      }
      break;
    case 'byteOrder':
      byteOrder(t, insn.dst, does.to, does.bits);
      break;
    case 'addrSpaceCast':
      t.push32(insn.src);
      t.pop32(insn.dst);
      if (insn.imm === TO_USER_SPACE && t.code.arena) {
        // Null stays null.
        t.push(insn.dst);
        body
          .i64big(BigInt(t.code.arena.upper) << 32n)
          .op(Op.i64_or)
          .i64(0);
        t.push(insn.dst);
        body.i64(0).op(Op.i64_ne).op(Op.select);
        t.pop(insn.dst);
      }
      break;
    case 'loadImm64':
      body.givenBig((BigInt(insn.immHigh ?? 0) << 32n) | BigInt(insn.imm >>> 0));
      t.pop(insn.dst);
      break;
    default:
      throw new Error(`the instruction at ${slot} does more than compute`);
  }
}

function alu(t: Translator, slot: number, does: Alu): void {
  const { insn } = t.step(slot);
  const { body } = t;
  const { op, bits, operand } = does;
  if (op === 'mov') {
    // What is known to have no upper half needs no cutting off.
    const p = operand === 'reg' ? t.provenance(slot, insn.src) : undefined;
    if (bits === 64 || (p?.kind === 'number' && p.max <= 0xffffffff)) {
      pushOperand(t, slot, 64, operand);
      t.pop(insn.dst);
    } else {
      pushOperand(t, slot, 32, operand);
      t.pop32(insn.dst);
    }
    return;
  }
  const isDivision = op === 'div' || op === 'sdiv' || op === 'mod' || op === 'smod';
  if (isDivision) pushDivision(t, slot, does);
  else {
    const code = (bits === 64 ? OPS_64 : OPS_32)[op];
    if (code === undefined) throw new Error(`no operation ${op}`);
    if (bits === 64) t.push(insn.dst);
    else t.push32(insn.dst);
    pushOperand(t, slot, bits, operand);
    body.op(code);
  }
  if (bits === 64) t.pop(insn.dst);
  else t.pop32(insn.dst);
}

/**
 * Division by zero gives 0, the remainder is then the dividend; the most negative number divided by -1 is itself
 * (RFC 9669, section 4.1). WebAssembly traps on both, so the divisor is made harmless first.
 */
function pushDivision(t: Translator, slot: number, does: Alu): void {
  const { insn } = t.step(slot);
  const { body } = t;
  const { op, bits, operand } = does;
  const wide = bits === 64;
  const signed = op === 'sdiv' || op === 'smod';
  const remainder = op === 'mod' || op === 'smod';
  const divide = wide
    ? remainder
      ? signed
        ? Op.i64_rem_s
        : Op.i64_rem_u
      : signed
        ? Op.i64_div_s
        : Op.i64_div_u
    : remainder
      ? signed
        ? Op.i32_rem_s
        : Op.i32_rem_u
      : signed
        ? Op.i32_div_s
        : Op.i32_div_u;
  const pushDividend = () => (wide ? t.push(insn.dst) : t.push32(insn.dst));
  const constant = (value: number) => (wide ? body.i64(value) : body.i32(value));
  const negate = () => {
    constant(0);
    pushDividend();
    body.op(wide ? Op.i64_sub : Op.i32_sub);
  };
  if (operand === 'imm') {
    if (insn.imm === 0) {
      if (remainder) pushDividend();
      else constant(0);
    } else if (signed && insn.imm === -1) {
      if (remainder) constant(0);
      else negate();
    } else {
      pushDividend();
      body.given(insn.imm, wide).op(divide);
    }
    return;
  }
  const divisor = t.scratch(wide ? I64 : I32);
  const isZero = () => body.get(divisor).op(wide ? Op.i64_eqz : Op.i32_eqz);
  if (signed && !remainder) {
    // A divisor of -1 negates; otherwise divide by it, 0 replaced by 1.
    negate();
    pushDividend();
    pushOperand(t, slot, bits, operand);
    body.tee(divisor);
    constant(1);
    body.get(divisor);
    constant(1);
    body.op(wide ? Op.i64_add : Op.i32_add);
    constant(1);
    body.op(wide ? Op.i64_le_u : Op.i32_le_u).op(Op.i32_eqz);
    body.op(Op.select).op(divide);
    body.get(divisor);
    constant(-1);
    body.op(wide ? Op.i64_eq : Op.i32_eq).op(Op.select);
  } else {
    pushDividend();
    pushOperand(t, slot, bits, operand);
    body.set(divisor);
    isZero();
    if (wide) body.op(Op.i64_extend_i32_u);
    body
      .get(divisor)
      .op(wide ? Op.i64_or : Op.i32_or)
      .op(divide);
  }
  // Division by zero: the dividend for a remainder, 0 otherwise.
  const result = t.scratch(wide ? I64 : I32, 1);
  body.set(result);
  if (remainder) pushDividend();
  else constant(0);
  body.get(result);
  isZero();
  body.op(Op.select);
}

function byteOrder(t: Translator, r: number, to: 'le' | 'be' | 'swap', bits: 16 | 32 | 64): void {
  const { body } = t;
  if (to === 'le') {
    if (bits === 64) return;
    t.push32(r);
    if (bits === 16) body.i32(0xffff).op(Op.i32_and);
    t.pop32(r);
  } else if (bits === 64) {
    t.push(r);
    swap64(t);
    t.pop(r);
  } else {
    t.push32(r);
    swap32(t, bits);
    t.pop32(r);
  }
}

/** Swaps the lowest `bits` of the i32 on the stack; the rest becomes zero. */
export function swap32(t: Translator, bits: 16 | 32): void {
  const { body } = t;
  const value = t.scratch(I32);
  body.tee(value);
  if (bits === 16) {
    body.i32(8).op(Op.i32_shl).i32(0xff00).op(Op.i32_and);
    body.get(value).i32(8).op(Op.i32_shr_u).i32(0xff).op(Op.i32_and).op(Op.i32_or);
  } else {
    body.i32(8).op(Op.i32_rotl).i32(0x00ff00ff).op(Op.i32_and);
    body.get(value).i32(24).op(Op.i32_rotl).i32(0xff00ff00).op(Op.i32_and).op(Op.i32_or);
  }
}

/** Swaps the bytes of the i64 on the stack. */
function swap64(t: Translator): void {
  const { body } = t;
  const value = t.scratch(I64);
  const half = (mask: bigint, distance: number) => {
    body.set(value);
    body.get(value).i64(distance).op(Op.i64_shr_u).i64big(mask).op(Op.i64_and);
    body.get(value).i64big(mask).op(Op.i64_and).i64(distance).op(Op.i64_shl).op(Op.i64_or);
  };
  half(0x00ff00ff00ff00ffn, 8);
  half(0x0000ffff0000ffffn, 16);
  body.i64(32).op(Op.i64_rotl);
}
