// Calls of helpers (Linux: check_helper_call): who may call, what the arguments must be, what is known after.

import { Errno } from '../../bpf/errno.js';
import { helperNames } from '../../bpf/helpers.js';
import { AttachType, MapFlag, MapType, ProgType } from '../../bpf/types.js';
import { checkAccess } from './access.js';
import { type CallFacts, checkArgument, helperName, newFacts } from './arguments.js';
import { kernelResult } from './btf-access.js';
import { callbackOf } from './callbacks.js';
import { layout as L } from './domain.js';
import { dynptrDataFacts, dynptrWriteMovesPacket, releaseDynptr } from './dynptr.js';
import { checkFormat } from './format.js';
import { exchangeKptr } from './kptr.js';
import { hasLock } from './locks.js';
import { pushPath } from './paths.js';
import { markPrecise } from './precision.js';
import { typeName } from './print.js';
import { acquireReference, checkResources, invalidatePackets, releaseReference } from './references.js';
import { checkBounds, clearCallerSaved, isNull, markPointer, markUnknown, mayBeNull } from './registers.js';
import { leaveFunction, pushCallback } from './subprogram-calls.js';
import { mayCall } from './tables/helper-availability.js';
import { signatureFor } from './tables/helper-signatures.js';
import { mapHelperRefusal } from './tables/map-helpers.js';
import type { HelperSignature } from './tables/types.js';
import type { Verifier } from './verifier.js';

/** Helpers whose map is remembered for the instruction. */
const MAP_HELPERS = new Set([
  'tail_call',
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'map_push_elem',
  'map_pop_elem',
  'map_peek_elem',
  'for_each_map_elem',
  'redirect_map',
  'map_lookup_percpu_elem',
]);
const MAP_WRITERS = new Set(['map_delete_elem', 'map_update_elem', 'map_push_elem', 'map_pop_elem']);
/** MAX_ERRNO. */
const MAX_ERRNO = 4095;

/** Whether the path goes on behind the call; otherwise in the caller. */
export function checkHelperCall(v: Verifier): boolean {
  const signature = mayCallHelper(v, v.imm[v.insn] as number);
  const facts = newFacts(signature);
  for (let i = 0; i < signature.args.length; i++) checkArgument(v, facts, i);
  rememberMap(v, facts);
  noteForRewriting(v, facts);
  // What the helper fills becomes initialised, byte by byte.
  for (let i = 0; i < facts.raw.size; i++) {
    checkAccess(v, { pointer: facts.raw.register, off: i, size: 1, type: 'write', value: -1 });
  }
  if (facts.release) release(v, facts);
  const movesPacket = special(v, facts);
  clearCallerSaved(v);
  setResult(v, facts);
  checkMapHelper(v, facts);
  if (signature.name === 'get_func_ip') checkFunctionAddress(v);
  if (signature.name === 'tail_call') return tailCall(v);
  if (movesPacket) invalidatePackets(v);
  return true;
}

/** A function that ends in another program returns what that program does, with the packet as it has left it. */
function tailCall(v: Verifier): boolean {
  if (v.frameNumber === 0) return true;
  v.scratchReg(0);
  pushPath(v, v.insn + 1, v.insn, false, Errno.ENOMEM);
  invalidatePackets(v);
  markUnknown(v, v.reg(0));
  v.stackLiveness.update();
  leaveFunction(v);
  v.stackLiveness.chainChanged();
  return false;
}

const TRAMPOLINES: readonly number[] = [
  AttachType.TraceFentry,
  AttachType.TraceFexit,
  AttachType.ModifyReturn,
];

/** Only what hooks a function can say which one it is. */
function checkFunctionAddress(v: Verifier): void {
  const { type, expectedAttachType } = v.program;
  const name = 'func bpf_get_func_ip#173';
  if (type === ProgType.Kprobe) return;
  if (type !== ProgType.Tracing) {
    v.reject(Errno.ENOTSUPP, `${name} not supported for program type ${type}`);
  }
  if (!TRAMPOLINES.includes(expectedAttachType)) {
    v.reject(Errno.ENOTSUPP, `${name} supported only for fentry/fexit/fmod_ret programs`);
  }
}

