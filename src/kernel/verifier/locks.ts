// bpf_spin_lock and bpf_res_spin_lock, in map values and allocated objects: a lock is known by the object it is in (the
// map, or the BTF of an allocated object) and by the id of the pointer that leads there.

import { Errno } from '../../bpf/errno.js';
import { type Address, layout as L } from './domain.js';
import { kfuncAt } from './kfuncs.js';
import { forEachReg } from './paths.js';
import { type BtfRecord, fieldOf, type SpecialKind } from './record.js';
import { objectRecord } from './records.js';
import { acquireLock, holdsLock, markInvalid, RefKind, releaseLock } from './references.js';
import type { Verifier } from './verifier.js';

export const hasLock = (record: BtfRecord | undefined): boolean =>
  fieldOf(record, 'spin-lock', 'res-spin-lock') !== undefined;

/** An object that the program allocated, however it is held. */
export const isAllocated = (type: number): boolean =>
  (type & L.BASE_TYPE) === L.BTF_ID && (type & L.ALLOC) !== 0;

/** Special fields of what a register points to. */
export function recordAt(v: Verifier, r: Address): BtfRecord | undefined {
  const type = v.d.type(r);
  if (type === L.MAP_VALUE) return v.mapOf(r).record;
  return isAllocated(type) ? objectRecord(v.btfOf(r), v.d.object(r, 1)) : undefined;
}

/** Maps and BTF objects as one number, for `Ref.object`: 0 is none. */
const lockedObject = (v: Verifier, r: Address): number =>
  v.d.object(r, 0) * 2 + (v.d.type(r) === L.MAP_VALUE ? 1 : 2);

interface LockWords {
  readonly kind: SpecialKind;
  /** `bpf_spin` or `bpf_res_spin`. */
  readonly name: string;
}
const SPIN: LockWords = { kind: 'spin-lock', name: 'bpf_spin' };
const RES_SPIN: LockWords = { kind: 'res-spin-lock', name: 'bpf_res_spin' };

/** The lock that register `number` points to; refuses when there is none there. */
function findLock(v: Verifier, number: number, { kind, name }: LockWords): Address {
  const { d } = v;
  const r = v.reg(number);
  const refuse = (text: string) => v.reject(Errno.EINVAL, text);
  if (!d.isConst(r)) {
    refuse(`R${number} doesn't have constant offset. ${name}_lock has to be at the constant offset`);
  }
  const map = d.type(r) === L.MAP_VALUE ? v.mapOf(r) : undefined;
  if (map && !map.btf) refuse(`map '${map.name}' has to have BTF in order to use ${name}_lock`);
  const field = fieldOf(recordAt(v, r), kind);
  if (!field) {
    const what = map ? `map '${map.name}'` : "local 'kptr'";
    return refuse(`${what} has no valid ${name}_lock`);
  }
  const off = d.value(r) + d.off(r);
  if (field.offset !== off) {
    refuse(`off ${off} doesn't point to 'struct ${name}_lock' that is at ${field.offset}`);
  }
  return r;
}

/** bpf_spin_lock and bpf_spin_unlock. */
export function checkSpinLock(v: Verifier, number: number, lock: boolean): void {
  if (inLockedCallback(v)) v.reject(Errno.EACCES, "can't spin_{lock,unlock} in rbtree cb");
  const r = findLock(v, number, SPIN);
  if (!lock) {
    unlock(v, r, RefKind.LOCK, SPIN.name);
    return;
  }
  if (v.stateField(L.State_activeLocks)) {
    v.reject(Errno.EINVAL, 'Locking two bpf_spin_locks are not allowed');
  }
  acquireLock(v, RefKind.LOCK, v.d.id(r), lockedObject(v, r));
}

