// Iterators of kernel functions (bpf_iter_X_new, _next, _destroy): an object on the stack that next() walks until it
// returns NULL. The loop around next() is followed like any other; it ends because the states of its rounds are
// compared while iterators of different depth count as equal, with what differs in numbers forgotten.

import { Errno } from '../../bpf/errno.js';
import { AttachType, ProgType } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import { checkAccess } from './access.js';
import { markNotNull } from './branch.js';
import { type Address, layout as L } from './domain.js';
import { type KfuncCall, resolved } from './kfunc-call.js';
import { pushPath } from './paths.js';
import { findPreviousEntry, widenImprecise } from './prune.js';
import { acquireReference, releaseReference } from './references.js';
import { markConstant } from './registers.js';
import { freeSlot, NOT_THERE, objectSlot, readObject, slotIs, takeSlot } from './stack-objects.js';
import type { Verifier } from './verifier.js';

/** What object2 of an iterator's slots says. */
const ACTIVE = 1;
const DRAINED = 2;

const PREFIX = 'bpf_iter_';

/** The structure of the iterator that parameter `i` points to. */
function iteratorType(btf: Btf, type: number): { id: number; size: number } | undefined {
  const pointer = resolved(btf, type).type;
  if (pointer.kind !== 'PTR') return undefined;
  const { id, type: target } = resolved(btf, pointer.type);
  if (target.kind !== 'STRUCT' || !target.name.startsWith(PREFIX)) return undefined;
  return { id, size: target.size };
}

/** Argument `number` is an iterator: made by new, there for all others, gone after destroy. */
export function checkIterator(v: Verifier, call: KfuncCall, number: number): void {
  const { d } = v;
  const { use } = call;
  const refuse: (message: string) => never = (message) => v.reject(Errno.EINVAL, message);
  if (use.name === 'bpf_iter_css_task_new' && !mayWalkCssTasks(v)) {
    refuse('css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs');
  }
  const at = number - 1;
  if (d.type(v.reg(number)) !== L.STACK) refuse(`arg#${at} expected pointer to an iterator on stack`);
  const type = iteratorType(use.btf, use.parameters[at]?.type ?? 0);
  if (!type) refuse(`expected valid iter pointer as arg #${at}`);
  const name = use.btf.nameOf(type.id).slice(PREFIX.length);
  const slots = type.size / 8;
  if (use.flags.iterator === 'new') {
    if (!isFree(v, v.reg(number), slots)) refuse(`expected uninitialized iter_${name} as arg #${at}`);
    make(v, call, number, type.id, slots);
    return;
  }
  const why = validity(v, v.reg(number), v.btfNumber(use.btf), type.id, slots);
  if (why === Errno.EPROTO) v.reject(why, `expected an RCU CS when using ${use.name}`);
  if (why) refuse(`expected an initialized iter_${name} as arg #${at}`);
  const r = v.reg(number);
  const frame = d.frameno(r);
  const slot = objectSlot(v, r, 'iter', slots);
  readObject(v, frame, slot, slots);
  call.iterator = { frame, slot };
  const held = d.refObjId(d.slotReg(v.frameAt(frame), slot));
  call.refObjId = held;
  if (use.flags.iterator !== 'destroy') return;
  releaseReference(v, held);
  for (let i = 0; i < slots; i++) freeSlot(v, frame, slot - i);
}

function mayWalkCssTasks(v: Verifier): boolean {
  const { type, expectedAttachType } = v.program;
  if (type === ProgType.Lsm) return true;
  return (type === ProgType.Tracing && expectedAttachType === AttachType.TraceIter) || v.sleepable;
}

/** No iterator lies there. */
function isFree(v: Verifier, r: Address, slots: number): boolean {
  const { d } = v;
  const slot = objectSlot(v, r, 'iter', slots);
  if (slot === NOT_THERE) return true;
  if (slot < 0) return false;
  const frame = v.frameAt(d.frameno(r));
  for (let i = 0; i < slots; i++) {
    for (let byte = 0; byte < 8; byte++) {
      if (d.slotByte(frame, slot - i, byte) === L.SLOT_ITER) return false;
    }
  }
  return true;
}