/** The helper exists, and this program may call it here. */
function mayCallHelper(v: Verifier, id: number): HelperSignature {
  const { type, expectedAttachType: attach } = v.program;
  const name = helperNames[id];
  if (name === undefined) return v.reject(Errno.EINVAL, `invalid func unknown#${id}`);
  const signature = signatureFor(id, type, attach) as HelperSignature | undefined;
  const missing = v.environment.lacking?.helpers?.includes(name) === true;
  if (missing || !signature || !mayCall(type, id, v.helperContext) || !v.capableOf(name)) {
    return v.reject(Errno.EINVAL, `program of this type cannot use helper bpf_${name}#${id}`);
  }
  if (signature.gplOnly && !v.gplCompatible) {
    v.reject(Errno.EINVAL, 'cannot call GPL-restricted function from non-GPL compatible program');
  }
  if (signature.allowedHooks && !v.hookAllows(signature.allowedHooks)) {
    v.reject(Errno.EINVAL, 'helper call is not allowed in probe');
  }
  if (signature.mightSleep === true) {
    if (!v.sleepable) v.reject(Errno.EINVAL, 'helper call might sleep in a non-sleepable prog');
    const refuse = (where: string) =>
      v.reject(Errno.EINVAL, `sleepable helper ${helperName(signature)} in ${where}`);
    if (v.stateField(L.State_rcuLocks)) refuse('rcu_read_lock region');
    if (v.stateField(L.State_preemptLocks)) refuse('non-preemptible region');
    if (v.stateField(L.State_irqId)) refuse('IRQ-disabled region');
  }
  return signature;
}

function rememberMap(v: Verifier, { signature, map }: CallFacts): void {
  if (!MAP_HELPERS.has(signature.name) || !map) return;
  if (map.flags & MapFlag.RdonlyProg && MAP_WRITERS.has(signature.name)) {
    v.reject(Errno.EACCES, 'write into map forbidden');
  }
  const use = v.mapUse.get(v.insn);
  if (!use) v.mapUse.set(v.insn, { map, poisoned: false });
  else if (use.map !== map) use.poisoned = true;
  if (signature.name !== 'tail_call') return;
  if (map.type !== MapType.ProgArray) {
    // Linux ends this line in no way.
    v.log.write('expected prog array map for tail call');
    v.reject(Errno.EINVAL);
  }
  const index = v.reg(3);
  if (v.d.type(index) === L.SCALAR && v.d.isConst(index) && v.d.umin(index) < map.maxEntries)
    markPrecise(v, 3);
}

function noteForRewriting(v: Verifier, { signature: { name } }: CallFacts): void {
  if (name.endsWith('_storage_get') && !v.mayUseSleeping()) v.atomicCalls.add(v.insn);
  const percpu = name === 'per_cpu_ptr' || name === 'this_cpu_ptr';
  if (percpu && v.d.type(v.reg(1)) & L.RCU) v.percpuCalls.add(v.insn);
}

function release(v: Verifier, facts: CallFacts): void {
  const number = facts.release;
  const arg = facts.signature.args[number - 1];
  let released: boolean;
  if (arg?.kind === 'dynptr') released = releaseDynptr(v, number);
  else if (facts.signature.name === 'kptr_xchg' && facts.refObjId) released = exchangeKptr(v, facts.refObjId);
  else if (facts.refObjId) released = releaseReference(v, facts.refObjId);
  else released = isNull(v, v.reg(number));
  if (!released) {
    v.reject(Errno.EINVAL, `func ${helperName(facts.signature)} reference has not been acquired before`);
  }
}

/** Whether bpf_loop can be inlined rests on its flags: where they are 0, they must be so exactly. */
function noteLoop(v: Verifier, subprog: number): void {
  const noFlags = () => {
    const zero = isNull(v, v.reg(4));
    if (zero) markPrecise(v, 4);
    return zero;
  };
  const loop = v.inlinedLoops.get(v.insn);
  if (!loop) v.inlinedLoops.set(v.insn, { subprog, fits: noFlags() });
  else if (loop.fits) loop.fits = noFlags() && loop.subprog === subprog;
}

