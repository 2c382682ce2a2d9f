// Arguments of kernel functions: the parameter's type and name say what is asked for (Linux: check_kfunc_args).

import { Errno } from '../../bpf/errno.js';
import type { BtfParam, BtfType } from '../../btf/index.js';
import { checkConstantString, checkMemory, checkOffset } from './arguments.js';
import { markNotNull } from './branch.js';
import { startsWith } from './btf-walk.js';
import { type Address, layout as L } from './domain.js';
import { checkDynptr, DynptrKind, describeDynptr } from './dynptr.js';
import { isContext, isProjection } from './global-functions.js';
import { checkObject, type ObjectKind } from './graph.js';
import { checkIrqFlag } from './irq.js';
import { checkIterator } from './iterators.js';
import {
  isComposite,
  isNumber,
  isNumbersOnly,
  type KfuncCall,
  kindText,
  nameText,
  resolved,
} from './kfunc-call.js';
import { markPrecise } from './precision.js';
import { typeName } from './print.js';
import { fieldOf } from './record.js';
import { baseType, isNull, mayBeNull } from './registers.js';
import { type KfuncParameter, kfuncParameter } from './tables/kfunc-parameters.js';
import type { Verifier } from './verifier.js';

const MAX_ARGUMENTS = 5;
const MAX_SIZE = 1 << 29;

/** What a pointer argument is, by the parameter and by the register. */
type Kind =
  | 'context'
  | 'null'
  | 'dynptr'
  | 'iterator'
  | 'string'
  | 'map'
  | 'irq-flag'
  | 'structure'
  | 'callback'
  | 'sized-memory'
  | 'memory'
  | ObjectKind;

/** Structures whose pointers are objects of a kind of their own. */
const OBJECTS: Readonly<Record<string, Kind>> = {
  bpf_list_head: 'list-head',
  bpf_list_node: 'list-node',
  bpf_rb_root: 'rb-root',
  bpf_rb_node: 'rb-node',
  bpf_wq: 'workqueue',
  bpf_task_work: 'task-work',
  bpf_res_spin_lock: 'res-spin-lock',
};

/** Kernel structures behind registers that are not typed by BTF. */
const STRUCTURES = new Map<number, string>([
  [L.SOCKET, 'sock'],
  [L.SOCK_COMMON, 'sock_common'],
  [L.TCP_SOCK, 'tcp_sock'],
  [L.MAP_PTR, 'bpf_map'],
]);

const TRUSTED_FLAGS = L.ALLOC | L.TRUSTED | L.NON_OWN_REF;
/** A flag that says neither that the pointer is good nor of which allocation it is. */
const isUnsafe = (type: number): boolean => (type & ~(L.BASE_TYPE | TRUSTED_FLAGS)) !== 0;

function isTrusted(v: Verifier, r: Address): boolean {
  const type = v.d.type(r);
  if (v.d.refObjId(r)) return true;
  if (isUnsafe(type)) return false;
  return STRUCTURES.has(baseType(type)) || (type & TRUSTED_FLAGS) !== 0;
}

/** Checks all arguments of a call and notes what they say. */
export function checkKfuncArguments(v: Verifier, call: KfuncCall): void {
  const { name, parameters, flags, btf } = call.use;
  if (parameters.length > MAX_ARGUMENTS) {
    v.reject(Errno.EINVAL, `Function ${name} has ${parameters.length} > ${MAX_ARGUMENTS} args`);
  }
  for (let i = 0; i < parameters.length; i++) {
    const parameter = parameters[i] as BtfParam;
    const suffix = kfuncParameter(parameter.name);
    if (suffix === 'ignored' || suffix === 'program') continue;
    const type = resolved(btf, parameter.type).type;
    if (isNumber(type)) checkNumber(v, call, i + 1, parameter, suffix);
    else if (type.kind !== 'PTR') v.reject(Errno.EINVAL, `Unrecognized arg#${i} type ${kindText(type)}`);
    // The size is checked with the memory.
    else if (checkPointer(v, call, i + 1, parameter, suffix, type.type) === 'sized-memory') i++;
  }
  if (flags.release && !call.release) {
    v.reject(Errno.EINVAL, `release kernel function ${name} expects refcounted PTR_TO_BTF_ID`);
  }
}

