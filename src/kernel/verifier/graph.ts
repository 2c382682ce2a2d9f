// Objects that programs allocate, and what lies in them or in map values: lists and red-black trees, work queues, task
// work, locks. Who owns an object, and what may still be done with one that a list or tree owns (a non-owning
// reference, good while the lock is held).

import { Errno } from '../../bpf/errno.js';
import { timerCallback } from './callbacks.js';
import { type Address, layout as L } from './domain.js';
import { isNumbersOnly, type KfuncCall } from './kfunc-call.js';
import {
  checkResSpinLock,
  holdsLockOf,
  inLockedCallback,
  isAllocated,
  isListKfunc,
  isTreeKfunc,
  recordAt,
} from './locks.js';
import { forEachReg } from './paths.js';
import { fieldOf, type SpecialField } from './record.js';
import { objectRecord } from './records.js';
import { releaseReferenceOf } from './references.js';
import { markNotInit, markPointer } from './registers.js';
import { pushCallback, type SetCallee } from './subprogram-calls.js';
import { findTimer } from './timers.js';
import type { Verifier } from './verifier.js';

/** Arguments that are such objects, or fields of them. */
export type ObjectKind =
  | 'allocated'
  | 'refcounted'
  | 'list-head'
  | 'list-node'
  | 'rb-root'
  | 'rb-node'
  | 'workqueue'
  | 'task-work'
  | 'res-spin-lock';

const WORDS = {
  'list-head': 'bpf_list_head',
  'list-node': 'bpf_list_node',
  'rb-root': 'bpf_rb_root',
  'rb-node': 'bpf_rb_node',
} as const;

/** BPF_GLOBAL_PERCPU_MA_MAX_SIZE. */
const MAX_PERCPU_SIZE = 512;

/** Functions that put an object (their second argument) into a list or tree. */
const ADDERS = new Set(['bpf_list_push_front_impl', 'bpf_list_push_back_impl', 'bpf_rbtree_add_impl']);

const isOwn = (type: number): boolean => type === (L.BTF_ID | L.ALLOC);
const isNonOwning = (type: number): boolean => isAllocated(type) && (type & L.NON_OWN_REF) !== 0;

function refuse(v: Verifier, text: string): never {
  return v.reject(Errno.EINVAL, text);
}

/** Argument `number` is an object of this kind. */
export function checkObject(v: Verifier, call: KfuncCall, number: number, kind: ObjectKind): void {
  switch (kind) {
    case 'allocated':
      checkDropped(v, call, number);
      return;
    case 'refcounted':
      checkRefcounted(v, call, number);
      return;
    case 'list-head':
    case 'rb-root':
      checkRoot(v, call, number, kind);
      return;
    case 'list-node':
    case 'rb-node':
      checkNode(v, call, number, kind);
      return;
    case 'workqueue':
      checkQueue(v, call, number, kind, 'bpf_wq');
      return;
    case 'task-work':
      checkQueue(v, call, number, kind, 'bpf_task_work');
      return;
    case 'res-spin-lock':
      checkLockArgument(v, call, number);
  }
}

/** What bpf_obj_drop and bpf_percpu_obj_drop are given: an object of the caller's. */
function checkDropped(v: Verifier, call: KfuncCall, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  const only = (name: string) => {
    if (call.use.name !== name) refuse(v, `arg#${number - 1} expected for ${name}()`);
  };
  if (isOwn(type)) only('bpf_obj_drop_impl');
  else if (type === (L.BTF_ID | L.ALLOC | L.PERCPU)) only('bpf_percpu_obj_drop_impl');
  else refuse(v, `arg#${number - 1} expected pointer to allocated object`);
  if (!d.refObjId(r)) refuse(v, 'allocated object must be referenced');
  call.object = { btf: d.object(r, 0), id: d.object(r, 1) };
}

/** An object with a bpf_refcount, owned or not. */
function checkRefcounted(v: Verifier, call: KfuncCall, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  if (!isAllocated(type)) refuse(v, `arg#${number - 1} is neither owning or non-owning ref`);
  if (!isNonOwning(type) && d.refObjId(r)) call.owning = true;
  const record = recordAt(v, r);
  if (!record) v.bug("Couldn't find btf_record");
  if (!fieldOf(record, 'refcount')) {
    refuse(v, `arg#${number - 1} doesn't point to a type with bpf_refcount field`);
  }
  call.object = { btf: d.object(r, 0), id: d.object(r, 1) };
}

function fixedOffset(v: Verifier, number: number, word: string): number {
  const { d } = v;
  const r = v.reg(number);
  if (!d.isConst(r)) {
    refuse(v, `R${number} doesn't have constant offset. ${word} has to be at the constant offset`);
  }
  return d.off(r) + d.value(r);
}

