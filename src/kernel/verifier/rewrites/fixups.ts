// The last rewriting of single instructions (Linux: do_misc_fixups).

import { ProgType } from '../../../bpf/types.js';
import { AluOp, InsnClass, Mode, Source } from '../../../isa/opcodes.js';
import { division, maskedPointer } from './arithmetic.js';
import { CALL, type Code, type Func, Insn, type InsnFields } from './code.js';
import { alu, alu32Imm, call, exit, jumpImm, load, mov } from './emit.js';
import type { RewriteFacts } from './facts.js';
import { helperCall, packetLoad } from './helpers.js';
import { kfuncCall } from './kfuncs.js';
import type { KernelLayout } from './layout.js';
import { isMayGoto, mayGoto, startCounting } from './may-goto.js';
import { helperSymbol } from './symbols.js';

const HELPER = 0;
const KFUNC = 2;
const TC_ACT_SHOT = 2;
const SK_DROP = 0;
/** BPF_F_NO_USER_CONV: addresses of the arena are not converted for user space. */
const NO_USER_CONVERSION = 1 << 18;
const ARENA_MAP = 33;

/** Where packets may be shared: what a verdict is when there is no copy to be had. */
const unshared: ReadonlyMap<ProgType, number> = new Map([
  [ProgType.SchedCls, TC_ACT_SHOT],
  [ProgType.SchedAct, TC_ACT_SHOT],
  [ProgType.LwtXmit, TC_ACT_SHOT],
  [ProgType.SkSkb, SK_DROP],
]);

/** Programs that write to packets make sure at their beginning that it is theirs alone (Linux: bpf_unclone_prologue). */
export function addPrologue(code: Code, facts: RewriteFacts, layout: KernelLayout): void {
  const verdict = unshared.get(facts.program.type);
  const { first } = code;
  if (verdict === undefined || !facts.writesPacket || !first) return;
  const [context, flags] = [1, 6];
  const added = code.replace(first, [
    load(1, flags, context, layout.offset('sk_buff.__cloned_offset')),
    alu32Imm('AND', flags, 1),
    jumpImm('JEQ', flags, 0, 7),
    mov(flags, context),
    alu('XOR', 2, 2),
    call(helperSymbol('skb_pull_data', facts.program)),
    jumpImm('JEQ', 0, 0, 2),
    alu32Imm('MOV', 0, verdict),
    exit(),
    mov(context, flags),
    first.copy(),
  ]);
  const last = added[added.length - 1];
  if (last) last.target = first.target;
}

/** Programs that throw without a callback of their own get one: it returns what was thrown. */
export function addExceptionCallback(code: Code, facts: RewriteFacts): void {
  if (!facts.throws || facts.subprogs.some(({ isExceptionCallback }) => isExceptionCallback)) return;
  const start = new Insn(mov(0, 1));
  code.append(start);
  code.append(new Insn(exit()));
  code.funcs.push({ start, number: -1, stackDepth: 0 });
}

export function fixInstructions(code: Code, facts: RewriteFacts, layout: KernelLayout): void {
  let number = 0;
  const counting = new Set<Func>();
  for (const insn of code) {
    if (code.funcs[number + 1]?.start === insn) number++;
    const func = code.funcs[number];
    if (func && isMayGoto(insn)) {
      counting.add(func);
      code.replace(insn, mayGoto(insn, Math.ceil(func.stackDepth / 8) * 8));
      continue;
    }
    const patch = fixed(insn, facts, layout);
    if (patch) code.replace(insn, patch);
  }
  for (const func of counting) startCounting(code, func.start, Math.ceil(func.stackDepth / 8) * 8);
}

function fixed(insn: Insn, facts: RewriteFacts, layout: KernelLayout): InsnFields[] | undefined {
  const { class: kind } = insn;
  if (kind === InsnClass.LD && ((insn.code & 0xe0) === Mode.ABS || (insn.code & 0xe0) === Mode.IND)) {
    return packetLoad(insn);
  }
  if (insn.code === CALL) {
    // What rewriting put in has its name already.
    if (insn.symbol !== undefined) return undefined;
    if (insn.src === HELPER) return helperCall(insn, facts, layout);
    return insn.src === KFUNC ? kfuncCall(insn, facts) : undefined;
  }
  if (kind !== InsnClass.ALU && kind !== InsnClass.ALU64) return undefined;
  return (
    arenaCast(insn, facts) ?? arenaArithmetic(insn, facts) ?? division(insn) ?? maskedPointer(insn, facts)
  );
}

/** A cast to an address of the kernel clears the upper half; the other way is the JIT's. */
function arenaCast(insn: Insn, facts: RewriteFacts): InsnFields[] | undefined {
  if (insn.code !== (InsnClass.ALU64 | AluOp.MOV | Source.X) || insn.off !== 1) return undefined;
  const arena = [...facts.usedMaps].find(({ type }) => type === ARENA_MAP);
  const toKernel = insn.imm === 1;
  if (!toKernel && !((arena?.flags ?? 0) & NO_USER_CONVERSION)) return undefined;
  return [insn.copy({ code: InsnClass.ALU | AluOp.MOV | Source.X, off: 0, imm: 0 })];
}

function arenaArithmetic(insn: Insn, facts: RewriteFacts): InsnFields[] | undefined {
  if (!facts.arenaAlu.has(insn.origin) || insn.class !== InsnClass.ALU64) return undefined;
  return [insn.copy({ code: (insn.code & ~7) | InsnClass.ALU })];
}
