// The walk: instruction after instruction along a path, path after path (Linux: do_check).

import { Errno } from '../../bpf/errno.js';
import { CallSource, InsnClass, JumpOp, Mode } from '../../isa/opcodes.js';
import { checkLoad, checkStore, checkStoreImm } from './access.js';
import { checkAlu } from './alu.js';
import { checkAtomic } from './atomics.js';
import { checkBranch } from './branch.js';
import { checkHelperCall } from './calls.js';
import { layout as L } from './domain.js';
import { jumpTarget } from './functions.js';
import { pushStep } from './history.js';
import { checkKfuncCall, isThrow } from './kfuncs.js';
import { checkLoadImm64, checkPacketLoad } from './loads.js';
import { observer } from './observer.js';
import { endPath, popPath } from './paths.js';
import { printInsnState, printState } from './print.js';
import { isVisited } from './prune.js';
import { checkResources } from './references.js';
import { checkReturn } from './returns.js';
import { checkLocalCall, leaveFunction } from './subprogram-calls.js';
import { LIMITS, Mark, Rejection, type Verifier } from './verifier.js';

type Outcome = 'next' | 'jumped' | 'returned' | 'end';

/** Follows all paths from the current state on. */
export function explore(v: Verifier): void {
  let previous = -1;
  let showState = false;
  const watching = observer();
  for (;;) {
    v.step = 0;
    v.previousInsn = previous;
    if (v.insn >= v.length) v.reject(Errno.EFAULT, `invalid insn idx ${v.insn} insn_cnt ${v.length}`);
    if (++v.processed > LIMITS.instructions) {
      v.reject(Errno.E2BIG, `BPF program is too large. Processed ${v.processed} insn`);
    }
    v.setStateField(L.State_lastInsn, previous);
    v.setStateField(L.State_insn, v.insn);
    const marks = v.marks[v.insn] as number;
    let outcome: Outcome | undefined;
    if (marks & Mark.PRUNE && !watching?.exhaustive && isVisited(v)) {
      if (v.log.path) {
        const speculative = v.speculative ? ' (speculative execution)' : '';
        v.log.write(
          showState ? `\nfrom ${previous} to ${v.insn}${speculative}: safe\n` : `${v.insn}: safe\n`,
        );
      }
      outcome = 'end';
    } else {
      if (marks & Mark.JUMP) pushStep(v, 0);
      show(v, previous, showState);
      if (v.log.verbose) showState = false;
      if (!v.speculative) v.marks[v.insn] = (v.marks[v.insn] as number) | Mark.SEEN;
      watching?.instruction(v);
      previous = v.insn;
      if (v.speculative && (v.marks[v.insn] as number) & Mark.NOSPEC) outcome = 'end';
    }
    outcome ??= step(v);
    if (outcome === 'end') {
      v.scratchAll();
      endPath(v);
      v.stackLiveness.update();
      if (!popPath(v)) return;
      previous = v.previousInsn;
      showState = true;
    } else if (outcome === 'next') {
      v.insn++;
    } else if (outcome === 'returned') {
      showState = true;
    }
  }
}

function show(v: Verifier, previous: number, showState: boolean): void {
  if (!v.log.path) return;
  if (v.log.verbose && showState) {
    v.log.write(`\nfrom ${previous} to ${v.insn}${v.speculative ? ' (speculative execution)' : ''}:`);
    printState(v, v.state, v.frameNumber, true);
  }
  if (v.scratchedRegs || v.scratchedSlots) printInsnState(v);
  v.showLine(v.insn);
  v.log.instruction(`${v.insn}: ${v.textOf(v.insn)}`);
}

/** One instruction. On speculative paths what would be refused is not reached: the processor is stopped before it. */
function step(v: Verifier): Outcome {
  v.stackLiveness.begin(v.insn);
  const at = v.insn;
  let outcome: Outcome;
  try {
    outcome = checkInsn(v);
  } catch (error) {
    if (!(error instanceof Rejection) || !v.speculative || !recoverable(error.errno)) throw error;
    v.stackLiveness.commit();
    v.marks[at] = (v.marks[at] as number) | Mark.NOSPEC;
    v.aluMasks.delete(at);
    return 'end';
  }
  v.stackLiveness.commit();
  if (outcome !== 'end' && v.speculative && (v.marks[at] as number) & Mark.NOSPEC_RESULT) return 'end';
  return outcome;
}