/** A list or tree: in a map value, or in an object of the caller's. Its lock is held. */
function checkRoot(v: Verifier, call: KfuncCall, number: number, kind: 'list-head' | 'rb-root'): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  const { name } = call.use;
  if (type !== L.MAP_VALUE && !isOwn(type)) {
    refuse(v, `arg#${number - 1} expected pointer to map value or allocated object`);
  }
  if (isOwn(type) && !d.refObjId(r)) refuse(v, 'allocated object must be referenced');
  const word = WORDS[kind];
  if (!(kind === 'list-head' ? isListKfunc(name) : isTreeKfunc(name))) {
    v.bug(`${word} head arg for unknown kfunc`);
  }
  const offset = fixedOffset(v, number, word);
  const record = recordAt(v, r);
  const field = record?.fields.find((one) => one.kind === kind && one.offset === offset);
  if (!field) refuse(v, `${word} not found at offset=${offset}`);
  if (!holdsLockOf(v, r)) {
    const lock = fieldOf(record, 'spin-lock', 'res-spin-lock')?.offset ?? -Errno.EINVAL;
    refuse(v, `bpf_spin_lock at off=${lock} must be held for ${word}`);
  }
  call.root = field;
}

/** A node, which is put into the list or tree, or taken from it. The list or tree was checked before. */
function checkNode(v: Verifier, call: KfuncCall, number: number, kind: 'list-node' | 'rb-node'): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  const { name } = call.use;
  if (ADDERS.has(name)) {
    if (!isOwn(type)) refuse(v, `arg#${number - 1} expected pointer to allocated object`);
    if (!d.refObjId(r)) refuse(v, 'allocated object must be referenced');
  } else {
    if (!isNonOwning(type) && !d.refObjId(r)) {
      refuse(v, `${name} can only take non-owning or refcounted bpf_rb_node pointer`);
    }
    if (inLockedCallback(v)) refuse(v, `${name} not allowed in rbtree cb`);
  }
  const word = WORDS[kind];
  const offset = fixedOffset(v, number, word);
  const found = recordAt(v, r)?.fields.some((one) => one.kind === kind && one.offset === offset);
  if (!found) refuse(v, `${word} not found at offset=${offset}`);
  const root = call.root as SpecialField | undefined;
  if (!root?.btf || root.btfId === undefined) v.bug(`${word} without its root`);
  const btf = v.btfOf(r);
  const rootWord = WORDS[root.kind as 'list-head' | 'rb-root'];
  const wanted = root.btf.nameOf(root.btfId);
  if (btf !== root.btf || d.object(r, 1) !== root.btfId) {
    refuse(
      v,
      `operation on ${rootWord} expects arg#1 ${word} at offset=${root.nodeOffset} in struct ${wanted}, ` +
        `but arg is at offset=${offset} in struct ${btf.nameOf(d.object(r, 1))}`,
    );
  }
  call.object = { btf: d.object(r, 0), id: d.object(r, 1) };
  if (offset !== root.nodeOffset) {
    refuse(
      v,
      `arg#1 offset=${offset}, but expected ${word} at offset=${root.nodeOffset} in struct ${wanted}`,
    );
  }
}

function checkQueue(
  v: Verifier,
  call: KfuncCall,
  number: number,
  kind: 'workqueue' | 'task-work',
  name: string,
): void {
  if (v.d.type(v.reg(number)) !== L.MAP_VALUE) refuse(v, `arg#${number - 1} doesn't point to a map value`);
  const { map, uid } = findTimer(v, number, kind, name);
  call.map = map;
  call.mapUid = uid;
}

function checkLockArgument(v: Verifier, call: KfuncCall, number: number): void {
  const type = v.d.type(v.reg(number));
  const { name } = call.use;
  if (type !== L.MAP_VALUE && !isOwn(type)) {
    refuse(v, `arg#${number - 1} doesn't point to map value or allocated object`);
  }
  const lock = name === 'bpf_res_spin_lock' || name === 'bpf_res_spin_lock_irqsave';
  checkResSpinLock(v, number, lock, name.includes('irq'));
}

/** After the arguments: callbacks are followed, what was put into a list or tree is owned no more. */
export function objectEffects(v: Verifier, call: KfuncCall): void {
  const { name } = call.use;
  switch (name) {
    case 'bpf_rbtree_add_impl':
      pushCallback(v, call.callback ?? 0, false, compareCallback(v, call));
      break;
    case 'bpf_wq_set_callback_impl':
      pushCallback(v, call.callback ?? 0, true, timerCallback(v));
      break;
    case 'bpf_task_work_schedule_signal_impl':
    case 'bpf_task_work_schedule_resume_impl':
      pushCallback(v, call.callback ?? 0, true, taskWorkCallback(v));
      break;
    default:
  }
  if (ADDERS.has(name)) giveAway(v, 2);
}

/** A list or tree owns the object now: what the caller still has is good until the lock is given back. */
function giveAway(v: Verifier, number: number): void {
  const id = v.d.refObjId(v.reg(number));
  if (!id) v.bug('ref_obj_id is zero for owning -> non-owning conversion');
  forEachReg(v, v.state, (r) => {
    if (v.d.refObjId(r) !== id) return;
    v.d.setRefObjId(r, 0);
    setNonOwning(v, r);
  });
  if (!releaseReferenceOf(v, v.state, id)) v.bug('ref state missing for ref_obj_id');
}

