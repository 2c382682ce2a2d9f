// Whether a stored state covers the current one: everything that may happen from the current state has then been
// looked at from the stored one, and the path can end here.

import { markUnknown } from './bounds';
import {
  ADD_CONST, ARENA, BASE_TYPE, BUF, Frame, Frame_regs, Frame_stack, MAP_KEY, MAP_VALUE, MEM, NOT_INIT, PACKET,
  PACKET_META, Ref, Ref_size, Reg, SCALAR, SLOT_DYNPTR, SLOT_INVALID, SLOT_IRQ_FLAG, SLOT_ITER, SLOT_MISC,
  SLOT_SPILL, SLOT_ZERO, Slot_reg, Slot_size, STACK, State, TP_BUFFER,
} from './layout';
import { frameAt } from './state';
import * as tnum from './tnum';

/** Scalars that were never asked for precisely may differ. */
const NOT_EXACT: u32 = 0;
/** Everything must be the same. */
const EXACT: u32 = 1;
/** Ranges may be inside, but no register is forgiven for being imprecise. */
const RANGE_WITHIN: u32 = 2;

// Ids of the old state and what they are called in the new one.
const ID_PAIRS: u32 = (11 + 64) * 8 + 64;
const pairs: usize = heap.alloc(ID_PAIRS * 8);
let pairCount: u32 = 0;
let nextTemporaryId: u32 = 0;

let allowUninitStack: bool = false;
let exploreAluLimits: bool = false;

/** Registers that are read later, by frame: the others may hold anything. */
const liveRegs: usize = heap.alloc(8 * 4);

/** Says which registers of frame `i` count in the comparisons to come. */
export function setLiveRegs(i: u32, mask: u32): void {
  store<u32>(liveRegs + i * 4, mask);
}

const unknown: usize = heap.alloc(offsetof<Reg>());
changetype<Reg>(unknown).subregDef = 0;
markUnknown(changetype<Reg>(unknown), 0);

function sameIds(old: u32, current: u32): bool {
  if (!old != !current) return false;
  if (!old) return true;
  for (let i: u32 = 0; i < pairCount; i++) {
    const at = pairs + i * 8;
    if (load<u32>(at) == old) return load<u32>(at + 4) == current;
    if (load<u32>(at + 4) == current) return false;
  }
  if (pairCount == ID_PAIRS) return false;
  store<u32>(pairs + pairCount * 8, old);
  store<u32>(pairs + pairCount * 8 + 4, current);
  pairCount++;
  return true;
}

/** A scalar without an id stands for one that shares it with nobody. */
function sameScalarIds(old: u32, current: u32): bool {
  if (!old) return true;
  if (!current) current = ++nextTemporaryId;
  if (!sameIds(old, current)) return false;
  return !(old & ADD_CONST) || sameIds(old & ~ADD_CONST, current & ~ADD_CONST);
}

/** Type, offset and object, and with `bounds` all that is known of the value. */
@inline function sameBytes(old: usize, current: usize, upTo: usize): bool {
  for (let i: usize = 0; i < upTo; i += 8) if (load<u64>(old + i) != load<u64>(current + i)) return false;
  return true;
}

function exact(old: Reg, current: Reg): bool {
  return sameBytes(changetype<usize>(old), changetype<usize>(current), offsetof<Reg>('id')) &&
    sameIds(old.id, current.id) && sameIds(old.refObjId, current.refObjId);
}

function within(old: Reg, current: Reg): bool {
  return old.umin <= current.umin && old.umax >= current.umax && old.smin <= current.smin && old.smax >= current.smax &&
    old.u32min <= current.u32min && old.u32max >= current.u32max &&
    old.s32min <= current.s32min && old.s32max >= current.s32max &&
    tnum.contains(old.value, old.mask, current.value, current.mask);
}

