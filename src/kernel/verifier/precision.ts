// Which scalars must be known exactly: where a rule rests on a number, the path is walked back from there to what made
// it, through registers, stack slots and calls (Linux: mark_chain_precision). All other scalars may differ between
// states that count as equal.

import { Errno } from '../../bpf/errno.js';
import { AtomicOp, InsnClass, JumpOp, Mode } from '../../isa/opcodes.js';
import { type Address, layout as L } from './domain.js';
import { callTarget, isKfuncCall, isLocalCall } from './functions.js';
import { accessFrame, accessSlot, StepFlag } from './history.js';
import { callsBack } from './kfuncs.js';
import { unpackLinked } from './linked.js';
import { printState } from './print.js';
import { LIMITS, Mark, Rejection, type Verifier } from './verifier.js';

const ARGUMENTS = 0b111110;
/** callsite of the frame that nobody called. */
const MAIN = -1;

/** The way back is lost; everything on the path has to be precise. */
const LOST = Symbol('lost');

function bug(v: Verifier, message: string): never {
  v.log.write(`${message}\n`);
  throw new Rejection(Errno.EFAULT);
}

/** Linked scalars are precise together. */
function syncStep(v: Verifier, step: Address): void {
  if (!step || !(v.d.get(step, L.Step_linked) | v.d.get(step, L.Step_linked + 4))) return;
  const bt = v.backtracking;
  const linked = unpackLinked(v, step);
  const some = linked.some(({ frame, isReg, index }) =>
    isReg ? bt.hasReg(index, frame) : bt.hasSlot(index, frame),
  );
  if (!some) return;
  for (const { frame, isReg, index } of linked) {
    if (isReg) bt.setReg(index, frame);
    else bt.setSlot(index, frame);
  }
}

function enter(v: Verifier): void {
  if (v.backtracking.frame === LIMITS.frames - 1) bug(v, 'BUG: subprog enter from frame 7');
  v.backtracking.frame++;
}
function leave(v: Verifier): void {
  if (v.backtracking.frame === 0) bug(v, 'BUG: subprog exit from frame 0');
  v.backtracking.frame--;
}

/** In `touches`: whatever is looked for, the instruction matters. */
const ALWAYS = 1 << 16;

/**
 * For each slot the registers that make the walk stop there when they are looked for, as a mask, or ALWAYS. Most
 * instructions on a path have nothing to do with what is looked for, and are passed over by this alone.
 */
function touchesOf(v: Verifier): Uint32Array {
  const touches = new Uint32Array(v.length);
  for (let at = 0; at < v.length; at++) {
    const code = v.code[at] as number;
    const dst = 1 << (v.dst[at] as number);
    const src = 1 << (v.src[at] as number);
    const cls = code & 7;
    const op = code & 0xf0;
    if (code === 0) touches[at] = 0;
    else if (cls === InsnClass.ALU || cls === InsnClass.ALU64 || cls === InsnClass.LDX) touches[at] = dst;
    else if (cls === InsnClass.ST) touches[at] = dst;
    else if (cls === InsnClass.STX) touches[at] = (code & 0xe0) === Mode.ATOMIC ? ALWAYS : dst;
    else if (cls === InsnClass.LD || op === JumpOp.CALL || op === JumpOp.EXIT) touches[at] = ALWAYS;
    else touches[at] = code & 8 ? dst | src : 0;
  }
  return touches;
}

/** Whether a step of the history has more to say than its instruction: linked scalars, a store to the stack. */
function tells(v: Verifier, step: Address, at: number): boolean {
  const { d } = v;
  if (d.get(step, L.Step_linked) | d.get(step, L.Step_linked + 4)) return true;
  return (
    (d.get(step, L.Step_flags) & StepFlag.STACK_ACCESS) !== 0 &&
    ((v.code[at] as number) & 7) !== InsnClass.LDX
  );
}

