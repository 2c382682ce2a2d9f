// What a program has acquired and must give back: references to kernel objects, locks, disabled interrupts.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import { forEachReg } from './paths.js';
import type { Verifier } from './verifier.js';

/** Kinds of Ref; locks say of which object. */
export const RefKind = { POINTER: 1, IRQ: 2, LOCK: 3, RES_LOCK: 4, RES_LOCK_IRQ: 5 } as const;

export const refAt = (v: Verifier, state: Address, i: number): Address =>
  v.d.get(state, L.State_refs) + i * L.Ref_size;

/** Notes something that the current instruction acquires. */
export function pushReference(v: Verifier, kind: number, id: number, object: number): void {
  const { d } = v;
  const ref = d.refPush(v.state);
  d.set(ref, L.Ref_kind, kind);
  d.set(ref, L.Ref_id, id);
  d.set(ref, L.Ref_insn, v.insn);
  d.set(ref, L.Ref_object, object);
}

/** The current instruction acquires a reference; its id. */
export function acquireReference(v: Verifier): number {
  const id = v.newId();
  pushReference(v, RefKind.POINTER, id, 0);
  return id;
}

export function acquireLock(v: Verifier, kind: number, id: number, object: number): void {
  pushReference(v, kind, id, object);
  v.setStateField(L.State_activeLocks, v.stateField(L.State_activeLocks) + 1);
  v.setStateField(L.State_lockId, id);
  v.setStateField(L.State_lockObject, object);
}

/** Gives a lock back; false when it is not held. The one taken before becomes the latest again. */
export function releaseLock(v: Verifier, kind: number, id: number, object: number): boolean {
  const { d } = v;
  let found = -1;
  let previous = -1;
  const count = v.stateField(L.State_refCount);
  for (let i = 0; i < count; i++) {
    const ref = refAt(v, v.state, i);
    const its = d.get(ref, L.Ref_kind);
    if (its === kind && d.get(ref, L.Ref_id) === id && d.get(ref, L.Ref_object) === object) {
      found = i;
      break;
    }
    if (its >= RefKind.LOCK) previous = i;
  }
  if (found < 0) return false;
  const before = previous >= 0 ? refAt(v, v.state, previous) : 0;
  v.setStateField(L.State_lockId, before ? d.get(before, L.Ref_id) : 0);
  v.setStateField(L.State_lockObject, before ? d.get(before, L.Ref_object) : 0);
  d.wasm.refRemove(v.state, found);
  v.setStateField(L.State_activeLocks, v.stateField(L.State_activeLocks) - 1);
  return true;
}

export function holdsLock(v: Verifier, kind: number, id: number, object: number): boolean {
  const { d } = v;
  const count = v.stateField(L.State_refCount);
  for (let i = 0; i < count; i++) {
    const ref = refAt(v, v.state, i);
    if (d.get(ref, L.Ref_kind) !== kind) continue;
    if (d.get(ref, L.Ref_id) === id && d.get(ref, L.Ref_object) === object) return true;
  }
  return false;
}

/** Forgets a reference of a state, without touching registers; false when it has none of this id. */
export function releaseReferenceOf(v: Verifier, state: Address, id: number): boolean {
  const { d } = v;
  const count = d.get(state, L.State_refCount);
  for (let i = 0; i < count; i++) {
    const ref = refAt(v, state, i);
    if (d.get(ref, L.Ref_kind) !== RefKind.POINTER || d.get(ref, L.Ref_id) !== id) continue;
    d.wasm.refRemove(state, i);
    return true;
  }
  return false;
}

/** Gives a reference back: registers that hold it hold nothing now. False when it was not acquired. */
export function releaseReference(v: Verifier, id: number): boolean {
  if (!releaseReferenceOf(v, v.state, id)) return false;
  forEachReg(v, v.state, (r) => {
    if (v.d.refObjId(r) === id) markInvalid(v, r);
  });
  return true;
}

/** What a register held is gone. */
export function markInvalid(v: Verifier, r: Address): void {
  if (v.allowPointerLeaks) v.d.unknown(r, !v.bpfCapable);
  else v.d.clearReg(r);
}

/** References that are left where the program (or, by an exception, all of it) ends. */
function checkLeak(v: Verifier, exception: boolean): boolean {
  const { d } = v;
  if (!exception && v.frameNumber) return false;
  let left = false;
  const count = v.stateField(L.State_refCount);
  for (let i = 0; i < count; i++) {
    const ref = refAt(v, v.state, i);
    if (d.get(ref, L.Ref_kind) !== RefKind.POINTER) continue;
    v.log.write(`Unreleased reference id=${d.get(ref, L.Ref_id)} alloc_insn=${d.get(ref, L.Ref_insn)}\n`);
    left = true;
  }
  return left;
}

/** Nothing may be held where control leaves for good; with `locks`, no lock or critical section either. */
export function checkResources(v: Verifier, exception: boolean, locks: boolean, what: string): void {
  const refuse = (text: string) => v.reject(Errno.EINVAL, `${what} ${text}`);
  if (locks && v.stateField(L.State_activeLocks)) refuse('cannot be used inside bpf_spin_lock-ed region');
  if (checkLeak(v, exception)) refuse('would lead to reference leak');
  if (!locks) return;
  if (v.stateField(L.State_irqId)) refuse('cannot be used inside bpf_local_irq_save-ed region');
  if (v.stateField(L.State_rcuLocks)) refuse('cannot be used inside bpf_rcu_read_lock-ed region');
  if (v.stateField(L.State_preemptLocks)) refuse('cannot be used inside bpf_preempt_disable-ed region');
}

/** The packet may have moved: pointers into it are not valid any more. */
export function invalidatePackets(v: Verifier): void {
  const { d } = v;
  forEachReg(v, v.state, (r) => {
    const type = d.type(r);
    const base = type & L.BASE_TYPE;
    const slice = base === L.MEM && (type & (L.DYNPTR_SKB | L.DYNPTR_XDP | L.DYNPTR_SKB_META)) !== 0;
    if (base === L.PACKET || base === L.PACKET_META || base === L.PACKET_END || slice) markInvalid(v, r);
  });
}
