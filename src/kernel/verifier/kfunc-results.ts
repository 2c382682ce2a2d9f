// What r0 holds after a kernel function: its return type says, and some functions say more (Linux: check_special_kfunc).

import { Errno } from '../../bpf/errno.js';
import type { BtfType } from '../../btf/index.js';
import { layout as L } from './domain.js';
import { DynptrKind, dynptrFlag } from './dynptr.js';
import { finishObjectResult, objectResult } from './graph.js';
import { iteratorUnderRcu } from './iterators.js';
import { isComposite, isNumber, type KfuncCall, kindText, nameText, resolved } from './kfunc-call.js';
import { acquireReference } from './references.js';
import { markConstant, markPointer, markUnknown } from './registers.js';
import type { Verifier } from './verifier.js';

/** Acquiring functions whose return type is void *. */
const ALLOCATORS = new Set(['bpf_obj_new_impl', 'bpf_percpu_obj_new_impl', 'bpf_refcount_acquire_impl']);

export function setKfuncResult(v: Verifier, call: KfuncCall): void {
  const { d } = v;
  const { name, btf, flags, proto } = call.use;
  const { type } = resolved(btf, proto.returnType);
  const target = type.kind === 'PTR' ? resolved(btf, type.type) : undefined;
  if (flags.acquire && !(target && isComposite(target.type)) && !ALLOCATORS.has(name)) {
    v.reject(Errno.EINVAL, 'acquire kernel function does not return PTR_TO_BTF_ID');
  }
  const r = v.reg(0);
  if (isNumber(type)) {
    markUnknown(v, r);
    // The path on which the lock is not taken is another.
    if (name === 'bpf_res_spin_lock' || name === 'bpf_res_spin_lock_irqsave') markConstant(v, r, 0);
    return;
  }
  if (!target) return;
  if (!objectResult(v, call) && !specialResult(v, call)) setPointer(v, call, target);
  const nullable = flags.retNull === true && !(name === 'bpf_refcount_acquire_impl' && call.owning);
  if (nullable) {
    d.setType(r, d.type(r) | L.MAYBE_NULL);
    d.setId(r, v.newId());
  }
  if (flags.acquire) {
    const id = acquireReference(v);
    if (nullable) d.setId(r, id);
    d.setRefObjId(r, id);
  } else {
    finishObjectResult(v, call);
  }
  if (v.mayPointToLock(r) && !d.id(r)) d.setId(r, v.newId());
}

function setPointer(v: Verifier, call: KfuncCall, target: { id: number; type: BtfType }): void {
  const { d } = v;
  const { name, btf, flags } = call.use;
  const r = v.reg(0);
  if (target.type.kind === 'VOID') {
    markUnknown(v, r);
    return;
  }
  if (!isComposite(target.type)) {
    if (!call.returnSize) {
      try {
        call.returnSize = btf.sizeOf(target.id);
        call.returnReadOnly = true;
      } catch {
        v.reject(
          Errno.EINVAL,
          `kernel function ${name} returns pointer type ${kindText(target.type)} ${nameText(target.type)} is not supported`,
        );
      }
    }
    markPointer(v, r, call.returnReadOnly ? L.MEM | L.RDONLY : L.MEM);
    d.setObject(r, 0, call.returnSize);
    if (call.refObjId) d.setRefObjId(r, call.refObjId);
    return;
  }
  let trust = 0;
  if (name === 'bpf_get_kmem_cache') trust = L.UNTRUSTED;
  else if (flags.rcuProtected) trust = L.RCU;
  if (flags.iterator === 'next') trust |= iteratorUnderRcu(v, call) ? L.RCU : L.TRUSTED;
  markPointer(v, r, L.BTF_ID | trust);
  d.setObject(r, 0, v.btfNumber(btf));
  d.setObject(r, 1, target.id);
}

function specialResult(v: Verifier, call: KfuncCall): boolean {
  const { d } = v;
  const { name, btf } = call.use;
  const r = v.reg(0);
  switch (name) {
    case 'bpf_cast_to_kern_ctx': {
      const { kernelContext } = v.rules;
      const id = kernelContext === undefined ? undefined : btf.findByName(kernelContext, 'STRUCT');
      if (id === undefined) return v.reject(Errno.EINVAL);
      markPointer(v, r, L.BTF_ID | L.TRUSTED);
      d.setObject(r, 0, v.btfNumber(btf));
      d.setObject(r, 1, id);
      return true;
    }
    case 'bpf_rdonly_cast':
      cast(v, call);
      return true;
    case 'bpf_dynptr_slice':
    case 'bpf_dynptr_slice_rdwr': {
      const { dynptr, constant } = call;
      if (!dynptr || constant === undefined) return v.bug('bpf_dynptr_slice(_rdwr) no constant size');
      const writable = name === 'bpf_dynptr_slice_rdwr';
      if (writable && !mayWritePacket(v)) {
        v.reject(Errno.EINVAL, 'the prog does not allow writes to packet data');
      }
      if (!dynptr.id) v.bug('no dynptr id');
      const kind = dynptr.type === DynptrKind.NONE ? 0 : dynptrFlag(dynptr.type);
      markPointer(v, r, L.MEM | kind | (writable ? 0 : L.RDONLY));
      d.setObject(r, 0, Number(BigInt.asIntN(32, constant)));
      d.setObject(r, 1, dynptr.id);
      return true;
    }
    default:
      return false;
  }
}

/** Slices for writing are for programs that may write packets, whatever lies behind the dynptr. */
function mayWritePacket(v: Verifier): boolean {
  const { packet } = v.rules;
  if (packet?.write) v.writesPacket = true;
  return packet?.write === true;
}

/** bpf_rdonly_cast: a number seen as a pointer to a structure, or (void) to bytes; nobody vouches for it. */
function cast(v: Verifier, { constant = 0n, use: { btf } }: KfuncCall): void {
  const { d } = v;
  const r = v.reg(0);
  const id = Number(BigInt.asUintN(32, constant));
  if (id >= btf.typeCount) {
    v.reject(Errno.EINVAL, `Unknown type ID ${constant} passed to kfunc bpf_rdonly_cast`);
  }
  const type = btf.type(id);
  if (isComposite(type)) {
    markPointer(v, r, L.BTF_ID | L.UNTRUSTED);
    d.setObject(r, 0, v.btfNumber(btf));
    d.setObject(r, 1, id);
  } else if (type.kind === 'VOID') {
    markPointer(v, r, L.MEM | L.RDONLY | L.UNTRUSTED);
    d.setObject(r, 0, 0);
  } else {
    v.reject(Errno.EINVAL, 'kfunc bpf_rdonly_cast type ID argument must be of a struct or void');
  }
}
