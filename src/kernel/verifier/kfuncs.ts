// Kernel functions that programs may call: found by BTF id, checked by their prototypes and flags (Linux:
// check_kfunc_call).

import { Errno } from '../../bpf/errno.js';
import type { Btf, BtfFunc, BtfFuncProto } from '../../btf/index.js';
import { layout as L } from './domain.js';
import { isHelperCall } from './functions.js';
import { objectEffects } from './graph.js';
import { advance, inRcuSection } from './iterators.js';
import { checkKfuncArguments } from './kfunc-arguments.js';
import { type KfuncCall, type KfuncUse, newCall } from './kfunc-call.js';
import { setKfuncResult } from './kfunc-results.js';
import { checkSections } from './kfunc-sections.js';
import { pushPath } from './paths.js';
import { invalidatePackets, releaseReference } from './references.js';
import { clearCallerSaved, markUnknown } from './registers.js';
import { checkReturn } from './returns.js';
import { helperSignature } from './tables/helper-signatures.js';
import { kfunc, mayCallKfunc } from './tables/kfuncs.js';
import type { Verifier } from './verifier.js';

export type { KfuncUse } from './kfunc-call.js';

/** MAX_KFUNC_DESCS. */
const MOST = 256;
const MAX_ERRNO = 4095;
/** BPF_F_XDP_DEV_BOUND_ONLY. */
const DEVICE_BOUND = 1 << 6;

/** Kfuncs of a program, by BTF id: only the kernel's own BTF has any. */
const uses = new WeakMap<Verifier, Map<number, KfuncUse>>();

function usesOf(v: Verifier): Map<number, KfuncUse> {
  let known = uses.get(v);
  if (!known) {
    known = new Map();
    uses.set(v, known);
  }
  return known;
}

/** A call is met before anything is followed: its function must be there, though not yet allowed. */
export function addKfunc(v: Verifier, slot: number): void {
  const known = usesOf(v);
  const id = v.imm[slot] as number;
  const module = v.off[slot] as number;
  const btf = v.environment.kernelTypes?.();
  if (!btf) {
    v.reject(Errno.ENOTSUPP, 'calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF');
  }
  if (!v.gplCompatible) {
    v.reject(Errno.EINVAL, 'cannot call kernel function from non-GPL compatible program');
  }
  // A function that was not found and may be missing: an error only where it is called.
  if (!id && !module) return;
  if (module) findModule(v, module);
  if (known.has(id)) return;
  if (known.size === MOST) v.reject(Errno.E2BIG, 'too many different kernel function calls');
  known.set(id, useOf(v, btf, id));
}

/** Modules have BTF of their own, by an index into fd_array. There are none here. */
function findModule(v: Verifier, module: number): never {
  const refuse = (errno: Errno, message: string) =>
    v.reject(errno, `${message}\nfailed to find BTF for kernel function`);
  if (module < 0) {
    return refuse(Errno.EINVAL, 'negative offset disallowed for kernel module function call');
  }
  const fds = v.program.fdArray;
  if (!fds) return refuse(Errno.EPROTO, 'kfunc offset > 0 without fd_array is invalid');
  const fd = fds[module];
  if (fd === undefined) return refuse(Errno.EFAULT, '');
  if (!v.environment.btf(fd)) return refuse(Errno.EBADF, 'invalid module BTF fd specified');
  return refuse(Errno.EINVAL, 'BTF fd for kfunc is not a module BTF');
}

function useOf(v: Verifier, btf: Btf, id: number): KfuncUse {
  if (id < 0 || id >= btf.typeCount || btf.kind(id) !== 'FUNC') {
    v.reject(Errno.EINVAL, `kernel btf_id ${id >>> 0} is not a function`);
  }
  const func = btf.type(id) as BtfFunc;
  if (btf.kind(func.type) !== 'FUNC_PROTO') {
    v.reject(Errno.EINVAL, `kernel function btf_id ${id} does not have a valid func_proto`);
  }
  const proto = btf.type(func.type) as BtfFuncProto;
  const row = kfunc(func.name);
  if (row?.filter === 'device-bound' && !(v.program.flags & DEVICE_BOUND)) {
    v.reject(Errno.EINVAL, 'metadata kfuncs require device-bound program');
  }
  const allowed = row !== undefined && mayCallKfunc(row, v.program.type, v.program.expectedAttachType);
  return {
    name: func.name,
    allowed,
    flags: row?.flags ?? {},
    btf,
    btfId: id,
    proto,
    parameters: proto.params,
    ...(row?.callback ? { callback: row.callback } : {}),
    ...(row?.changesPacket ? { changesPacket: true } : {}),
  };
}