/** A pointer to what a list or tree owns. */
function setNonOwning(v: Verifier, r: Address): void {
  const { d } = v;
  if (!v.stateField(L.State_activeLocks)) v.bug('ref_set_non_owning w/o active lock');
  const type = d.type(r);
  if (type & L.NON_OWN_REF) v.bug('NON_OWN_REF already set');
  // What is counted is freed only after an RCU grace period.
  const counted = fieldOf(objectRecord(v.btfOf(r), d.object(r, 1)), 'refcount');
  d.setType(r, type | L.NON_OWN_REF | (counted ? L.RCU : 0));
}

/** An object of a list or tree, by its node. */
function markNode(v: Verifier, r: Address, { btf, btfId, nodeOffset }: SpecialField): void {
  const { d } = v;
  markPointer(v, r, L.BTF_ID | L.ALLOC);
  if (btf) d.setObject(r, 0, v.btfNumber(btf));
  d.setObject(r, 1, btfId ?? 0);
  d.setOff(r, nodeOffset ?? 0);
}

/** The comparison of two nodes that bpf_rbtree_add is given. */
function compareCallback(v: Verifier, call: KfuncCall): SetCallee {
  const { d } = v;
  const root = call.root as SpecialField;
  return (_caller, callee) => {
    for (const i of [1, 2]) {
      markNode(v, d.reg(callee, i), root);
      setNonOwning(v, d.reg(callee, i));
    }
    for (const i of [3, 4, 5]) markNotInit(v, d.reg(callee, i));
    d.set(callee, L.Frame_inCallback, 1);
    d.set(callee, L.Frame_returnMin, 0);
    d.set(callee, L.Frame_returnMax, 1);
  };
}

/** As a timer's, with the map that the third argument names; it may return anything. */
function taskWorkCallback(v: Verifier): SetCallee {
  const { d } = v;
  return (caller, callee) => {
    const map = d.object(d.reg(caller, 3), 0);
    for (const [i, type] of [
      [1, L.MAP_PTR],
      [2, L.MAP_KEY],
      [3, L.MAP_VALUE],
    ] as const) {
      markPointer(v, d.reg(callee, i), type);
      d.setObject(d.reg(callee, i), 0, map);
    }
    d.set(callee, L.Frame_inAsyncCallback, 1);
    d.set(callee, L.Frame_returnMin, -0x8000_0000);
    d.set(callee, L.Frame_returnMax, 0x7fff_ffff);
  };
}

/** Sets r0 of a function that returns such an object; false when it is none. */
export function objectResult(v: Verifier, call: KfuncCall): boolean {
  const { d } = v;
  const { name } = call.use;
  const r = v.reg(0);
  switch (name) {
    case 'bpf_obj_new_impl':
    case 'bpf_percpu_obj_new_impl':
      markNewObject(v, call, r);
      return true;
    case 'bpf_refcount_acquire_impl':
      markPointer(v, r, L.BTF_ID | L.ALLOC);
      d.setObject(r, 0, call.object?.btf ?? 0);
      d.setObject(r, 1, call.object?.id ?? 0);
      return true;
    default:
      if (!call.root || !(isListKfunc(name) || isTreeKfunc(name))) return false;
      markNode(v, r, call.root);
      return true;
  }
}

/** A node that was found in a list or tree, which keeps it. */
export function finishObjectResult(v: Verifier, call: KfuncCall): void {
  if (call.root && v.d.type(v.reg(0)) & L.ALLOC) setNonOwning(v, v.reg(0));
}

function markNewObject(v: Verifier, call: KfuncCall, r: Address): void {
  const { d, btf } = v;
  const percpu = call.use.name === 'bpf_percpu_obj_new_impl';
  const constant = call.constant ?? 0n;
  if (BigInt.asUintN(32, constant) !== constant) {
    refuse(v, 'local type ID argument must be in range [0, U32_MAX]');
  }
  if (!btf) refuse(v, 'bpf_obj_new/bpf_percpu_obj_new requires prog BTF');
  const id = Number(constant);
  const type = id < btf.typeCount ? btf.type(id) : undefined;
  if (type?.kind !== 'STRUCT') {
    refuse(v, 'bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct');
  }
  if (percpu) {
    if (type.size > MAX_PERCPU_SIZE) {
      refuse(v, `bpf_percpu_obj_new type size (${type.size}) is greater than ${MAX_PERCPU_SIZE}`);
    }
    if (!isNumbersOnly(btf, type)) {
      refuse(v, 'bpf_percpu_obj_new type ID argument must be of a struct of scalars');
    }
    if (objectRecord(btf, id)) {
      refuse(v, 'bpf_percpu_obj_new type ID argument must not contain special fields');
    }
  }
  markPointer(v, r, L.BTF_ID | L.ALLOC | (percpu ? L.PERCPU : 0));
  d.setObject(r, 0, v.btfNumber(btf));
  d.setObject(r, 1, id);
}