function regCovers(old: Reg, current: Reg, how: u32): bool {
  if (how == EXACT) return exact(old, current);
  if (old.type == NOT_INIT) {
    // What was not used (or cleaned away) may be anything.
    if (how == NOT_EXACT || current.type == NOT_INIT) return true;
  }
  if (old.type != current.type) return false;
  switch (old.type & BASE_TYPE) {
    case SCALAR: {
      if (exploreAluLimits) {
        return sameBytes(changetype<usize>(old), changetype<usize>(current), offsetof<Reg>('id')) &&
          sameScalarIds(old.id, current.id);
      }
      if (!old.precise && how == NOT_EXACT) return true;
      if (old.id && (old.id & ADD_CONST) != (current.id & ADD_CONST)) return false;
      if (old.id & ADD_CONST && old.off != current.off) return false;
      return sameScalarIds(old.id, current.id) && within(old, current);
    }
    case MAP_KEY:
    case MAP_VALUE:
    case MEM:
    case BUF:
    case TP_BUFFER:
      return sameBytes(changetype<usize>(old), changetype<usize>(current), offsetof<Reg>('value')) &&
        within(old, current) && sameIds(old.id, current.id) && sameIds(old.refObjId, current.refObjId);
    case PACKET_META:
    case PACKET: {
      // object0 is the range that was compared with the packet's end; it may only have grown.
      const oldRange = old.object0 as i32;
      const range = current.object0 as i32;
      if (oldRange < 0 || range < 0 ? oldRange != range : oldRange > range) return false;
      return old.off == current.off && sameIds(old.id, current.id) && within(old, current);
    }
    case STACK:
      return exact(old, current) && old.frameno == current.frameno;
    case ARENA:
      return true;
    default:
      return exact(old, current);
  }
}

@inline function kindOf(bytes: u64, i: u32): u32 {
  return ((bytes >> ((i << 3) as u64)) as u32) & 0xff;
}

/** What a slot holds if read as one scalar; 0 when that cannot be said. */
function scalarOf(slot: usize): usize {
  const bytes = load<u64>(slot);
  const reg = changetype<Reg>(slot + Slot_reg);
  // All eight bytes were spilled when the first is.
  if (kindOf(bytes, 0) == SLOT_SPILL && reg.type == SCALAR) return changetype<usize>(reg);
  for (let i: u32 = 0; i < 8; i++) {
    const kind = kindOf(bytes, i);
    if (kind != SLOT_MISC && !(kind == SLOT_INVALID && allowUninitStack)) return 0;
  }
  return unknown;
}

function slotCovers(old: usize, current: usize, how: u32): bool {
  const oldBytes = load<u64>(old);
  const bytes = load<u64>(current);
  const oldReg = changetype<Reg>(old + Slot_reg);
  const reg = changetype<Reg>(current + Slot_reg);
  // Byte by byte, lowest address last in `bytes`; the first that says no decides.
  for (let i: u32 = 0; i < 8; i++) {
    const was = kindOf(oldBytes, i);
    const is = kindOf(bytes, i);
    if (how != NOT_EXACT && was != is) return false;
    if (was == SLOT_INVALID) continue;
    if (allowUninitStack && was == SLOT_MISC) continue;
    const oldScalar = scalarOf(old);
    const scalar = scalarOf(current);
    if (oldScalar && scalar) return regCovers(changetype<Reg>(oldScalar), changetype<Reg>(scalar), how);
    if (was == SLOT_MISC && is == SLOT_ZERO) continue;
    if (was != is) return false;
    if (i != 7) continue;
    switch (was) {
      case SLOT_SPILL:
        return regCovers(oldReg, reg, how);
      case SLOT_DYNPTR:
        return oldReg.object0 == reg.object0 && oldReg.object1 == reg.object1 && sameIds(oldReg.refObjId, reg.refObjId);
      case SLOT_ITER:
        // Type, BTF, id and state; the depth is what tells the rounds apart.
        return oldReg.type == reg.type && oldReg.object0 == reg.object0 && oldReg.object1 == reg.object1 &&
          oldReg.object2 == reg.object2 && sameIds(oldReg.refObjId, reg.refObjId);
      case SLOT_IRQ_FLAG:
        return sameIds(oldReg.refObjId, reg.refObjId) && oldReg.object0 == reg.object0;
      default:
    }
  }
  return true;
}