/** The kfunc that a slot calls. */
export function kfuncAt(v: Verifier, slot: number): KfuncUse | undefined {
  return v.off[slot] === 0 ? usesOf(v).get(v.imm[slot] as number) : undefined;
}

/** Whether the call at a slot calls a function of the program back. */
export function callsBack(v: Verifier, slot: number): 'now' | 'later' | undefined {
  if (isHelperCall(v, slot)) return helperSignature(v.imm[slot] as number)?.callback;
  return kfuncAt(v, slot)?.callback;
}

/** bpf_throw. */
export function isThrow(v: Verifier, slot: number): boolean {
  return kfuncAt(v, slot)?.name === 'bpf_throw';
}

export function checkKfuncCall(v: Verifier): void {
  const use = kfuncAt(v, v.insn);
  // One that is missing here is an error only in what is left when dead code is gone.
  if (!use) refuseMissing(v);
  const { name, flags } = use;
  if (!use.allowed) v.reject(Errno.EACCES, `calling kernel function ${name} is not allowed`);
  if (name === 'bpf_res_spin_lock' || name === 'bpf_res_spin_lock_irqsave') pushRefused(v);
  if (name === '__bpf_trap') {
    v.reject(Errno.EFAULT, 'unexpected __bpf_trap() due to uninitialized variable?');
  }
  if (flags.destructive && !v.caps.sysAdmin) {
    v.reject(Errno.EACCES, 'destructive kfunc calls require CAP_SYS_BOOT capability');
  }
  if (flags.sleepable && !v.sleepable) {
    v.reject(Errno.EACCES, `program must be sleepable to call sleepable kfunc ${name}`);
  }
  const call = newCall(use);
  checkKfuncArguments(v, call);
  if (name === 'bpf_session_cookie') call.returnSize = 8;
  objectEffects(v, call);
  noteObject(v, call);
  checkSections(v, use);
  if (flags.rcuProtected && !inRcuSection(v)) {
    v.reject(Errno.EACCES, `kernel func ${name} requires RCU critical section protection`);
  }
  if (call.release && !releaseReference(v, v.d.refObjId(v.reg(call.release)))) {
    v.reject(Errno.EINVAL, `kfunc ${name}#${use.btfId} reference has not been acquired before`);
  }
  if (name === 'bpf_throw' && !v.subprogs.some(({ isExceptionCallback }) => isExceptionCallback)) {
    // What is thrown is what the program returns.
    checkReturn(v, 1);
  }
  clearCallerSaved(v);
  v.scratchedRegs |= 0x3f;
  setKfuncResult(v, call);
  if (use.changesPacket) invalidatePackets(v);
  if (flags.iterator === 'next') advance(v, call);
}

/** Rewriting gives some functions the type of an object, and where a node lies in it. */
function noteObject(v: Verifier, { use: { name }, constant, object, root }: KfuncCall): void {
  const made = name === 'bpf_obj_new_impl' || name === 'bpf_percpu_obj_new_impl';
  const type = root?.btf
    ? { btf: root.btf, typeId: root.btfId ?? 0, nodeOffset: root.nodeOffset ?? 0 }
    : object
      ? { btf: v.btfs[object.btf] as Btf, typeId: object.id }
      : made && v.btf && { btf: v.btf, typeId: Number(constant ?? 0n) };
  if (type) v.kfuncFacts.set(v.insn, type);
}

function refuseMissing(v: Verifier): never {
  if (v.imm[v.insn] === 0) {
    v.reject(Errno.EINVAL, 'invalid kernel function call not eliminated in verifier pass');
  }
  return v.reject(Errno.EINVAL);
}

/** The lock may not be had: another path goes on with an error, and without it. */
function pushRefused(v: Verifier): void {
  const { d } = v;
  const frame = d.currentFrame(pushPath(v, v.insn + 1, v.insn, false, Errno.ENOMEM));
  for (let i = 0; i <= 5; i++) d.clearReg(d.reg(frame, i));
  const r = d.reg(frame, 0);
  markUnknown(v, r);
  d.setBig(r, L.Reg_smin, BigInt(-MAX_ERRNO));
  d.setBig(r, L.Reg_smax, -1n);
  d.set(r, L.Reg_s32min, -MAX_ERRNO);
  d.set(r, L.Reg_s32max, -1);
  d.wasm.regSync(r);
}