/** Goes back over slot `at`, after which `next` was executed; `step` is what the history has of it, or 0. */
function backtrack(v: Verifier, at: number, next: number, step: Address): typeof LOST | undefined {
  const { d } = v;
  const bt = v.backtracking;
  const code = v.code[at] as number;
  if (code === 0) return undefined;
  if (v.log.verbose) {
    v.log.write(
      `mark_precise: frame${bt.frame}: regs=${bt.regText()} stack=${bt.slotText()} before ${at}: ${v.textOf(at)}\n`,
    );
  }
  syncStep(v, step);
  const dst = v.dst[at] as number;
  const src = v.src[at] as number;
  const imm = v.imm[at] as number;
  const flags = step ? d.get(step, L.Step_flags) : 0;
  const op = code & 0xf0;
  const mode = code & 0xe0;
  const cls = code & 7;
  switch (cls) {
    case InsnClass.ALU:
    case InsnClass.ALU64:
      if (!bt.hasReg(dst)) return undefined;
      if (op === 0xd0 || op === 0x80) return undefined;
      if (op === 0xb0) {
        bt.clearReg(dst);
        if (code & 8 && src !== 10) bt.setReg(src);
      } else if (code & 8 && src !== 10) {
        bt.setReg(src);
      }
      break;
    case InsnClass.LDX:
    case InsnClass.ST:
    case InsnClass.STX: {
      // What an atomic operation fetches is followed as if the register had held it before, as 6.18 does: to the number that
      // was given to the operation, not to the memory.
      const acquires = cls === InsnClass.STX && mode === Mode.ATOMIC && imm === AtomicOp.LOAD_ACQ;
      if (cls === InsnClass.LDX || acquires) {
        if (!bt.hasReg(dst)) return undefined;
        bt.clearReg(dst);
        if (!(flags & StepFlag.STACK_ACCESS)) return undefined;
        bt.setSlot(accessSlot(flags), accessFrame(flags));
        break;
      }
      if (bt.hasReg(dst)) return LOST;
      if (!(flags & StepFlag.STACK_ACCESS)) return undefined;
      const slot = accessSlot(flags);
      const frame = accessFrame(flags);
      if (!bt.hasSlot(slot, frame)) return undefined;
      bt.clearSlot(slot, frame);
      if (cls === InsnClass.STX) bt.setReg(src);
      break;
    }
    case InsnClass.JMP:
    case InsnClass.JMP32:
      if (isLocalCall(v, at)) return overCall(v, at);
      if (op === JumpOp.CALL && callsBack(v, at) === 'now' && at !== next - 1) {
        // Back from a callback into the function that called it.
        if (bt.regMask() & ~ARGUMENTS) bug(v, `BUG regs ${bt.regMask().toString(16)}`);
        if (bt.hasSlots()) bug(v, 'BUG stack slots in a callback');
        for (let i = 1; i <= 5; i++) bt.clearReg(i);
        leave(v);
        return undefined;
      }
      if (op === JumpOp.CALL) {
        if (isKfuncCall(v, at) && imm === 0) return LOST;
        bt.clearReg(0);
        if (bt.regMask() & ARGUMENTS) bug(v, `BUG regs ${bt.regMask().toString(16)}`);
      } else if (op === JumpOp.EXIT) {
        // The arguments of a callback come from the function that calls it.
        if (next >= 0 && (v.marks[next] as number) & Mark.CALLBACK)
          for (let i = 1; i <= 5; i++) bt.clearReg(i);
        if (bt.regMask() & ARGUMENTS) bug(v, `BUG regs ${bt.regMask().toString(16)}`);
        const result = next >= 1 && isLocalCall(v, next - 1) && bt.hasReg(0);
        bt.clearReg(0);
        enter(v);
        if (result) bt.setReg(0);
        return undefined;
      } else if (code & 8) {
        if (!bt.hasReg(dst) && !bt.hasReg(src)) return undefined;
        // Both were compared: what is known of one came from the other.
        if (!(flags & StepFlag.SRC_STACK)) bt.setReg(src);
        if (!(flags & StepFlag.DST_STACK)) bt.setReg(dst);
      }
      break;
    default:
      if (mode === Mode.IMM) {
        bt.clearReg(dst);
        return undefined;
      }
      if (bt.hasReg(dst)) return LOST;
      // It ended the function when there was no such packet byte.
      if (next !== at + 1) enter(v);
      return undefined;
  }
  syncStep(v, step);
  return undefined;
}

