// bpf_loop written out, where every path calls the same function with flags 0 (Linux: optimize_bpf_loop).
//
//           if r1 > 8M: r0 = -E2BIG, done        r6 is how often, r7 the round, r8 the function's context;
//           save r6, r7, r8 on the stack         they lie below what the function itself uses
//     head: if r7 >= r6 goto tail
//           r1 = r7, r2 = r8, call, r7++
//           if r0 == 0 goto head
//     tail: r0 = r7, restore

import type { Code, InsnFields } from './code.js';
import { CALL } from './code.js';
import { aluImm, FP, goto, jump, jumpImm, load, mov, mov32Imm, store } from './emit.js';
import type { RewriteFacts } from './facts.js';

const MAX_LOOPS = 8 * 1024 * 1024;
const E2BIG = 7;
const LOOP = 181;
const [MAX, ROUND, CONTEXT] = [6, 7, 8];

export function inlineLoops(code: Code, facts: RewriteFacts): void {
  if (facts.inlinedLoops.size === 0) return;
  // The saved registers lie below everything else; loops of one function share the place.
  const extra = new Map<number, number>();
  let func = 0;
  for (const insn of code) {
    if (code.funcs[func + 1]?.start === insn) func++;
    const loop = facts.inlinedLoops.get(insn.origin);
    const owner = code.funcs[func];
    if (!loop?.fits || !insn.isCall || insn.src !== 0 || insn.imm !== LOOP || !owner) continue;
    const callee = code.funcs.find(({ number }) => number === loop.subprog);
    if (!callee) continue;
    const depth = Math.ceil(owner.stackDepth / 8) * 8 + 24;
    extra.set(func, depth);
    code.replace(insn, written(-depth, { code: CALL, dst: 0, src: 1, off: 0, imm: 0, target: callee.start }));
  }
  for (const [number, depth] of extra) {
    const owner = code.funcs[number];
    if (owner) owner.stackDepth = depth;
  }
}

function written(at: number, callback: InsnFields): InsnFields[] {
  return [
    jumpImm('JLE', 1, MAX_LOOPS, 2),
    mov32Imm(0, -E2BIG),
    goto(16),
    store(8, FP, MAX, at),
    store(8, FP, ROUND, at + 8),
    store(8, FP, CONTEXT, at + 16),
    mov(MAX, 1),
    mov32Imm(ROUND, 0),
    mov(CONTEXT, 3),
    jump('JGE', ROUND, MAX, 5),
    mov(1, ROUND),
    mov(2, CONTEXT),
    callback,
    aluImm('ADD', ROUND, 1),
    jumpImm('JEQ', 0, 0, -6),
    mov(0, ROUND),
    load(8, MAX, FP, at),
    load(8, ROUND, FP, at + 8),
    load(8, CONTEXT, FP, at + 16),
  ];
}
