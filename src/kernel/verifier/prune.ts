// Checkpoints: states that were met before an instruction. A path that comes there again with a state that one of them
// covers ends (Linux: is_state_visited).

import { Errno } from '../../bpf/errno.js';
import { addBackedge, enterComponent, incomplete } from './components.js';
import { type Address, layout as L } from './domain.js';
import { isMayGoto } from './functions.js';
import { pushStep } from './history.js';
import { forgetRetired } from './paths.js';
import { forgetPrecision, walkBack } from './precision.js';
import { printState } from './print.js';
import { stackLiveness } from './stack-liveness.js';
import { type Explored, LIMITS, Mark, type Verifier } from './verifier.js';

/**
 * Checkpoints of an instruction and call site, newest last: in Linux's hash, where other ones may be among them, because
 * its limits and figures count those too.
 */
function listOf(v: Verifier, insn: number): Explored[] {
  const callsite = v.d.get(v.frame, L.Frame_callsite);
  const key = ((insn ^ callsite) >>> 0) % v.length;
  let list = v.explored.get(key);
  if (!list) {
    list = [];
    v.explored.set(key, list);
  }
  return list;
}

/** Instruction at which frame `i` of a state stands. */
export function frameInsn(v: Verifier, state: Address, i: number): number {
  const { d } = v;
  return i === d.current(state) ? d.get(state, L.State_insn) : d.get(d.frame(state, i + 1), L.Frame_callsite);
}

/** Checkpoints that are complete forget what later instructions do not read. */
function cleanCheckpoints(v: Verifier, insn: number, list: readonly Explored[]): void {
  const { d } = v;
  for (const { state } of list) {
    if (d.get(state, L.State_branches) || d.get(state, L.State_insn) !== insn) continue;
    if (d.get(state, L.State_cleaned) || !d.wasm.sameCallsites(state, v.state)) continue;
    if (incomplete(v, state)) continue;
    cleanState(v, state);
  }
}

export function cleanState(v: Verifier, state: Address): void {
  const { d } = v;
  d.set(state, L.State_cleaned, 1);
  for (let i = 0; i <= d.current(state); i++) {
    const live = v.liveRegs[frameInsn(v, state, i)] as number;
    d.frameClean(d.frame(state, i), live, stackLiveness(v).alive(state, i));
  }
}

function equal(v: Verifier, old: Address, how: number): boolean {
  const { wasm } = v.d;
  for (let i = 0; i <= v.frameNumber; i++) {
    wasm.setLiveRegs(i, v.liveRegs[frameInsn(v, v.state, i)] as number);
  }
  const uninit = v.allowUninitStack ? 1 : 0;
  return wasm.statesEqual(old, v.state, how, v.ids, uninit, v.exploreAluLimits ? 1 : 0) !== 0;
}

/** An iterator that is active in both is in another round. */
function iteratorsDiffer(v: Verifier, old: Address): boolean {
  const { d } = v;
  for (let f = d.current(old); f >= 0; f--) {
    const frame = d.frame(old, f);
    for (let i = 0; i < d.slots(frame); i++) {
      if (d.slotByte(frame, i, 0) !== L.SLOT_ITER || d.object(d.slotReg(frame, i), 2) !== 1) continue;
      if (d.object(d.slotReg(frame, i), 3) !== d.object(d.slotReg(v.frameAt(f), i), 3)) return true;
    }
  }
  return false;
}

/** The iterator in r1 of the current path still has elements. */
function iteratorActive(v: Verifier): boolean {
  const { d } = v;
  const r1 = v.reg(1);
  const slot = -(d.off(r1) + d.value(r1)) / 8 - 1;
  return d.object(d.slotReg(v.frameAt(d.frameno(r1)), slot), 2) === 1;
}

