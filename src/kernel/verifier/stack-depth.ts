// The stack of a chain of calls together: 512 bytes, in 8 frames. Programs that are attached where they may interrupt
// each other have a stack of their own for each function that needs more than a little (Linux: check_max_stack_depth).

import { Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import { callTarget, isFunctionAddress, isKfuncCall, isLocalCall } from './functions.js';
import { isThrow } from './kfuncs.js';
import { LIMITS, type Subprog, type Verifier } from './verifier.js';

/** Smallest stack that a private one is made for. */
const PRIVATE_MIN = 64;
/** No tail call where earlier frames have taken so much. */
const TAIL_CALL_LIMIT = 256;

const privateTypes: readonly ProgType[] = [
  ProgType.Kprobe,
  ProgType.Tracepoint,
  ProgType.PerfEvent,
  ProgType.RawTracepoint,
];

/** What the JIT takes for a function. */
const rounded = (bytes: number): number => Math.ceil(bytes / 16) * 16;

export function checkStackDepth(v: Verifier): void {
  const private_ =
    !v.subprogs.some(({ hasTailCall }) => hasTailCall) && privateTypes.includes(v.program.type);
  for (let i = v.subprogs.length - 1; i >= 0; i--) {
    const subprog = v.subprogs[i] as Subprog;
    if (i === 0 || subprog.isAsyncCallback) walk(v, i, i === 0 && private_);
  }
}

interface Frame {
  readonly subprog: number;
  next: number;
}

function walk(v: Verifier, root: number, private_: boolean): void {
  const frames: Frame[] = [];
  let depth = 0;
  let tailCall = false;
  const enter = (number: number) => {
    const subprog = v.subprogs[number] as Subprog;
    if (!private_) subprog.privateStack = 'no';
    frames.push({ subprog: number, next: subprog.start });
    if (subprog.hasLdAbs && frames.some((frame) => (v.subprogs[frame.subprog] as Subprog).isCallback)) {
      v.reject(Errno.EINVAL, 'cannot use BPF_LD_[ABS|IND] within callback');
    }
    if (number && subprog.hasTailCall && depth >= TAIL_CALL_LIMIT) {
      v.reject(
        Errno.EACCES,
        `tail_calls are not allowed when call stack of previous frames is ${depth} bytes. Too large`,
      );
    }
    const bytes = rounded(subprog.stackDepth);
    if (private_ && subprog.privateStack === 'unknown' && bytes >= PRIVATE_MIN)
      subprog.privateStack = 'adaptive';
    if (subprog.privateStack === 'adaptive') {
      if (bytes > LIMITS.stack) {
        v.reject(Errno.EACCES, `stack size of subprog ${number} is ${bytes}. Too large`);
      }
      return;
    }
    depth += bytes;
    if (depth > LIMITS.stack) {
      v.reject(Errno.EACCES, `combined stack size of ${frames.length} calls is ${depth}. Too large`);
    }
  };
  enter(root);
  while (frames.length > 0) {
    const frame = frames[frames.length - 1] as Frame;
    const subprog = v.subprogs[frame.subprog] as Subprog;
    const callee = nextCall(v, frame, subprog, frames);
    if (callee !== undefined) {
      if ((v.subprogs[callee] as Subprog).hasTailCall) tailCall = true;
      if (frames.length >= LIMITS.frames) {
        v.reject(Errno.E2BIG, `the call stack of ${frames.length} frames is too deep !`);
      }
      enter(callee);
      continue;
    }
    if (tailCall) {
      for (const { subprog: number } of frames.slice(0, -1)) {
        const caller = v.subprogs[number] as Subprog;
        if (caller.isExceptionCallback) v.reject(Errno.EINVAL, 'cannot tail call within exception cb');
        caller.tailCallReachable = true;
      }
    }
    frames.pop();
    if (subprog.privateStack !== 'adaptive') depth -= rounded(subprog.stackDepth);
  }
}

/** The next function that a frame's function calls, or hands to a helper; `frame.next` goes behind the call. */
function nextCall(v: Verifier, frame: Frame, subprog: Subprog, frames: readonly Frame[]): number | undefined {
  for (let i = frame.next; i < subprog.end; i++) {
    if (isKfuncCall(v, i) && isThrow(v, i)) {
      if (frames.some((one) => (v.subprogs[one.subprog] as Subprog).isCallback)) {
        v.reject(
          Errno.EINVAL,
          `bpf_throw kfunc (insn ${i}) cannot be called from callback subprog ${frame.subprog}`,
        );
      }
    }
    const call = isLocalCall(v, i);
    if (!call && !isFunctionAddress(v, i)) continue;
    const callee = v.subprogAt(callTarget(v, i));
    const target = v.subprogs[callee] as Subprog;
    if (target.isAsyncCallback) {
      // It runs on a stack of its own.
      if (!call) continue;
      if (target.isExceptionCallback) {
        // Linux does not end this line.
        v.log.write(`insn ${i} cannot call exception cb directly`);
        v.reject(Errno.EINVAL);
      }
    }
    frame.next = i + 1;
    return callee;
  }
  frame.next = subprog.end;
  return undefined;
}
