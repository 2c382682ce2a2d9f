// Paths: the one being followed, those that wait, and the checkpoints that they start from.

import { Errno } from '../../bpf/errno.js';
import { finishComponents, incomplete } from './components.js';
import { type Address, layout as L } from './domain.js';
import { LIMITS, type Verifier } from './verifier.js';

/** The frame that runs subprogram `subprog`, with r10 set and all else unknown to it. */
export function pushFrame(
  v: Verifier,
  state: Address,
  number: number,
  callsite: number,
  subprog: number,
): Address {
  const { d } = v;
  const frame = d.frameNew(callsite, number, subprog);
  d.i32[(state >> 2) + number] = frame;
  const fp = d.reg(frame, 10);
  d.known(fp, 0);
  d.setType(fp, L.STACK);
  d.setFrameno(fp, number);
  // What a callback may return, until somebody says otherwise.
  d.set(frame, L.Frame_returnMin, 0);
  d.set(frame, L.Frame_returnMax, 0);
  v.scratchAll();
  return frame;
}

/**
 * A path that begins like the current one and is followed later, from `insn` on; its state may be changed. Where too many wait,
 * it depends on who asks (`errno`) how Linux says so.
 */
export function pushPath(
  v: Verifier,
  insn: number,
  previous: number,
  speculative: boolean,
  errno: Errno = Errno.EFAULT,
): Address {
  const { d } = v;
  const state = d.stateNew();
  d.stateCopy(state, v.state, true);
  v.waiting.push({ state, insn, previous, logPosition: v.log.position });
  if (speculative) d.set(state, L.State_speculative, 1);
  if (v.waiting.length > LIMITS.jumps) {
    v.log.write(`The sequence of ${v.waiting.length} jumps is too complex.\n`);
    v.reject(errno);
  }
  const parent = d.get(state, L.State_parent);
  if (parent) d.set(parent, L.State_branches, d.get(parent, L.State_branches) + 1);
  return state;
}

/** An asynchronous callback: a path of its own, with nothing of the current one but its place in the tree. */
export function pushAsyncPath(
  v: Verifier,
  insn: number,
  previous: number,
  subprog: number,
  sleepable: boolean,
): Address {
  const { d } = v;
  const state = d.stateNew();
  v.waiting.push({ state, insn, previous, logPosition: v.log.position });
  if (v.waiting.length > LIMITS.jumps) {
    v.log.write(`The sequence of ${v.waiting.length} jumps is too complex for async cb.\n`);
    v.reject(Errno.EFAULT);
  }
  d.set(state, L.State_branches, 1);
  d.set(state, L.State_sleepable, sleepable ? 1 : 0);
  pushFrame(v, state, 0, -1, subprog);
  return state;
}

/** The next path that waits becomes the current one; false when there is none. */
export function popPath(v: Verifier): boolean {
  const next = v.waiting.pop();
  if (!next) return false;
  // At level 1 only the path that fails is shown.
  if (!v.log.verbose) v.log.reset(next.logPosition);
  v.d.wasm.stateFree(v.state);
  v.state = next.state;
  v.insn = next.insn;
  v.previousInsn = next.previous;
  return true;
}

/** The current path has ended: checkpoints from which nothing is open any more are complete. */
export function endPath(v: Verifier): void {
  const { d } = v;
  for (let state = v.state; state; ) {
    const open = d.get(state, L.State_branches) - 1;
    d.set(state, L.State_branches, open);
    if (open) return;
    finishComponents(v, state);
    const parent = d.get(state, L.State_parent);
    forgetRetired(v, state);
    state = parent;
  }
}

/** Frees a checkpoint that is no longer compared with, once nothing refers to it. */
export function forgetRetired(v: Verifier, state: Address): void {
  if (!v.retired.has(state) || v.d.get(state, L.State_branches) !== 0 || incomplete(v, state)) return;
  v.retired.delete(state);
  v.retiredCount--;
  v.d.wasm.stateFree(state);
}

/** Visits every register of a state that may hold a pointer: of all frames, and spilled ones. */
export function forEachReg(v: Verifier, state: Address, visit: (r: Address, frame: number) => void): void {
  const { d } = v;
  const last = d.current(state);
  for (let f = 0; f <= last; f++) {
    const frame = d.frame(state, f);
    for (let i = 0; i < 11; i++) visit(d.reg(frame, i), f);
    const slots = d.slots(frame);
    for (let s = 0; s < slots; s++) {
      if (d.slotByte(frame, s, 7) === L.SLOT_SPILL) visit(d.slotReg(frame, s), f);
    }
  }
}