/** 0 for an iterator of this type; else why not. */
function validity(v: Verifier, r: Address, btf: number, id: number, slots: number): Errno | 0 {
  const { d } = v;
  const slot = objectSlot(v, r, 'iter', slots);
  if (slot < 0) return Errno.EINVAL;
  const frame = v.frameAt(d.frameno(r));
  for (let i = 0; i < slots; i++) {
    const held = d.slotReg(frame, slot - i);
    const there = slotIs(v, frame, slot - i, L.SLOT_ITER);
    if (there && d.type(held) & L.UNTRUSTED) return Errno.EPROTO;
    if (!there || (i === 0) !== (d.refObjId(held) !== 0)) return Errno.EINVAL;
    if (d.object(held, 0) !== btf || d.object(held, 1) !== id) return Errno.EINVAL;
  }
  return 0;
}

function make(v: Verifier, { use }: KfuncCall, number: number, id: number, slots: number): void {
  const { d } = v;
  for (let i = 0; i < slots; i++) {
    checkAccess(v, { pointer: number, off: i * 8, size: 8, type: 'write', value: -1 });
  }
  const frameno = d.frameno(v.reg(number));
  const slot = objectSlot(v, v.reg(number), 'iter', slots);
  if (slot < 0) v.reject(Errno.EINVAL);
  const ref = acquireReference(v);
  const flags = use.flags.rcuProtected ? (inRcuSection(v) ? L.RCU : L.UNTRUSTED) : 0;
  for (let i = 0; i < slots; i++) {
    const r = takeSlot(v, frameno, slot - i, L.SLOT_ITER);
    d.setType(r, L.STACK | flags);
    d.setRefObjId(r, i === 0 ? ref : 0);
    d.setObject(r, 0, v.btfNumber(use.btf));
    d.setObject(r, 1, id);
    d.setObject(r, 2, ACTIVE);
    d.setObject(r, 3, 0);
  }
}

/** What RCU protects stays: in a section, under a lock, and in programs that do not sleep. */
export function inRcuSection(v: Verifier): boolean {
  return v.stateField(L.State_rcuLocks) !== 0 || v.stateField(L.State_activeLocks) !== 0 || !v.sleepable;
}

const iteratorIn = (v: Verifier, state: Address, { frame, slot }: { frame: number; slot: number }): Address =>
  v.d.slotReg(v.d.frame(state, frame), slot);

/** The iterator's elements are protected by RCU. */
export const iteratorUnderRcu = (v: Verifier, call: KfuncCall): boolean =>
  call.iterator !== undefined && (v.d.type(iteratorIn(v, v.state, call.iterator)) & L.RCU) !== 0;

/**
 * bpf_iter_X_next, with its result in r0: another path goes on with one more element; on this one there is none, and
 * there never will be.
 */
export function advance(v: Verifier, call: KfuncCall): void {
  const { d } = v;
  const place = call.iterator;
  if (!place) return;
  const state = d.object(iteratorIn(v, v.state, place), 2);
  if (state !== ACTIVE && state !== DRAINED) v.bug(`unexpected iterator state ${state}`);
  if (state === ACTIVE) {
    const parent = v.stateField(L.State_parent);
    if (!parent || d.get(parent, L.State_insn) !== v.insn || !d.wasm.sameCallsites(parent, v.state)) {
      v.bug('bad parent state for iter next call');
    }
    const previous = findPreviousEntry(v, parent, v.insn);
    const next = pushPath(v, v.insn + 1, v.insn, false, Errno.ENOMEM);
    const iterator = iteratorIn(v, next, place);
    d.setObject(iterator, 2, ACTIVE);
    d.setObject(iterator, 3, d.object(iterator, 3) + 1);
    if (previous) widenImprecise(v, previous, next);
    markNotNull(v, d.reg(d.currentFrame(next), 0));
  }
  d.setObject(iteratorIn(v, v.state, place), 2, DRAINED);
  markConstant(v, v.reg(0), 0);
}