const recoverable = (errno: Errno): boolean =>
  errno === Errno.EPERM || errno === Errno.EACCES || errno === Errno.EINVAL;

function checkInsn(v: Verifier): Outcome {
  const slot = v.insn;
  const code = v.code[slot] as number;
  const mode = code & 0xe0;
  switch (code & 7) {
    case InsnClass.ALU:
    case InsnClass.ALU64:
      checkAlu(v);
      return 'next';
    case InsnClass.LDX:
      checkLoad(v, mode === Mode.MEMSX);
      return 'next';
    case InsnClass.STX:
      if (mode === Mode.ATOMIC) {
        checkAtomic(v);
        return 'next';
      }
      if (mode !== Mode.MEM || v.imm[slot]) v.reject(Errno.EINVAL, 'BPF_STX uses reserved fields');
      checkStore(v);
      return 'next';
    case InsnClass.ST:
      checkStoreImm(v);
      return 'next';
    case InsnClass.LD:
      if (mode === Mode.ABS || mode === Mode.IND) {
        return checkPacketLoad(v) ? 'next' : 'jumped';
      }
      if (mode !== Mode.IMM) v.reject(Errno.EINVAL, 'invalid BPF_LD mode');
      checkLoadImm64(v);
      v.insn++;
      if (!v.speculative) v.marks[v.insn] = (v.marks[v.insn] as number) | Mark.SEEN;
      return 'next';
    default:
      return checkJump(v);
  }
}

function checkJump(v: Verifier): Outcome {
  const slot = v.insn;
  const code = v.code[slot] as number;
  const op = code & 0xf0;
  const jmp32 = (code & 7) === InsnClass.JMP32;
  const imm = v.imm[slot] as number;
  const src = v.src[slot] as number;
  v.jumps++;
  switch (op) {
    case JumpOp.CALL:
      return checkCall(v);
    case JumpOp.JA:
      if (code & 8 || src || v.dst[slot] || (jmp32 ? v.off[slot] : imm)) {
        v.reject(Errno.EINVAL, 'BPF_JA uses reserved fields');
      }
      v.insn = jumpTarget(v, slot);
      return 'jumped';
    case JumpOp.EXIT:
      if (code & 8 || imm || src || v.dst[slot] || jmp32) {
        v.reject(Errno.EINVAL, 'BPF_EXIT uses reserved fields');
      }
      return checkExit(v, false);
    default:
      checkBranch(v);
      return 'next';
  }
}

function checkCall(v: Verifier): Outcome {
  const slot = v.insn;
  const code = v.code[slot] as number;
  const src = v.src[slot] as number;
  if (
    code !== (InsnClass.JMP | JumpOp.CALL) ||
    (src !== CallSource.KFUNC && v.off[slot] !== 0) ||
    src > CallSource.KFUNC ||
    v.dst[slot] !== 0
  ) {
    v.reject(Errno.EINVAL, 'BPF_CALL uses reserved fields');
  }
  if (v.stateField(L.State_activeLocks) && !v.callAllowedUnderLock(slot)) {
    v.reject(Errno.EINVAL, 'function calls are not allowed while holding a lock');
  }
  let outcome: Outcome = 'next';
  if (src === CallSource.LOCAL) checkLocalCall(v);
  else if (src === CallSource.KFUNC) {
    checkKfuncCall(v);
    if (isThrow(v, slot)) return checkExit(v, true);
  } else if (!checkHelperCall(v)) outcome = 'jumped';
  v.scratchReg(0);
  return outcome;
}

/** `exit`, or an exception, which leaves all functions at once. */
function checkExit(v: Verifier, exception: boolean): Outcome {
  const nested = v.frameNumber > 0;
  checkResources(
    v,
    exception,
    exception || !nested,
    exception ? 'bpf_throw' : 'BPF_EXIT instruction in main prog',
  );
  if (exception) return 'end';
  if (nested) {
    v.stackLiveness.update();
    leaveFunction(v);
    v.stackLiveness.chainChanged();
    return 'returned';
  }
  checkReturn(v, 0);
  return 'end';
}