function stackCovers(old: usize, current: usize, how: u32): bool {
  const slots = changetype<Frame>(old).slots;
  const there = changetype<Frame>(current).slots;
  for (let i: u32 = 0; i < slots; i++) {
    const a = old + Frame_stack + i * Slot_size;
    const b = current + Frame_stack + i * Slot_size;
    if (i < there) {
      if (!slotCovers(a, b, how)) return false;
      continue;
    }
    if (how != NOT_EXACT) return false;
    const bytes = load<u64>(a);
    for (let byte: u32 = 0; byte < 8; byte++) {
      const kind = kindOf(bytes, byte);
      if (kind != SLOT_INVALID && !(kind == SLOT_MISC && allowUninitStack)) return false;
    }
  }
  return true;
}

function refsCover(old: State, current: State): bool {
  if (old.refCount != current.refCount || old.activeLocks != current.activeLocks) return false;
  if (old.preemptLocks != current.preemptLocks || old.rcuLocks != current.rcuLocks) return false;
  if (!sameIds(old.irqId, current.irqId)) return false;
  if (!sameIds(old.lockId, current.lockId) || old.lockObject != current.lockObject) return false;
  for (let i: u32 = 0; i < old.refCount; i++) {
    const a = changetype<Ref>(old.refs + i * Ref_size);
    const b = changetype<Ref>(current.refs + i * Ref_size);
    if (!sameIds(a.id, b.id) || a.kind != b.kind) return false;
    // Locks are of one object.
    if (a.kind > 1 && a.object != b.object) return false;
  }
  return true;
}

/** Whether the checkpoint `old` covers `current`. `idsFrom`: the last id that was given out. setLiveRegs comes first. */
export function statesEqual(oldAt: usize, currentAt: usize, how: u32, idsFrom: u32, uninit: bool, aluLimits: bool): bool {
  const old = changetype<State>(oldAt);
  const current = changetype<State>(currentAt);
  if (old.current != current.current) return false;
  pairCount = 0;
  nextTemporaryId = idsFrom;
  allowUninitStack = uninit;
  exploreAluLimits = aluLimits;
  if (old.speculative && !current.speculative) return false;
  if (old.sleepable != current.sleepable) return false;
  if (!refsCover(old, current)) return false;
  for (let i: u32 = 0; i <= old.current; i++) {
    const a = frameAt(oldAt, i);
    const b = frameAt(currentAt, i);
    const frame = changetype<Frame>(a);
    if (frame.callsite != changetype<Frame>(b).callsite) return false;
    if (frame.callbackDepth > changetype<Frame>(b).callbackDepth) return false;
    const live = load<u32>(liveRegs + i * 4);
    for (let r: u32 = 0; r < 11; r++) {
      if (!(live & (1 << r))) continue;
      const offset = Frame_regs + r * offsetof<Reg>();
      if (!regCovers(changetype<Reg>(a + offset), changetype<Reg>(b + offset), how)) return false;
    }
    if (!stackCovers(a, b, how)) return false;
  }
  return true;
}

/** Whether two registers are the same but for the names of their ids (a fresh naming). */
export function regsExact(old: usize, current: usize, idsFrom: u32): bool {
  pairCount = 0;
  nextTemporaryId = idsFrom;
  return exact(changetype<Reg>(old), changetype<Reg>(current));
}

/** The same with the naming so far, for a walk over many. */
export function regsExactNext(old: usize, current: usize): bool {
  return exact(changetype<Reg>(old), changetype<Reg>(current));
}

/** The same call sites in every frame. */
export function sameCallsites(a: usize, b: usize): bool {
  const current = changetype<State>(a).current;
  if (current != changetype<State>(b).current) return false;
  for (let i: u32 = 0; i <= current; i++) {
    if (changetype<Frame>(frameAt(a, i)).callsite != changetype<Frame>(frameAt(b, i)).callsite) return false;
  }
  return true;
}

/** The beginning of both paths' registers and stacks is byte for byte the same: the path may be going in circles. */
export function maybeLooping(a: usize, b: usize): bool {
  const current = changetype<State>(a).current;
  if (current != changetype<State>(b).current) return false;
  const x = frameAt(a, current) + Frame_regs;
  const y = frameAt(b, current) + Frame_regs;
  for (let r: u32 = 0; r < 11; r++) {
    // By memory, ids included.
    if (memory.compare(x + r * offsetof<Reg>(), y + r * offsetof<Reg>(), offsetof<Reg>('frameno')) != 0) return false;
  }
  return true;
}