/** What single helpers ask for or do beside; whether the packet may have moved. */
function special(v: Verifier, facts: CallFacts): boolean {
  const { d } = v;
  const { signature } = facts;
  switch (signature.name) {
    case 'tail_call':
      checkResources(v, false, true, 'tail_call');
      break;
    case 'get_local_storage':
      if (!isNull(v, v.reg(2))) {
        v.reject(Errno.EINVAL, "get_local_storage() doesn't support non-zero flags");
      }
      break;
    case 'snprintf':
      checkFormat(v);
      break;
    case 'loop': {
      noteLoop(v, facts.callback ?? 0);
      markPrecise(v, 1);
      if (d.get(v.frame, L.Frame_callbackDepth) < d.umax(v.reg(1))) {
        pushCallback(v, facts.callback ?? 0, false, callbackOf(v, facts));
      } else {
        d.set(v.frame, L.Frame_callbackDepth, 0);
        if (v.log.verbose) v.log.write(`frame${v.frameNumber} bpf_loop iteration limit reached\n`);
      }
      break;
    }
    case 'for_each_map_elem':
    case 'timer_set_callback':
    case 'find_vma':
    case 'user_ringbuf_drain':
      pushCallback(v, facts.callback ?? 0, false, callbackOf(v, facts));
      break;
    case 'dynptr_from_mem':
      if (d.type(v.reg(1)) !== L.MAP_VALUE) {
        v.reject(
          Errno.EACCES,
          `Unsupported reg type ${typeName(d.type(v.reg(1)))} for bpf_dynptr_from_mem data`,
        );
      }
      break;
    case 'set_retval':
      if (v.program.type === ProgType.Lsm && v.targetReturnsVoid) {
        v.reject(Errno.EINVAL, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!");
      }
      break;
    case 'dynptr_data':
      dynptrDataFacts(v, facts);
      break;
    case 'dynptr_write':
      return dynptrWriteMovesPacket(v);
    default:
  }
  return signature.changesPacket === true;
}

const POINTERS = {
  socket: L.SOCKET,
  'sock-common': L.SOCK_COMMON,
  'tcp-sock': L.TCP_SOCK,
} as const;

function setResult(v: Verifier, facts: CallFacts): void {
  const { d } = v;
  const { signature, map } = facts;
  const { returns } = signature;
  const r = v.reg(0);
  let flags = 0;
  if (returns.nullable) flags |= L.MAYBE_NULL;
  if (returns.readOnly) flags |= L.RDONLY;
  if (returns.trusted) flags |= L.TRUSTED;
  switch (returns.kind) {
    case 'integer':
      markUnknown(v, r);
      break;
    case 'void':
      return;
    case 'map-value': {
      if (!map) v.reject(Errno.EINVAL, 'kernel subsystem misconfigured verifier');
      // An element of an array whose number is known to be there.
      if (signature.name === 'map_lookup_elem' && facts.key >= 0 && facts.key < map.maxEntries) {
        flags &= ~L.MAYBE_NULL;
      }
      markPointer(v, r, L.MAP_VALUE | flags);
      d.setObject(r, 0, v.mapNumber(map));
      d.setObject(r, 1, facts.mapUid);
      if (!(flags & L.MAYBE_NULL) && hasLock(map.record)) d.setId(r, v.newId());
      break;
    }
    case 'socket':
    case 'sock-common':
    case 'tcp-sock':
      markPointer(v, r, POINTERS[returns.kind] | flags);
      break;
    case 'ringbuf-mem':
      markPointer(v, r, L.MEM | L.RINGBUF | flags);
      d.setObject(r, 0, facts.allocSize);
      break;
    case 'dynptr-mem':
      markPointer(v, r, L.MEM | flags);
      d.setObject(r, 0, facts.allocSize);
      d.setObject(r, 1, facts.dynptrId);
      break;
    default:
      kernelResult(v, facts, flags);
  }
  if (mayBeNull(d.type(r))) d.setId(r, v.newId());
  const sockmap = map?.type === MapType.Sockmap || map?.type === MapType.Sockhash;
  if (signature.castsSocket || signature.name === 'dynptr_data') {
    d.setRefObjId(r, facts.refObjId);
  } else if (signature.acquires === true || (signature.acquires === 'sockmap' && sockmap)) {
    const id = acquireReference(v);
    d.setId(r, id);
    d.setRefObjId(r, id);
  }
  refineResult(v, facts);
}

/** Numbers that a helper returns are not any. */
function refineResult(v: Verifier, { signature, maxSize }: CallFacts): void {
  if (signature.returns.kind !== 'integer') return;
  const { d } = v;
  const r = v.reg(0);
  switch (signature.name) {
    case 'get_stack':
    case 'get_task_stack':
    case 'probe_read_str':
    case 'probe_read_kernel_str':
    case 'probe_read_user_str':
      d.setBig(r, L.Reg_smax, BigInt(maxSize));
      d.set(r, L.Reg_s32max, maxSize);
      d.setBig(r, L.Reg_smin, BigInt(-MAX_ERRNO));
      d.set(r, L.Reg_s32min, -MAX_ERRNO);
      d.wasm.regSync(r);
      break;
    case 'get_smp_processor_id': {
      const last = v.cpus - 1;
      for (const field of [L.Reg_umax, L.Reg_smax]) d.setBig(r, field, BigInt(last));
      for (const field of [L.Reg_umin, L.Reg_smin]) d.setBig(r, field, 0n);
      for (const field of [L.Reg_u32max, L.Reg_s32max]) d.set(r, field, last);
      for (const field of [L.Reg_u32min, L.Reg_s32min]) d.set(r, field, 0);
      d.wasm.regSync(r);
      break;
    }
    default:
  }
  checkBounds(v, r, 'retval');
}

/** The map's type and the helper go together (check_map_func_compatibility). */
function checkMapHelper(v: Verifier, { signature, map }: CallFacts): void {
  if (!map) return;
  const why = mapHelperRefusal(map.type, signature.id, v.program.type, v.program.expectedAttachType);
  if (why !== undefined) v.reject(Errno.EINVAL, why);
}