function checkNumber(
  v: Verifier,
  call: KfuncCall,
  number: number,
  { name }: BtfParam,
  suffix: KfuncParameter | undefined,
): void {
  const { d } = v;
  const r = v.reg(number);
  if (d.type(r) !== L.SCALAR) v.reject(Errno.EINVAL, `R${number} is not a scalar`);
  if (suffix === 'constant') {
    if (call.constant !== undefined) v.bug('only one constant argument permitted');
    if (!d.isConst(r)) v.reject(Errno.EINVAL, `R${number} must be a known constant`);
    markPrecise(v, number);
    call.constant = d.constant(v.reg(number));
    return;
  }
  if (name !== 'rdonly_buf_size' && name !== 'rdwr_buf_size') return;
  if (name === 'rdonly_buf_size') call.returnReadOnly = true;
  if (call.returnSize) v.reject(Errno.EINVAL, '2 or more rdonly/rdwr_buf_size parameters for kfunc');
  if (!d.isConst(r)) v.reject(Errno.EINVAL, `R${number} is not a const`);
  if (d.umin(r) > 0xffff_ffff) {
    v.reject(Errno.EINVAL, `R${number} rdonly/rdwr_buf_size exceeds u32 max`);
  }
  call.returnSize = d.umin(r);
  markPrecise(v, number);
}

function checkPointer(
  v: Verifier,
  call: KfuncCall,
  number: number,
  parameter: BtfParam,
  suffix: KfuncParameter | undefined,
  targetId: number,
): Kind {
  const { d } = v;
  const { flags, btf } = call.use;
  const r = v.reg(number);
  const type = d.type(r);
  const trusting = flags.trustedArgs === true || flags.release === true;
  const mayBe = isNull(v, r) || mayBeNull(type);
  if ((trusting || flags.rcu) && mayBe && suffix !== 'nullable') {
    v.reject(Errno.EACCES, `Possibly NULL pointer passed to trusted arg${number - 1}`);
  }
  if (d.refObjId(r)) {
    if (flags.release && call.refObjId) {
      v.bug(`more than one arg with ref_obj_id R${number} ${d.refObjId(r)} ${call.refObjId}`);
    }
    call.refObjId = d.refObjId(r);
    if (flags.release) call.release = number;
  }
  const target = resolved(btf, targetId);
  const kind = kindOf(v, call, number, parameter, suffix, targetId);
  if (kind === 'null') return kind;
  if (kind === 'map') noteMap(v, call, number);
  if ((kind === 'map' || kind === 'allocated' || kind === 'structure') && (trusting || flags.rcu)) {
    if (!isTrusted(v, r)) {
      if (!flags.rcu) v.reject(Errno.EINVAL, `R${number} must be referenced or trusted`);
      if (!(type & L.RCU)) v.reject(Errno.EINVAL, `R${number} must be a rcu pointer`);
    }
  }
  const releasing = flags.release === true && d.refObjId(r) !== 0;
  checkOffset(v, number, releasing ? { kind: 'anything', release: true } : { kind: 'anything' });
  checkKind(v, call, number, kind, suffix, target);
  return kind;
}

function checkKind(
  v: Verifier,
  call: KfuncCall,
  number: number,
  kind: Exclude<Kind, 'null'>,
  suffix: KfuncParameter | undefined,
  target: { readonly id: number; readonly type: BtfType },
): void {
  const { d } = v;
  const { use } = call;
  const type = d.type(v.reg(number));
  const at = number - 1;
  const refuse = (message: string) => v.reject(Errno.EINVAL, message);
  switch (kind) {
    case 'context':
      if (type !== L.CTX) refuse(`arg#${at} expected pointer to ctx, but got ${typeName(type)}`);
      return;
    case 'dynptr':
      checkDynptrOf(v, call, number, suffix === 'uninit');
      return;
    case 'iterator':
      checkIterator(v, call, number);
      return;
    case 'map':
    case 'structure':
      checkStructure(v, call, number, kind === 'map' ? kernelStruct(v, 'bpf_map') : target);
      return;
    case 'memory': {
      let size = 0;
      try {
        size = use.btf.sizeOf(target.id);
      } catch {
        refuse(
          `arg#${at} reference type('${kindText(target.type)} ${nameText(target.type)}') size cannot be determined: -22`,
        );
      }
      checkFixedMemory(v, number, size);
      return;
    }
    case 'sized-memory':
      checkSizedMemory(v, call, number, suffix);
      return;
    case 'callback':
      if (type !== L.FUNC) refuse(`arg${at} expected pointer to func`);
      call.callback = d.object(v.reg(number), 0);
      return;
    case 'string':
      if (type !== L.MAP_VALUE) refuse(`arg#${at} doesn't point to a const string`);
      checkConstantString(v, number);
      return;
    case 'irq-flag':
      checkIrqFlag(v, use.name, number);
      return;
    default:
      checkObject(v, call, number, kind);
  }
}