/** True when the path need not be followed: a checkpoint covers it. Else one may be made here. */
export function isVisited(v: Verifier): boolean {
  const { d } = v;
  const insn = v.insn;
  const marks = v.marks[insn] as number;
  const checkpoint = (marks & Mark.CHECKPOINT) !== 0;
  const force = v.testStateFrequency || checkpoint || v.stateField(L.State_historyCount) > 40;
  let add = force;
  if (v.jumps - v.previousJumps >= 2 && v.processed - v.previousProcessed >= 8) add = true;
  const list = listOf(v, insn);
  cleanCheckpoints(v, insn, list);
  let seen = 0;
  for (let i = list.length - 1; i >= 0; i--) {
    const old = list[i] as Explored;
    seen++;
    if (d.get(old.state, L.State_insn) !== insn) continue;
    const verdict = compare(v, old, marks);
    if (verdict) {
      hit(v, old, verdict === 'loop');
      return true;
    }
    if (d.get(old.state, L.State_branches)) {
      if (!force && v.jumps - v.previousJumps < 20 && v.processed - v.previousProcessed < 100) add = false;
    }
    if (add) old.misses++;
    // One that is compared in vain again and again is dropped.
    const n = checkpoint && d.get(old.state, L.State_branches) > 0 ? 64 : 3;
    if (old.misses > old.hits * n + n) {
      list.splice(i, 1);
      v.exploredCount--;
      v.retired.add(old.state);
      v.retiredCount++;
      forgetRetired(v, old.state);
    }
  }
  v.maxStatesPerInsn = Math.max(v.maxStatesPerInsn, seen);
  if (!v.bpfCapable && seen > LIMITS.states) return false;
  if (add) makeCheckpoint(v, list);
  return false;
}

/** Whether `old` covers the current path; `loop`: while paths from it, or of its loop, are still open. */
function compare(v: Verifier, old: Explored, marks: number): 'hit' | 'loop' | undefined {
  const { d } = v;
  const state = old.state;
  if (!d.get(state, L.State_branches)) {
    const loop = incomplete(v, state);
    return equal(v, state, loop ? L.RANGE_WITHIN : L.NOT_EXACT) ? (loop ? 'loop' : 'hit') : undefined;
  }
  const frame = d.currentFrame(state);
  if (
    d.get(frame, L.Frame_inAsyncCallback) &&
    d.get(frame, L.Frame_asyncEntries) !== d.get(v.frame, L.Frame_asyncEntries)
  ) {
    return undefined;
  }
  if (marks & Mark.ITER_NEXT) {
    return equal(v, state, L.RANGE_WITHIN) && iteratorActive(v) ? 'loop' : undefined;
  }
  if (isMayGoto(v, v.insn)) {
    const depths = d.get(state, L.State_mayGotoDepth) !== v.stateField(L.State_mayGotoDepth);
    if (depths && equal(v, state, L.RANGE_WITHIN)) return 'loop';
  }
  if (marks & Mark.CALLBACK) return equal(v, state, L.RANGE_WITHIN) ? 'loop' : undefined;
  if (
    d.wasm.maybeLooping(state, v.state) &&
    equal(v, state, L.EXACT) &&
    !iteratorsDiffer(v, state) &&
    d.get(state, L.State_mayGotoDepth) === v.stateField(L.State_mayGotoDepth) &&
    d.get(state, L.State_callbackUnroll) === v.stateField(L.State_callbackUnroll)
  ) {
    v.showLine(v.insn);
    v.log.write(`infinite loop detected at insn ${v.insn}\ncur state:`);
    printState(v, v.state, v.frameNumber, true);
    v.log.write('old state:');
    printState(v, state, v.frameNumber, true);
    v.reject(Errno.EINVAL);
  }
  return undefined;
}

function hit(v: Verifier, old: Explored, loop: boolean): void {
  old.hits++;
  if ((v.marks[v.insn] as number) & Mark.JUMP) pushStep(v, 0);
  propagatePrecision(v, old.state, v.state);
  if (loop) addBackedge(v, old.state);
}

