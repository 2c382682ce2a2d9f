// Making, copying and freeing states. A state owns its frames, its references and its history; a frame has room for
// as many stack slots as were ever used.

import { unbound } from './bounds';
import {
  Frame, Frame_regs, Frame_stack, Ref_size, Reg, SLOT_INVALID, Slot_reg, Slot_size, State, State_size, Step_size,
} from './layout';

/** Bytes in use by states, and the most there ever were. */
let used: u32 = 0;
let peak: u32 = 0;

/** The most bytes that were ever in use. */
export function peakBytes(): u32 {
  return peak;
}

function allocate(size: usize): usize {
  const at = heap.alloc(size);
  used += size as u32;
  if (used > peak) peak = used;
  return at;
}

function release(at: usize, size: usize): void {
  if (!at) return;
  used -= size as u32;
  heap.free(at);
}

export function stateNew(): usize {
  const at = allocate(State_size);
  memory.fill(at, 0, State_size);
  return at;
}

@inline export function frameAt(state: usize, i: u32): usize {
  return load<usize>(state + (i << 2));
}

function frameRoom(capacity: u32): usize {
  return (Frame_stack + capacity * Slot_size) as usize;
}

/** A frame with nothing in its registers and no stack. */
export function frameNew(callsite: i32, frameno: u32, subprog: u32): usize {
  const at = allocate(frameRoom(0));
  memory.fill(at, 0, frameRoom(0));
  const frame = changetype<Frame>(at);
  frame.callsite = callsite;
  frame.frameno = frameno;
  frame.subprog = subprog;
  for (let i: u32 = 0; i < 11; i++) regClear(at + Frame_regs + i * offsetof<Reg>());
  return at;
}

export function frameFree(at: usize): void {
  if (at) release(at, frameRoom(changetype<Frame>(at).capacity));
}

function frameCopy(from: usize): usize {
  const slots = changetype<Frame>(from).slots;
  const to = allocate(frameRoom(slots));
  memory.copy(to, from, frameRoom(slots));
  changetype<Frame>(to).capacity = slots;
  return to;
}

/** Frame `i` of the state has at least `slots` stack slots; new ones are invalid. */
export function growStack(state: usize, i: u32, slots: u32): void {
  let at = frameAt(state, i);
  const frame = changetype<Frame>(at);
  const before = frame.slots;
  if (slots <= before) return;
  if (slots > frame.capacity) {
    const capacity = max(slots, min(64, frame.capacity * 2));
    const moved = allocate(frameRoom(capacity));
    memory.copy(moved, at, frameRoom(before));
    frameFree(at);
    at = moved;
    changetype<Frame>(at).capacity = capacity;
    store<usize>(state + (i << 2), at);
  }
  changetype<Frame>(at).slots = slots;
  memory.fill(at + Frame_stack + before * Slot_size, 0, (slots - before) * Slot_size);
}

/** Forgets the stack slots from number `slots` on (what it had not is not made). */
export function clearStack(frame: usize): void {
  changetype<Frame>(frame).slots = 0;
}

function arrayCopy(from: usize, count: u32, size: u32): usize {
  if (!count) return 0;
  const to = allocate(count * size);
  memory.copy(to, from, count * size);
  return to;
}

/** Makes `to` a copy of `from`, with or without the history of the path. */
export function stateCopy(to: usize, from: usize, withHistory: bool): void {
  stateClear(to);
  memory.copy(to, from, State_size);
  const a = changetype<State>(to);
  for (let i: u32 = 0; i < 8; i++) {
    const frame = i <= a.current ? frameAt(from, i) : 0;
    store<usize>(to + (i << 2), frame ? frameCopy(frame) : 0);
  }
  a.refs = arrayCopy(a.refs, a.refCount, Ref_size);
  a.refCapacity = a.refCount;
  if (withHistory) {
    a.history = arrayCopy(a.history, a.historyCount, Step_size);
    a.historyCapacity = a.historyCount;
  } else {
    a.history = 0;
    a.historyCount = 0;
    a.historyCapacity = 0;
  }
}

/** Frees what the state owns. */
export function stateClear(at: usize): void {
  const state = changetype<State>(at);
  for (let i: u32 = 0; i < 8; i++) {
    frameFree(frameAt(at, i));
    store<usize>(at + (i << 2), 0);
  }
  release(state.refs, state.refCapacity * Ref_size);
  release(state.history, state.historyCapacity * Step_size);
  state.refs = 0;
  state.refCount = 0;
  state.refCapacity = 0;
  state.history = 0;
  state.historyCount = 0;
  state.historyCapacity = 0;
}

export function stateFree(at: usize): void {
  stateClear(at);
  release(at, State_size);
}

/** Room for one more element behind `count` of them; the array's address, moved when it was full. */
function roomFor(array: usize, count: u32, capacity: u32, size: u32): usize {
  const wider = capacity ? capacity * 2 : 8;
  const moved = allocate(wider * size);
  memory.copy(moved, array, count * size);
  release(array, capacity * size);
  return moved;
}

/** Adds a step to the history; its address. */
export function historyPush(at: usize): usize {
  const state = changetype<State>(at);
  if (state.historyCount == state.historyCapacity) {
    state.history = roomFor(state.history, state.historyCount, state.historyCapacity, Step_size);
    state.historyCapacity = state.historyCapacity ? state.historyCapacity * 2 : 8;
  }
  const step = state.history + state.historyCount++ * Step_size;
  memory.fill(step, 0, Step_size);
  return step;
}

/** The history starts anew (a checkpoint was made). */
export function historyClear(at: usize): void {
  changetype<State>(at).historyCount = 0;
}

/** Adds a reference at the end; its address. */
export function refPush(at: usize): usize {
  const state = changetype<State>(at);
  if (state.refCount == state.refCapacity) {
    state.refs = roomFor(state.refs, state.refCount, state.refCapacity, Ref_size);
    state.refCapacity = state.refCapacity ? state.refCapacity * 2 : 8;
  }
  const ref = state.refs + state.refCount++ * Ref_size;
  memory.fill(ref, 0, Ref_size);
  return ref;
}

/** Removes reference `index`; those behind it move up: saved interrupt states are given back in reverse order. */
export function refRemove(at: usize, index: u32): void {
  const state = changetype<State>(at);
  const last = --state.refCount;
  const ref = state.refs + index * Ref_size;
  memory.copy(ref, ref + Ref_size, (last - index) * Ref_size);
}

export function regCopy(to: usize, from: usize): void {
  memory.copy(to, from, offsetof<Reg>());
}

/** Nothing was written there; were it read, it could be anything. */
export function regClear(at: usize): void {
  memory.fill(at, 0, offsetof<Reg>());
  const reg = changetype<Reg>(at);
  reg.mask = ~0;
  unbound(reg);
}

/** Forgets what later instructions do not need: registers outside `liveRegs`, slots outside `liveSlots`. */
export function frameClean(at: usize, liveRegs: u32, liveSlots: u64): void {
  for (let i: u32 = 0; i < 10; i++) {
    if (!(liveRegs & (1 << i))) regClear(at + Frame_regs + i * offsetof<Reg>());
  }
  const slots = changetype<Frame>(at).slots;
  for (let i: u32 = 0; i < slots; i++) {
    if (liveSlots & ((1 as u64) << i)) continue;
    store<u64>(at + Frame_stack + i * Slot_size, SLOT_INVALID);
    regClear(slotReg(at, i));
  }
}

@inline export function slotReg(frame: usize, i: u32): usize {
  return frame + Frame_stack + i * Slot_size + Slot_reg;
}
