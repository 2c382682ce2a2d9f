// What the verifier never came to: branches that always go one way become jumps, instructions that nobody reaches are
// taken out, and jumps to the next instruction with them (Linux: opt_hard_wire_dead_code_branches, opt_remove_dead_code,
// opt_remove_nops). For those without CAP_BPF everything stays in its place, and what is dead becomes a jump to itself
// (sanitize_dead_code).

import { JumpOp } from '../../../isa/opcodes.js';
import { Mark } from '../verifier.js';
import { type Code, type Insn, JA } from './code.js';
import type { RewriteFacts } from './facts.js';

const MAY_GOTO = 0xe5;
const NOP = { code: JA, dst: 0, src: 0, off: 0, imm: 0 } as const;

/** Spills and fills around calls that will be written out, or keep their registers anyway (remove_fastcall_spills_fills). */
export function removeFastcallSpills(code: Code, facts: RewriteFacts): void {
  if (facts.fastcallSpills.size === 0) return;
  for (const call of code) {
    const pairs = facts.fastcallSpills.get(call.origin) ?? 0;
    let [before, after] = [call.previous, call.next];
    for (let i = 0; i < pairs && before && after; i++) {
      // Where something else reads what was spilled, it stays.
      if (!((facts.marks[before.origin] ?? 0) & Mark.FASTCALL)) break;
      const [outerBefore, outerAfter]: (Insn | undefined)[] = [before.previous, after.next];
      for (const insn of [before, after]) {
        const next = insn.next;
        const [nop] = code.replace(insn, [{ ...NOP }]);
        if (nop && next) nop.target = next;
      }
      [before, after] = [outerBefore, outerAfter];
    }
  }
}

export function removeDeadCode(code: Code, facts: RewriteFacts): void {
  if (!facts.privileged) {
    disarmDeadCode(code);
    return;
  }
  for (const insn of code) {
    if (!insn.isBranch || insn.op === JumpOp.JA || !insn.target) continue;
    const { next } = insn;
    const target = code.resolve(insn.target);
    const dead = !next?.seen ? target : !target?.seen ? next : undefined;
    if (dead) code.replace(insn, [{ ...NOP, target: dead }]);
  }
  for (let insn = code.first; insn; ) {
    if (insn.seen) {
      insn = insn.next;
      continue;
    }
    let last = insn;
    while (last.next && !last.next.seen) last = last.next;
    const { next }: Insn = last;
    code.remove(insn, last);
    insn = next;
  }
  removeNops(code);
}

function removeNops(code: Code): void {
  const leadsToNext = (insn: Insn): boolean =>
    insn.target !== undefined && insn.next !== undefined && code.resolve(insn.target) === insn.next;
  for (let insn = code.first; insn; ) {
    const { next, previous }: Insn = insn;
    const mayGoto = insn.code === MAY_GOTO;
    if ((insn.code !== JA && !mayGoto) || !leadsToNext(insn)) {
      insn = next;
      continue;
    }
    code.remove(insn, insn);
    // What stands before may now lead to the next one; Linux looks again only for may_goto.
    insn = mayGoto ? (previous ?? next) : next;
  }
}

function disarmDeadCode(code: Code): void {
  for (const insn of code) {
    if (insn.seen) continue;
    const itself = insn.slots === 2 ? [NOP, NOP] : [NOP];
    for (const trap of code.replace(insn, itself)) trap.target = trap;
  }
}