/** The parameter behind `number` is the size of its memory. */
function hasSize(v: Verifier, { use }: KfuncCall, number: number): boolean {
  const next = use.parameters[number];
  if (!next) return false;
  const suffix = kfuncParameter(next.name);
  if (suffix !== 'size' && suffix !== 'const-size') return false;
  return isNumber(resolved(use.btf, next.type).type) && v.d.type(v.reg(number + 1)) === L.SCALAR;
}

function kindOf(
  v: Verifier,
  call: KfuncCall,
  number: number,
  parameter: BtfParam,
  suffix: KfuncParameter | undefined,
  targetId: number,
): Kind {
  const { use } = call;
  const { btf } = use;
  const r = v.reg(number);
  const target = resolved(btf, targetId).type;
  if (use.name === 'bpf_cast_to_kern_ctx') return 'context';
  const sized = hasSize(v, call, number);
  if (isContext(v, btf, targetId)) return 'context';
  if (suffix === 'nullable' && isNull(v, r) && !sized) return 'null';
  if (suffix === 'allocated') return 'allocated';
  if (suffix === 'refcounted') return 'refcounted';
  if (isComposite(target) && nameText(target) === 'bpf_dynptr') return 'dynptr';
  if (use.flags.iterator ? number === 1 : parameter.name.endsWith('__iter')) return 'iterator';
  const object = isComposite(target) ? OBJECTS[nameText(target)] : undefined;
  if (object) return object;
  if (suffix === 'const-str') return 'string';
  if (suffix === 'map') return 'map';
  if (suffix === 'irq-flag') return 'irq-flag';
  const base = baseType(v.d.type(r));
  if (base === L.BTF_ID || STRUCTURES.has(base)) {
    if (target.kind !== 'STRUCT' && target.kind !== 'UNION') {
      v.reject(
        Errno.EINVAL,
        `kernel function ${use.name} args#${number - 1} pointer type ${kindText(target)} ${nameText(target)} is not supported`,
      );
    }
    return 'structure';
  }
  if (target.kind === 'FUNC_PROTO') return 'callback';
  if (!isNumber(target) && !isNumbersOnly(btf, target) && !(sized && target.kind === 'VOID')) {
    v.reject(
      Errno.EINVAL,
      `arg#${number - 1} pointer type ${kindText(target)} ${nameText(target)} must point to ${sized ? 'void, ' : ''}scalar, or struct with scalar`,
    );
  }
  return sized ? 'sized-memory' : 'memory';
}

/** Registers that lead to objects of other kinds. */
const OTHER_OBJECTS = new Set<number>([L.BTF_ID, L.MAP_VALUE, L.MAP_KEY, L.MEM, L.DYNPTR]);

function noteMap(v: Verifier, call: KfuncCall, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  if (d.type(r) !== L.MAP_PTR) {
    // What else leads to an object is refused later, by its type; a `struct bpf_map` of the kernel is none to refuse.
    if (OTHER_OBJECTS.has(baseType(d.type(r)))) return;
    v.reject(Errno.EINVAL, `pointer in R${number} isn't map pointer`);
  }
  const map = v.mapOf(r);
  const uid = d.object(r, 1);
  const task = fieldOf(map.record, 'task-work') !== undefined;
  if (call.map && (task || fieldOf(map.record, 'workqueue')) && (call.map !== map || call.mapUid !== uid)) {
    const [what, first] = task ? ['bpf_task_work', 2] : ['workqueue', 1];
    v.reject(
      Errno.EINVAL,
      `${what} pointer in R${first} map_uid=${call.mapUid} doesn't match map pointer in R${first + 1} map_uid=${uid}`,
    );
  }
  call.map = map;
  call.mapUid = uid;
}

const FROM: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: DynptrKind.SKB,
  bpf_dynptr_from_xdp: DynptrKind.XDP,
  bpf_dynptr_from_skb_meta: DynptrKind.SKB_META,
};

function checkDynptrOf(v: Verifier, call: KfuncCall, number: number, uninit: boolean): void {
  let kind: number = FROM[call.use.name] ?? DynptrKind.NONE;
  let sharedRef = 0;
  if (call.use.name === 'bpf_dynptr_clone' && uninit) {
    kind = call.dynptr?.type ?? DynptrKind.NONE;
    sharedRef = call.dynptr?.refObjId ?? 0;
    if (!kind) v.bug('no dynptr type for parent of clone');
    if (kind === DynptrKind.RINGBUF && !sharedRef) v.bug('missing ref obj id for parent of clone');
  }
  const readOnly = v.d.type(v.reg(number)) === L.DYNPTR;
  checkDynptr(v, number, { uninit, readOnly, kind, sharedRef });
  if (!uninit) call.dynptr = describeDynptr(v, number);
}