/** bpf_res_spin_lock and its kin; `irq`: those that disable interrupts. */
export function checkResSpinLock(v: Verifier, number: number, lock: boolean, irq: boolean): void {
  const { d } = v;
  const r = findLock(v, number, RES_SPIN);
  const kind = irq ? RefKind.RES_LOCK_IRQ : RefKind.RES_LOCK;
  if (!lock) {
    unlock(v, r, kind, RES_SPIN.name);
    return;
  }
  const id = d.id(r);
  const object = lockedObject(v, r);
  const held = [RefKind.RES_LOCK, RefKind.RES_LOCK_IRQ].some((one) => holdsLock(v, one, id, object));
  if (held) v.reject(Errno.EINVAL, 'Acquiring the same lock again, AA deadlock detected');
  acquireLock(v, kind, id, object);
}

function unlock(v: Verifier, r: Address, kind: number, name: string): void {
  const id = v.d.id(r);
  const object = lockedObject(v, r);
  if (!v.stateField(L.State_activeLocks)) {
    v.reject(Errno.EINVAL, `${name}_unlock without taking a lock`);
  }
  if (!holdsLock(v, kind, id, object)) v.reject(Errno.EINVAL, `${name}_unlock of different lock`);
  if (v.stateField(L.State_lockId) !== id || v.stateField(L.State_lockObject) !== object) {
    v.reject(Errno.EINVAL, `${name}_unlock cannot be out of order`);
  }
  releaseLock(v, kind, id, object);
  invalidateNonOwning(v);
}

/** References that were good while the lock was held are not any more. */
export function invalidateNonOwning(v: Verifier): void {
  forEachReg(v, v.state, (r) => {
    const type = v.d.type(r);
    if (isAllocated(type) && type & L.NON_OWN_REF) markInvalid(v, r);
  });
}

/** The lock of the object (or map value) that holds a list or tree is held. */
export function holdsLockOf(v: Verifier, r: Address): boolean {
  if (!v.stateField(L.State_activeLocks)) return false;
  const id = v.d.id(r);
  const object = lockedObject(v, r);
  const kinds = [RefKind.LOCK, RefKind.RES_LOCK, RefKind.RES_LOCK_IRQ];
  if (kinds.some((kind) => holdsLock(v, kind, id, object))) return true;
  v.log.write('held lock and object are not in the same allocation\n');
  return false;
}

const TREE_KFUNCS = new Set([
  'bpf_rbtree_add_impl',
  'bpf_rbtree_remove',
  'bpf_rbtree_first',
  'bpf_rbtree_root',
  'bpf_rbtree_left',
  'bpf_rbtree_right',
]);
const LIST_KFUNCS = new Set([
  'bpf_list_push_front_impl',
  'bpf_list_push_back_impl',
  'bpf_list_pop_front',
  'bpf_list_pop_back',
  'bpf_list_front',
  'bpf_list_back',
]);
const OTHERS_UNDER_LOCK = new Set([
  'bpf_refcount_acquire_impl',
  'bpf_iter_num_new',
  'bpf_iter_num_next',
  'bpf_iter_num_destroy',
  'bpf_res_spin_lock',
  'bpf_res_spin_unlock',
  'bpf_res_spin_lock_irqsave',
  'bpf_res_spin_unlock_irqrestore',
]);

export const isTreeKfunc = (name: string): boolean => TREE_KFUNCS.has(name);
export const isListKfunc = (name: string): boolean => LIST_KFUNCS.has(name);

/** A kfunc that may be called while a lock is held. */
export const kfuncAllowedUnderLock = (name: string): boolean =>
  TREE_KFUNCS.has(name) || LIST_KFUNCS.has(name) || OTHERS_UNDER_LOCK.has(name);

/** Inside a callback that runs with the lock of a tree held (in_rbtree_lock_required_cb). */
export function inLockedCallback(v: Verifier): boolean {
  for (let i = v.frameNumber; i > 0; i--) {
    const frame = v.frameAt(i);
    if (!v.d.get(frame, L.Frame_inCallback)) continue;
    const name = kfuncAt(v, v.d.get(frame, L.Frame_callsite))?.name;
    if (name !== undefined && TREE_KFUNCS.has(name)) return true;
  }
  return false;
}