function overCall(v: Verifier, at: number): undefined {
  const bt = v.backtracking;
  const callee = v.subprogs[v.subprogAt(callTarget(v, at))];
  if (callee?.global) {
    if (bt.regMask() & ARGUMENTS) bug(v, `BUG regs ${bt.regMask().toString(16)}`);
    bt.clearReg(0);
    return;
  }
  if (bt.regMask() & ~ARGUMENTS) bug(v, `BUG regs ${bt.regMask().toString(16)}`);
  if (bt.hasSlots()) bug(v, 'BUG stack slots of a callee');
  for (let i = 1; i <= 5; i++) {
    if (!bt.hasReg(i)) continue;
    bt.clearReg(i);
    bt.setReg(i, bt.frame - 1);
  }
  leave(v);
}

const isSpilledScalar = (v: Verifier, frame: Address, slot: number): boolean =>
  v.d.slotByte(frame, slot, 7) === L.SLOT_SPILL && v.d.type(v.d.slotReg(frame, slot)) === L.SCALAR;

/** All scalars of all checkpoints of the path become precise. */
export function forceAll(v: Verifier, from: Address): void {
  const { d, log } = v;
  if (log.verbose) {
    log.write(`mark_precise: frame${d.current(from)}: falling back to forcing all scalars precise\n`);
  }
  for (let state = d.get(from, L.State_parent); state; state = d.get(state, L.State_parent)) {
    for (let f = 0; f <= d.current(state); f++) {
      const frame = d.frame(state, f);
      for (let i = 0; i < 10; i++) {
        const r = d.reg(frame, i);
        if (d.type(r) !== L.SCALAR || d.precise(r)) continue;
        d.setPrecise(r, true);
        if (log.verbose) log.write(`force_precise: frame${f}: forcing r${i} to be precise\n`);
      }
      for (let i = 0; i < d.slots(frame); i++) {
        if (!isSpilledScalar(v, frame, i) || d.precise(d.slotReg(frame, i))) continue;
        d.setPrecise(d.slotReg(frame, i), true);
        if (log.verbose) log.write(`force_precise: frame${f}: forcing fp${-(i + 1) * 8} to be precise\n`);
      }
    }
  }
}

/** A new checkpoint forgets what was precise: what it needs to be is found again from there. */
export function forgetPrecision(v: Verifier, state: Address): void {
  const { d } = v;
  for (let f = 0; f <= d.current(state); f++) {
    const frame = d.frame(state, f);
    for (let i = 0; i < 10; i++) {
      if (d.type(d.reg(frame, i)) === L.SCALAR) d.setPrecise(d.reg(frame, i), false);
    }
    for (let i = 0; i < d.slots(frame); i++) {
      if (isSpilledScalar(v, frame, i)) d.setPrecise(d.slotReg(frame, i), false);
    }
  }
}

/** Register `number` of the current frame, a scalar, must be exact, and so must what it was made from. */
export function markPrecise(v: Verifier, number: number): void {
  if (!v.bpfCapable) return;
  if (v.d.type(v.reg(number)) !== L.SCALAR) bug(v, `backtracking misuse: R${number} is no scalar`);
  v.backtracking.reset(v.frameNumber);
  v.backtracking.setReg(number);
  walkBack(v, v.state, v.insn, true);
}

