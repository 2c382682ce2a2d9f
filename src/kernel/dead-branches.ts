// What the verifier has learnt about branches: one that always goes the same way becomes a jump, so that the engines neither
// test it nor keep what it never leads to. `const volatile` settings are known when a program is verified, so that most of
// what they switch off is gone (Linux: opt_hard_wire_dead_code_branches). Every instruction keeps its slot; where nobody comes
// there is an exit.

import { classOf, EXIT, JA, operationOf, slotOffsets, slotsOf } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { InsnClass, JumpOp } from '../isa/opcodes.js';
import type { RewriteFacts } from './verifier/rewrites/facts.js';
import { Mark } from './verifier/verifier.js';

const isConditional = ({ opcode }: Instruction): boolean => {
  const cls = classOf(opcode);
  if (cls !== InsnClass.JMP && cls !== InsnClass.JMP32) return false;
  const op = operationOf(opcode);
  return op !== JumpOp.JA && op !== JumpOp.CALL && op !== JumpOp.EXIT;
};

const jump: Instruction = { opcode: JA, dst: 0, src: 0, offset: 0, imm: 0 };
const exit: Instruction = { opcode: EXIT, dst: 0, src: 0, offset: 0, imm: 0 };

/** `facts` are of a verification of these instructions that has accepted them. */
export function withoutDeadBranches(insns: readonly Instruction[], facts: RewriteFacts): Instruction[] {
  const slots = slotOffsets(insns);
  const isDead = (slot: number): boolean => ((facts.marks[slot] ?? 0) & Mark.SEEN) === 0;
  return insns.flatMap((insn, index) => {
    const slot = slots[index] as number;
    if (isDead(slot)) return slotsOf(insn) === 2 ? [exit, exit] : exit;
    if (!isConditional(insn)) return insn;
    if (isDead(slot + 1)) return { ...jump, offset: insn.offset };
    if (isDead(slot + 1 + insn.offset)) return jump;
    return insn;
  });
}
