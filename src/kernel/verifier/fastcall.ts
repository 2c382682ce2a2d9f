// Calls that keep registers: clang spills r1 to r5 around a call in case it does not know better, and Linux takes these
// spills and fills out when the call is inlined. The stack that only they use is then not needed (Linux:
// mark_fastcall_patterns, remove_fastcall_spills_fills).

import { helperNames } from '../../bpf/helpers.js';
import { InsnClass, Mode, Size } from '../../isa/opcodes.js';
import { isHelperCall, isKfuncCall, isMayGoto } from './functions.js';
import { kfuncAt } from './kfuncs.js';
import { mayCall } from './tables/helper-availability.js';
import { signatureFor } from './tables/helper-signatures.js';
import { Mark, type Subprog, type Verifier } from './verifier.js';

const STORE = InsnClass.STX | Mode.MEM | Size.DW;
const LOAD = InsnClass.LDX | Mode.MEM | Size.DW;
const FP = 10;
const CALLER_SAVED = 6;
/** Helpers that the JIT of x86-64 writes out itself. */
const inlined: ReadonlySet<string> = new Set([
  'get_smp_processor_id',
  'get_current_task',
  'get_current_task_btf',
]);
/** Two slots of stack for the time and the rounds of may_goto. */
const MAY_GOTO_BYTES = 16;

interface Clobbered {
  /** Registers (bits) that the call may change. */
  readonly mask: number;
  readonly inlined: boolean;
}

function clobberedBy(v: Verifier, slot: number): Clobbered | undefined {
  const { type, expectedAttachType } = v.program;
  if (isHelperCall(v, slot)) {
    const id = v.imm[slot] as number;
    const signature = signatureFor(id, type, expectedAttachType);
    if (!signature || !mayCall(type, id, v.helperContext)) return undefined;
    const result = signature.returns.kind === 'void' ? 0 : 1;
    const args = ((1 << signature.args.length) - 1) << 1;
    const fast = signature.fastcall === true && inlined.has(helperNames[id] ?? '');
    return { mask: result | args, inlined: fast };
  }
  if (isKfuncCall(v, slot)) {
    const kfunc = kfuncAt(v, slot);
    if (!kfunc) return undefined;
    return { mask: 1 | (((1 << kfunc.parameters.length) - 1) << 1), inlined: kfunc.flags.fastcall === true };
  }
  return undefined;
}

/** Finds spills and fills that stand around calls, from the innermost pair outwards, at descending offsets. */
export function markFastcalls(v: Verifier): void {
  for (const subprog of v.subprogs) {
    let lowest = 0;
    for (let i = subprog.start; i < subprog.end; i++) {
      if (v.code[i] === STORE && v.dst[i] === FP) lowest = Math.min(lowest, v.off[i] as number);
    }
    subprog.fastcallStackOff = 0;
    for (let i = subprog.start; i < subprog.end; i++) markCall(v, subprog, i, lowest);
  }
}

function markCall(v: Verifier, subprog: Subprog, slot: number, lowest: number): void {
  const clobbered = clobberedBy(v, slot);
  if (!clobbered || clobbered.mask === (1 << CALLER_SAVED) - 1) return;
  let expected = ~clobbered.mask & ((1 << CALLER_SAVED) - 1);
  let off = lowest;
  let pairs = 0;
  for (let i = 1; i <= CALLER_SAVED; i++, off += 8) {
    const before = slot - i;
    const after = slot + i;
    if (before < 0 || after >= v.length) break;
    if ((v.marks[before + 1] as number) & Mark.TARGET || (v.marks[after] as number) & Mark.TARGET) break;
    const saved = v.src[before] as number;
    if (v.code[before] !== STORE || v.code[after] !== LOAD || v.dst[before] !== FP || v.src[after] !== FP)
      break;
    if (saved !== v.dst[after] || !(expected & (1 << saved))) break;
    if (v.off[before] !== off || v.off[after] !== off) break;
    expected &= ~(1 << saved);
    v.marks[before] = (v.marks[before] as number) | Mark.FASTCALL;
    v.marks[after] = (v.marks[after] as number) | Mark.FASTCALL;
    pairs++;
  }
  if (pairs === 0) return;
  if (clobbered.inlined) v.fastcallSpills.set(slot, pairs);
  else subprog.keepFastcallStack = true;
  subprog.fastcallStackOff = Math.min(subprog.fastcallStackOff, off);
}

/** The stack as it is when the program has been rewritten: without these spills, with what may_goto counts in. */
export function settleStack(v: Verifier): void {
  for (const subprog of v.subprogs) {
    let removed = false;
    let mayGoto = false;
    for (let i = subprog.start; i < subprog.end; i++) {
      if (v.fastcallSpills.has(i) && (v.marks[i + 1] as number) & Mark.FASTCALL) removed = true;
      if (isMayGoto(v, i) && (v.marks[i] as number) & Mark.SEEN) mayGoto = true;
    }
    if (removed && !subprog.keepFastcallStack) subprog.stackDepth = -subprog.fastcallStackOff;
    if (mayGoto) subprog.stackDepth += MAY_GOTO_BYTES;
  }
}