/** What had to be exact from `old` on must be exact in `state`, which it covers. Whether a checkpoint learned something. */
export function propagatePrecision(v: Verifier, old: Address, state: Address): boolean {
  const { d, log } = v;
  const bt = v.backtracking;
  bt.reset(d.current(state));
  for (let f = d.current(old); f >= 0; f--) {
    const frame = d.frame(old, f);
    const names: string[] = [];
    for (let i = 0; i < 10; i++) {
      const r = d.reg(frame, i);
      if (d.type(r) !== L.SCALAR || !d.precise(r)) continue;
      names.push(`r${i}`);
      bt.setReg(i, f);
    }
    for (let i = 0; i < d.slots(frame); i++) {
      if (d.slotByte(frame, i, 7) !== L.SLOT_SPILL) continue;
      const r = d.slotReg(frame, i);
      if (d.type(r) !== L.SCALAR || !d.precise(r)) continue;
      names.push(`fp${-(i + 1) * 8}`);
      bt.setSlot(i, f);
    }
    if (names.length > 0 && log.verbose) log.write(`frame ${f}: propagating ${names.join(',')}\n`);
  }
  return walkBack(v, state, d.get(state, L.State_insn), true);
}

function makeCheckpoint(v: Verifier, list: Explored[]): void {
  const { d } = v;
  v.totalStates++;
  v.exploredCount++;
  v.notePeak();
  v.previousJumps = v.jumps;
  v.previousProcessed = v.processed;
  if (v.bpfCapable) forgetPrecision(v, v.state);
  const state = d.stateNew();
  d.stateCopy(state, v.state, true);
  d.set(state, L.State_insn, v.insn);
  list.push({ state, hits: 0, misses: 0 });
  enterComponent(v, state);
  v.setStateField(L.State_parent, state);
  v.setStateField(L.State_firstInsn, v.insn);
  v.setStateField(L.State_depth, d.get(state, L.State_depth) + 1);
  v.setStateField(L.State_branches, 1);
  d.wasm.historyClear(v.state);
}

/** The checkpoint at `insn` that the path of `from` came through before: the last round of a loop. */
export function findPreviousEntry(v: Verifier, from: Address, insn: number): Address {
  const { d } = v;
  if (!from) return 0;
  const list = listOf(v, insn);
  for (let i = list.length - 1; i >= 0; i--) {
    const { state } = list[i] as Explored;
    if (
      d.get(state, L.State_insn) === insn &&
      d.get(state, L.State_branches) &&
      d.wasm.sameCallsites(state, from) &&
      d.get(state, L.State_depth) < d.get(from, L.State_depth)
    ) {
      return state;
    }
  }
  return 0;
}

/** Scalars that differ from the last round and were not asked for precisely become unknown: the loop converges. */
export function widenImprecise(v: Verifier, old: Address, current: Address): void {
  const { d } = v;
  let fresh = true;
  const widen = (a: Address, b: Address) => {
    if (d.type(a) !== L.SCALAR || d.type(b) !== L.SCALAR || d.precise(a) || d.precise(b)) return;
    const same = fresh ? d.wasm.regsExact(a, b, v.ids) : d.wasm.regsExactNext(a, b);
    fresh = false;
    if (!same) d.unknown(b, !v.bpfCapable);
  };
  for (let f = d.current(old); f >= 0; f--) {
    const a = d.frame(old, f);
    const b = d.frame(current, f);
    for (let i = 0; i < 11; i++) widen(d.reg(a, i), d.reg(b, i));
    const slots = Math.min(d.slots(a), d.slots(b));
    for (let i = 0; i < slots; i++) {
      if (d.slotByte(a, i, 7) !== L.SLOT_SPILL || d.slotByte(b, i, 7) !== L.SLOT_SPILL) continue;
      widen(d.slotReg(a, i), d.slotReg(b, i));
    }
  }
}