/** The same for everything in `v.backtracking`, from `start` (a state at `insn`). Whether a checkpoint learned something. */
export function walkBack(v: Verifier, start: Address, insn: number, skip: boolean): boolean {
  const { d, log } = v;
  const bt = v.backtracking;
  if (!v.bpfCapable || bt.empty) return false;
  let state = start;
  let first = d.get(state, L.State_firstInsn);
  let last = insn;
  let next = -1;
  let changed = false;
  let skipFirst = skip;
  const { verbose } = log;
  bt.touches ??= touchesOf(v);
  const { touches } = bt;
  for (;;) {
    let count = d.get(state, L.State_historyCount);
    const history = d.get(state, L.State_history);
    if (log.verbose) {
      log.write(`mark_precise: frame${bt.frame}: last_idx ${last} first_idx ${first} subseq_idx ${next} \n`);
    }
    if (last < 0) {
      atEntry(v, state);
      return changed;
    }
    for (let at = last; ; ) {
      // What the history has of this instruction, if anything.
      let step = count > 0 ? history + (count - 1) * L.Step_size : 0;
      if (step && d.get(step, L.Step_insn) !== at) step = 0;
      if (skipFirst) {
        skipFirst = false;
        if (bt.empty) return changed;
      } else if (
        verbose ||
        ((touches[at] as number) & (bt.regMask() | ALWAYS)) !== 0 ||
        (step !== 0 && tells(v, step, at))
      ) {
        if (backtrack(v, at, next, step)) {
          forceAll(v, start);
          bt.reset(0);
          return true;
        }
        if (bt.empty) return changed;
      }
      next = at;
      // Back to the instruction before, by the history where it has one.
      if (at === first && (count === 0 || (count === 1 && step))) break;
      if (step) {
        at = d.get(step, L.Step_previous);
        count--;
      } else {
        at--;
      }
      if (at >= v.length || at < 0) bug(v, `BUG backtracking idx ${at}`);
    }
    state = d.get(state, L.State_parent);
    if (!state) break;
    if (markCheckpoint(v, state)) changed = true;
    if (bt.empty) return changed;
    next = first;
    last = d.get(state, L.State_lastInsn);
    first = d.get(state, L.State_firstInsn);
  }
  if (!bt.empty) {
    forceAll(v, start);
    bt.reset(0);
    return true;
  }
  return changed;
}

/** The walk came to the beginning of a global function: its arguments are what is left. */
function atEntry(v: Verifier, state: Address): void {
  const { d } = v;
  const bt = v.backtracking;
  const frame = d.frame(state, 0);
  const subprog = d.get(frame, L.Frame_subprog);
  if (
    d.current(state) === 0 &&
    subprog > 0 &&
    d.get(frame, L.Frame_callsite) === MAIN &&
    !bt.hasSlots() &&
    (bt.regMask() & ~ARGUMENTS) === 0
  ) {
    for (let i = 1; i <= 5; i++) {
      if (!bt.hasReg(i)) continue;
      bt.clearReg(i);
      if (d.type(d.reg(frame, i)) === L.SCALAR) d.setPrecise(d.reg(frame, i), true);
    }
    return;
  }
  bug(
    v,
    `BUG backtracking func entry subprog ${subprog} reg_mask ${bt.regMask().toString(16)} stack_mask ${bt.slotText()}`,
  );
}

/** What is still looked for is marked in a checkpoint; what was already precise there needs no further search. */
function markCheckpoint(v: Verifier, state: Address): boolean {
  const { d, log } = v;
  const bt = v.backtracking;
  let changed = false;
  for (let f = bt.frame; f >= 0; f--) {
    const frame = d.frame(state, f);
    for (let i = 0; i < 10; i++) {
      if (!bt.hasReg(i, f)) continue;
      const r = d.reg(frame, i);
      if (d.type(r) !== L.SCALAR || d.precise(r)) {
        bt.clearReg(i, f);
      } else {
        d.setPrecise(r, true);
        changed = true;
      }
    }
    if (bt.hasSlots(f)) {
      const slots = d.slots(frame);
      for (let i = 0; i < 64; i++) {
        if (!bt.hasSlot(i, f)) continue;
        if (i >= slots) bug(v, `BUG backtracking (stack slot ${i}, total slots ${slots})`);
        if (!isSpilledScalar(v, frame, i) || d.precise(d.slotReg(frame, i))) {
          bt.clearSlot(i, f);
        } else {
          d.setPrecise(d.slotReg(frame, i), true);
          changed = true;
        }
      }
    }
    if (log.verbose) {
      log.write(`mark_precise: frame${f}: parent state regs=${bt.regText(f)} stack=${bt.slotText(f)}: `);
      printState(v, state, f, true);
    }
  }
  return changed;
}
