// Calls between functions of a program: static ones are followed, global ones are taken at their word (they are
// verified by themselves), callbacks are followed as if they were called from where they are handed over.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import { callTarget } from './functions.js';
import { checkGlobalArguments } from './global-functions.js';
import { callsBack } from './kfuncs.js';
import { pushAsyncPath, pushFrame, pushPath } from './paths.js';
import { markPrecise } from './precision.js';
import { printState } from './print.js';
import { findPreviousEntry, widenImprecise } from './prune.js';
import { invalidatePackets } from './references.js';
import { clearCallerSaved, markUnknown } from './registers.js';
import { refuseScalar, within } from './returns.js';
import { LIMITS, Rejection, type Subprog, type Verifier } from './verifier.js';

/** Fills the registers of a function that is entered. `caller` and `callee` are frames of the same or of two states. */
export type SetCallee = (caller: Address, callee: Address) => void;

/** Adds a frame to a state. */
export function enterFunction(
  v: Verifier,
  state: Address,
  subprog: number,
  callsite: number,
  set: SetCallee,
): void {
  const { d } = v;
  const depth = d.current(state);
  if (depth + 1 >= LIMITS.frames) {
    v.reject(Errno.E2BIG, `the call stack of ${depth + 2} frames is too deep`);
  }
  const callee = pushFrame(v, state, depth + 1, callsite, subprog);
  set(d.frame(state, depth), callee);
  d.set(state, L.State_current, depth + 1);
}

/** r1 to r5 of the caller. */
const passArguments =
  (v: Verifier): SetCallee =>
  (caller, callee) => {
    for (let i = 1; i <= 5; i++) v.d.copyReg(v.d.reg(callee, i), v.d.reg(caller, i));
  };

/** Arguments against the function's BTF; 0, or why they do not fit. */
export function checkCallArguments(v: Verifier, number: number): Errno | 0 {
  const subprog = v.subprogs[number] as Subprog;
  if (!subprog.funcId) return Errno.EINVAL;
  if (!subprog.global) return 0;
  try {
    checkGlobalArguments(v, subprog);
    return 0;
  } catch (error) {
    if (error instanceof Rejection) return error.errno;
    throw error;
  }
}

export function checkLocalCall(v: Verifier): void {
  const { d } = v;
  const number = v.subprogAt(callTarget(v, v.insn));
  const subprog = v.subprogs[number] as Subprog;
  if (subprog.global) {
    callGlobal(v, subprog, number);
    return;
  }
  enterFunction(v, v.state, number, v.insn, passArguments(v));
  const caller = v.frameNumber - 1;
  // What the caller may not rely on after the call.
  for (let i = 0; i <= 5; i++) d.clearReg(d.reg(v.frameAt(caller), i));
  v.insn = subprog.start - 1;
  v.stackLiveness.chainChanged();
  if (v.log.path) {
    v.log.write('caller:\n');
    printState(v, v.state, caller, true);
    v.log.write('callee:\n');
    printState(v, v.state, v.frameNumber, true);
  }
}

function callGlobal(v: Verifier, subprog: Subprog, number: number): void {
  const errno = checkCallArguments(v, number);
  const refuse = (why: string) =>
    v.reject(Errno.EINVAL, `global function calls are not allowed ${why},\nuse static function instead`);
  if (v.stateField(L.State_activeLocks)) refuse('while holding a lock');
  if (subprog.mightSleep && !v.mayUseSleeping()) {
    v.reject(
      Errno.EINVAL,
      `sleepable global function ${subprog.name}() called in ${v.nonSleepableContext()}`,
    );
  }
  if (errno) {
    v.reject(errno, `Caller passes invalid args into func#${number} ('${subprog.name}')`);
  }
  if (v.log.path) v.log.write(`Func#${number} ('${subprog.name}') is global and assumed valid.\n`);
  if (subprog.changesPacket) invalidatePackets(v);
  subprog.called = true;
  clearCallerSaved(v);
  markUnknown(v, v.reg(0));
}

/** A function of the program is handed to a helper or kfunc that calls it. */
export function pushCallback(v: Verifier, number: number, sleepable: boolean, set: SetCallee): void {
  const { d } = v;
  const subprog = v.subprogs[number] as Subprog;
  checkCallArguments(v, number);
  subprog.isCallback = true;
  if (callsBack(v, v.insn) === 'later') {
    subprog.isAsyncCallback = true;
    const entries = d.get(v.frame, L.Frame_asyncEntries);
    const state = pushAsyncPath(v, subprog.start, v.insn, number, sleepable);
    const callee = d.frame(state, 0);
    d.set(callee, L.Frame_asyncEntries, entries + 1);
    set(v.frame, callee);
    return;
  }
  const state = pushPath(v, subprog.start, v.insn, false, Errno.ENOMEM);
  enterFunction(v, state, number, v.insn, set);
  d.set(state, L.State_callbackUnroll, d.get(state, L.State_callbackUnroll) + 1);
  const caller = d.frame(state, d.current(state) - 1);
  d.set(caller, L.Frame_callbackDepth, d.get(caller, L.Frame_callbackDepth) + 1);
  d.set(v.frame, L.Frame_callbackDepth, 0);
}

/** A function other than the main one ends. */
export function leaveFunction(v: Verifier): void {
  const { d } = v;
  const callee = v.frame;
  const r0 = d.reg(callee, 0);
  if (d.type(r0) === L.STACK) v.reject(Errno.EINVAL, 'cannot return stack pointer to the caller');
  const depth = v.frameNumber;
  const callsite = d.get(callee, L.Frame_callsite);
  const callback = d.get(callee, L.Frame_inCallback) !== 0;
  if (callback) {
    if (d.type(r0) !== L.SCALAR) v.reject(Errno.EACCES, 'R0 not a scalar value');
    markPrecise(v, 0);
    const range = [d.get(callee, L.Frame_returnMin), d.get(callee, L.Frame_returnMax)] as const;
    if (!within(v, r0, range)) refuseScalar(v, r0, range, 'At callback return', 'R0');
  } else {
    d.copyReg(d.reg(v.frameAt(depth - 1), 0), r0);
  }
  // A callback may be called again.
  v.insn = callback ? callsite : callsite + 1;
  if (v.log.path) {
    v.log.write('returning from callee:\n');
    printState(v, v.state, depth, true);
    v.log.write(`to caller at ${v.insn}:\n`);
    printState(v, v.state, depth - 1, true);
  }
  d.wasm.frameFree(callee);
  d.i32[(v.state >> 2) + depth] = 0;
  d.set(v.state, L.State_current, depth - 1);
  const entry = callback ? findPreviousEntry(v, v.state, v.insn) : 0;
  if (entry) widenImprecise(v, entry, v.state);
}
