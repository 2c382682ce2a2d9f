// Arithmetic that needs more than its instruction: divisions by zero and of the smallest number by -1, which must not
// stop the processor, and pointer arithmetic that must not go astray while the processor speculates.

import { AluOp, InsnClass, JumpOp, Source } from '../../../isa/opcodes.js';
import { AluState } from '../pointers.js';
import type { Insn, InsnFields } from './code.js';
import { AX, alu, alu32, alu32Imm, aluImm, goto, mov, mov32Imm } from './emit.js';
import type { RewriteFacts } from './facts.js';

const isDivision = ({ op }: Insn): boolean => op === AluOp.DIV || op === AluOp.MOD;

/** What a division becomes; undefined: it stays. x / 0 is 0, x % 0 is x. */
export function division(insn: Insn): InsnFields[] | undefined {
  const is64 = insn.class === InsnClass.ALU64;
  if ((!is64 && insn.class !== InsnClass.ALU) || !isDivision(insn)) return undefined;
  const { dst, src, off } = insn;
  const signed = off === 1;
  const divides = insn.op === AluOp.DIV;
  if ((insn.code & Source.X) === 0) {
    // Only signed division by -1 can overflow.
    if (!signed || insn.imm !== -1) return undefined;
    return [divides ? negation(is64, dst) : mov32Imm(dst, 0)];
  }
  const test = (op: 'JEQ' | 'JNE' | 'JGT', register: number, imm: number, skip: number): InsnFields => ({
    code: (is64 ? InsnClass.JMP : InsnClass.JMP32) | JumpOp[op],
    ...{ dst: register, src: 0, off: 0, imm, skip },
  });
  const width = is64 ? aluImm : alu32Imm;
  // The upper half is cleared, as every operation of 32 bits does.
  const clear = alu32('MOV', dst, dst);
  if (signed) {
    const plusOne = [mov(AX, src), width('ADD', AX, 1)];
    if (divides) {
      return [
        ...plusOne,
        test('JGT', AX, 1, 4),
        test('JEQ', AX, 0, 1),
        width('MOV', dst, 0),
        negation(is64, dst),
        goto(1),
        insn.copy(),
      ];
    }
    const head = [
      ...plusOne,
      test('JGT', AX, 1, 3),
      test('JEQ', AX, 1, is64 ? 3 : 4),
      mov32Imm(dst, 0),
      goto(1),
    ];
    return is64 ? [...head, insn.copy()] : [...head, insn.copy(), goto(1), clear];
  }
  if (divides) return [test('JNE', src, 0, 2), alu32('XOR', dst, dst), goto(1), insn.copy()];
  return is64 ? [test('JEQ', src, 0, 1), insn.copy()] : [test('JEQ', src, 0, 2), insn.copy(), goto(1), clear];
}

const negation = (is64: boolean, dst: number): InsnFields =>
  is64 ? aluImm('NEG', dst, 0) : alu32Imm('NEG', dst, 0);

/** Pointer arithmetic whose number is masked, so that it stays in range even where no branch has checked it. */
export function maskedPointer(insn: Insn, facts: RewriteFacts): InsnFields[] | undefined {
  const add = InsnClass.ALU64 | AluOp.ADD | Source.X;
  const sub = InsnClass.ALU64 | AluOp.SUB | Source.X;
  if (insn.code !== add && insn.code !== sub) return undefined;
  const mask = facts.aluMasks.get(insn.origin);
  if (!mask?.state || mask.state === AluState.NON_POINTER) return undefined;
  const negative = (mask.state & AluState.NEGATIVE) !== 0;
  const constant = (mask.state & AluState.IMMEDIATE) !== 0;
  const inSource = (mask.state & (AluState.SRC | AluState.DST)) === AluState.SRC;
  const number = inSource ? insn.src : insn.dst;
  const minus = aluImm('MUL', number, -1);
  const patch: InsnFields[] = [];
  if (constant) patch.push(mov32Imm(AX, mask.limit));
  else {
    if (negative) patch.push(minus);
    patch.push(
      mov32Imm(AX, mask.limit),
      alu('SUB', AX, number),
      alu('OR', AX, number),
      aluImm('NEG', AX, 0),
      aluImm('ARSH', AX, 63),
      alu('AND', AX, number),
    );
  }
  if (!inSource) patch.push(mov(insn.dst, insn.src));
  const other = insn.code === add ? sub : add;
  patch.push(insn.copy({ src: AX, code: negative ? other : insn.code }));
  if (inSource && negative && !constant) patch.push(minus);
  return patch;
}