/** A structure of the kernel's BTF by name. */
function kernelStruct(v: Verifier, name: string): { readonly id: number; readonly type: BtfType } {
  const btf = v.environment.kernelTypes?.();
  const id = btf?.findByName(name, 'STRUCT');
  if (!btf || id === undefined) return v.reject(Errno.EINVAL);
  return { id, type: btf.type(id) };
}

/** One name is the other with `___init` behind it: they are laid out alike and must not be mistaken. */
function areNear(a: string, b: string): boolean {
  const suffix = '___init';
  return a !== b && (a === b + suffix || b === a + suffix);
}

function checkStructure(
  v: Verifier,
  call: KfuncCall,
  number: number,
  wanted: { readonly id: number; readonly type: BtfType },
): void {
  const { d } = v;
  const { use } = call;
  const r = v.reg(number);
  const type = d.type(r);
  const typed = baseType(type) === L.BTF_ID;
  const struct = STRUCTURES.get(baseType(type));
  if ((!typed || (isUnsafe(type) && !(type & L.RCU))) && struct === undefined) {
    v.reject(
      Errno.EINVAL,
      `arg#${number - 1} is ${typeName(type)} expected ${typeName(type & (L.BASE_TYPE | TRUSTED_FLAGS))} or socket`,
    );
  }
  const btf = typed ? v.btfOf(r) : use.btf;
  const id = btf.skipModifiers(typed ? d.object(r, 1) : kernelStruct(v, struct ?? '').id);
  const found = btf.type(id);
  const strict =
    (use.flags.release === true && d.refObjId(r) !== 0) || areNear(nameText(found), nameText(wanted.type));
  const from = { btf, id, off: d.off(r) };
  const same = startsWith(v, from, { btf: use.btf, id: wanted.id }, strict, !(type & L.ALLOC));
  if (same || isProjection(nameText(wanted.type), nameText(found))) return;
  v.reject(
    Errno.EINVAL,
    `kernel function ${use.name} args#${number - 1} expected pointer to ${kindText(wanted.type)} ${nameText(wanted.type)} ` +
      `but R${number} has a pointer to ${kindText(found)} ${nameText(found)}`,
  );
}

/** With a register that may be null taken for one that is not: the kernel looks. */
function asNotNull(v: Verifier, number: number, check: () => void): void {
  const { d } = v;
  const null_ = mayBeNull(d.type(v.reg(number)));
  const saved = d.temporary[2];
  if (null_) {
    d.copyReg(saved, v.reg(number));
    markNotNull(v, v.reg(number));
  }
  check();
  if (null_) d.copyReg(v.reg(number), saved);
}

function checkFixedMemory(v: Verifier, number: number, size: number): void {
  if (isNull(v, v.reg(number))) return;
  asNotNull(v, number, () => {
    checkMemory(v, number, size, 'read', true);
    checkMemory(v, number, size, 'write', true);
  });
}

function checkSizedMemory(
  v: Verifier,
  call: KfuncCall,
  number: number,
  suffix: KfuncParameter | undefined,
): void {
  const { d } = v;
  const left = isNull(v, v.reg(number)) && (suffix === 'optional' || suffix === 'nullable');
  if (!left) {
    try {
      asNotNull(v, number, () => {
        checkSize(v, number, 'read');
        checkSize(v, number, 'write');
      });
    } catch (error) {
      v.log.write(`arg#${number - 1} arg#${number} memory, len pair leads to invalid memory access\n`);
      throw error;
    }
  }
  const next = call.use.parameters[number] as BtfParam;
  if (kfuncParameter(next.name) !== 'const-size') return;
  if (call.constant !== undefined) v.bug('only one constant argument permitted');
  const size = v.reg(number + 1);
  if (!d.isConst(size)) v.reject(Errno.EINVAL, `R${number + 1} must be a known constant`);
  call.constant = d.constant(size);
}

/** As many bytes as the register behind says, which is then exact. */
function checkSize(v: Verifier, number: number, access: 'read' | 'write'): void {
  const { d } = v;
  const size = v.reg(number + 1);
  if (d.smin(size) < 0) {
    v.reject(Errno.EACCES, `R${number + 1} min value is negative, either use unsigned or 'var &= const'`);
  }
  if (d.umax(size) >= MAX_SIZE) {
    v.reject(
      Errno.EACCES,
      `R${number + 1} unbounded memory access, use 'var &= const' or 'if (var < const)'`,
    );
  }
  checkMemory(v, number, d.umax(size), access, true);
  markPrecise(v, number + 1);
}
