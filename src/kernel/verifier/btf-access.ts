// Accesses through pointers that BTF types: kernel structures, allocated objects, and a map's own structure; and whether
// such a pointer is what a helper or a function asks for.

import { Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import { FIELD_NAMES, type MemoryAccess } from './access.js';
import { type CallFacts, checkOffset, checkType, helperName, newFacts } from './arguments.js';
import { isComposite, startsWith, walk } from './btf-walk.js';
import { type Address, layout as L } from './domain.js';
import { isKernel, kernelStruct } from './kernel-types.js';
import { checkKptrMatch, kptrTarget } from './kptr.js';
import { tnumText } from './print.js';
import { objectRecord } from './records.js';
import { baseType, isNull, markPointer, markUnknown, mayBeNull } from './registers.js';
import { packetWrites, structOpsWrites, type WritableField } from './tables/kernel-structs.js';
import { mapStructs } from './tables/map-structs.js';
import type { HelperArg } from './tables/types.js';
import type { SubprogArg, Verifier } from './verifier.js';

/** A pointer with one of these and no other flag is as good as the object itself. */
const TRUSTED = L.ALLOC | L.TRUSTED | L.NON_OWN_REF;

/** The object is there as long as the pointer is (is_trusted_reg). */
export function isTrusted(v: Verifier, r: Address): boolean {
  if (v.d.refObjId(r)) return true;
  const type = v.d.type(r);
  const flags = type & ~L.BASE_TYPE;
  if (flags & ~TRUSTED) return false;
  switch (baseType(type)) {
    case L.SOCKET:
    case L.SOCK_COMMON:
    case L.TCP_SOCK:
    case L.MAP_PTR:
      return true;
    default:
      return flags !== 0;
  }
}

// ---- accesses

/** What a load gives. */
interface Loaded {
  readonly type: number;
  readonly id: number;
  readonly field: string;
}
const NUMBER: Loaded = { type: L.SCALAR, id: 0, field: '' };

/** What lies at `off` of a structure, however deep inside it (btf_struct_access); nothing that may not be read so. */
function load(v: Verifier, type: number, btf: Btf, id: number, off: number, size: number): Loaded {
  const local = (type & L.ALLOC) !== 0;
  if (local) {
    for (const field of objectRecord(btf, id)?.fields ?? []) {
      if (off < field.offset + field.size && field.offset < off + size) {
        v.reject(Errno.EACCES, `direct access to ${FIELD_NAMES[field.kind]} is disallowed`);
      }
    }
  }
  const trust = { untrusted: false };
  let at = id;
  let from = off;
  for (let depth = 0; depth < btf.typeCount; depth++) {
    const found = walk(v, btf, at, from, size, trust, !local);
    switch (found.kind) {
      case 'error':
        return v.reject(found.errno);
      case 'scalar':
        return NUMBER;
      case 'memory':
        return { type: L.MEM | L.RDONLY | L.UNTRUSTED, id: 0, field: '' };
      case 'pointer': {
        if (local) return NUMBER;
        const flags = found.flags | (trust.untrusted ? L.UNTRUSTED : 0);
        return { type: L.BTF_ID | flags, id: found.id, field: found.field };
      }
      case 'struct':
        at = found.id;
        from = 0;
    }
  }
  return v.reject(Errno.EINVAL);
}

/** A register is loaded with it. */
function markLoaded(v: Verifier, number: number, btf: Btf, { type, id }: Loaded): void {
  const { d } = v;
  const r = v.reg(number);
  if (type === L.SCALAR) {
    markUnknown(v, r);
    return;
  }
  markPointer(v, r, type);
  if (baseType(type) !== L.BTF_ID) return;
  d.setObject(r, 0, v.btfNumber(btf));
  d.setObject(r, 1, id);
  if (mayBeNull(type)) d.setId(r, v.newId());
}

/** A load or store at `off` of what register `access.pointer` points to. */
export function readBtf(v: Verifier, access: MemoryAccess, off: number): void {
  const { d } = v;
  const { pointer, size, value } = access;
  const r = v.reg(pointer);
  const type = d.type(r);
  const btf = v.btfOf(r);
  const id = d.object(r, 1);
  const struct = btf.nameOf(id);
  const write = access.type === 'write';
  if (!v.allowPointerLeaks) {
    v.reject(Errno.EPERM, `'struct ${struct}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  if (!v.gplCompatible && isKernel(v, btf)) {
    v.reject(Errno.EINVAL, `Cannot access kernel 'struct ${struct}' from non-GPL compatible program`);
  }
  const refuse = (what: string) => v.reject(Errno.EACCES, `R${pointer} is ptr_${struct} ${what}`);
  if (off < 0) refuse(`invalid negative access: off=${off}`);
  if (!d.isZero(r)) {
    const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
    refuse(`invalid variable offset: off=${off}, var_off=${text}`);
  }
  if (type & L.USER) refuse(`access user memory: off=${off}`);
  if (type & L.PERCPU) refuse(`access percpu memory: off=${off}`);
  if (write && type & L.UNTRUSTED) v.reject(Errno.EACCES, 'only read is supported');
  if (write && !(type & L.ALLOC) && hasWriteRules(v)) {
    if (!isKernel(v, btf)) v.bug('reg->btf must be kernel btf');
    checkWrite(v, btf, id, off, size);
    return;
  }
  if (write && !(type & L.ALLOC)) v.reject(Errno.EACCES, 'only read is supported');
  if (type & L.ALLOC && !(type & (L.NON_OWN_REF | L.RCU)) && !d.refObjId(r)) {
    v.bug('ref_obj_id for allocated object must be non-zero');
  }
  const loaded = load(v, type, btf, id, off, size);
  if (write || value < 0) return;
  markLoaded(v, value, btf, { ...loaded, type: trustOf(v, r, btf, id, loaded) });
}

/** How far a pointer is trusted that was loaded from a field of what `r` points to. */
function trustOf(v: Verifier, r: Address, btf: Btf, struct: number, { type, id, field }: Loaded): number {
  if (baseType(type) !== L.BTF_ID) return type;
  const parent = v.d.type(r);
  if (parent & L.UNTRUSTED) return L.BTF_ID | L.UNTRUSTED;
  const plain = type & ~(TRUSTED | L.RCU);
  if (!isTrusted(v, r) && !(parent & L.RCU)) return plain;
  const safe = (list: string) => isSafe(btf, struct, list, field, id);
  if (safe('trusted')) return type | L.TRUSTED;
  if (safe('trusted_or_null')) return type | L.TRUSTED | L.MAYBE_NULL;
  if (!inRcuSection(v) || mayBeNull(parent)) return L.BTF_ID | L.UNTRUSTED;
  if (safe('rcu')) return type | L.RCU;
  const orNull = safe('rcu_or_null');
  if (type & L.RCU || orNull) {
    // The list knows better than the union that the field is in.
    return (orNull ? type & ~L.UNTRUSTED : type) | L.RCU | L.MAYBE_NULL;
  }
  return type & (L.PERCPU | L.USER) ? type : plain;
}

/** Objects that RCU protects stay while the program is here. */
export function inRcuSection(v: Verifier): boolean {
  return v.stateField(L.State_rcuLocks) !== 0 || v.stateField(L.State_activeLocks) !== 0 || !v.sleepable;
}

/** The kernel's BTF lists the fields whose pointers are safe, in structures `NAME__safe_LIST`. */
function isSafe(btf: Btf, struct: number, list: string, field: string, target: number): boolean {
  const { kind, name } = btf.type(struct);
  const id = btf.findByName(`${name}__safe_${list}`, kind);
  const type = id === undefined ? undefined : btf.type(id);
  if (!type || !isComposite(type)) return false;
  return type.members.some((member) => {
    if (member.name !== field) return false;
    const pointer = btf.type(member.type);
    return pointer.kind === 'PTR' && btf.skipModifiers(pointer.type) === target;
  });
}

/** The structure behind a map's own address; it can only be read. */
export function readMapObject(v: Verifier, access: MemoryAccess, off: number): void {
  const { pointer, size, value } = access;
  const name = mapStructs.get(v.mapOf(v.reg(pointer)).type);
  if (!name) {
    const { type } = v.mapOf(v.reg(pointer));
    v.reject(Errno.ENOTSUPP, `map_ptr access not supported for map type ${type}`);
  }
  const { btf, id } = kernelStruct(v, name);
  if (!v.allowPointerLeaks) {
    v.reject(Errno.EPERM, `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  if (off < 0) v.reject(Errno.EACCES, `R${pointer} is ${name} invalid negative access: off=${off}`);
  if (access.type !== 'read') v.reject(Errno.EACCES, `only read from ${name} is supported`);
  const loaded = load(v, L.BTF_ID, btf, id, off, size);
  if (value >= 0) markLoaded(v, value, btf, loaded);
}

// ---- stores

/** Programs of this type may write some fields of kernel structures. */
function hasWriteRules(v: Verifier): boolean {
  switch (v.program.type) {
    case ProgType.Xdp:
    case ProgType.SchedCls:
    case ProgType.SchedAct:
      return true;
    case ProgType.StructOps:
      return structOpsWrites[v.attach?.struct ?? ''] !== undefined;
    default:
      return false;
  }
}

function checkWrite(v: Verifier, btf: Btf, id: number, off: number, size: number): void {
  const struct = btf.nameOf(id);
  const rules =
    v.program.type === ProgType.StructOps ? structOpsWrites[v.attach?.struct ?? ''] : packetWrites;
  if (!rules) v.reject(Errno.EACCES);
  if ('whole' in rules) {
    if (struct !== rules.whole) v.reject(Errno.EACCES, `only access to ${rules.whole} is supported`);
    if (off + size > btf.sizeOf(id)) v.reject(Errno.EACCES, `write access at off ${off} with size ${size}`);
    return;
  }
  // The structure whose fields are listed, or that begins with the ones that have them.
  const whole = v.program.type === ProgType.StructOps ? 'tcp_sock' : 'nf_conn';
  // A connection that is still being made has a type of its own, and is one otherwise.
  if (struct !== whole && struct !== `${whole}___init`) {
    v.reject(Errno.EACCES, 'only read is supported');
  }
  const field = rules.map((rule) => placeOf(btf, rule)).find((place) => place && covers(place, off));
  if (!field) v.reject(Errno.EACCES, `no write support to ${whole} at off ${off}`);
  if (off + size > field.end) {
    v.reject(
      Errno.EACCES,
      `write access at off ${off} with size ${size} beyond the member of ${whole} ended at ${field.end}`,
    );
  }
}

interface Place {
  readonly start: number;
  readonly end: number;
  readonly anywhere: boolean;
}
const covers = ({ start, end, anywhere }: Place, off: number): boolean =>
  anywhere ? off >= start && off < end : off === start;

/** Where a field lies, also one of a structure inside (`icsk_ack.pending`). */
function placeOf(btf: Btf, { struct, field, anywhere }: WritableField): Place | undefined {
  let id = btf.findByName(struct, 'STRUCT');
  let bits = 0;
  let size = 0;
  for (const name of field.split('.')) {
    const member = id === undefined ? undefined : memberOf(btf, id, name);
    if (!member) return undefined;
    id = btf.skipModifiers(member.type);
    bits += member.bits;
    size = member.size || btf.sizeOf(id);
  }
  const start = Math.floor(bits / 8);
  return { start, end: start + size, anywhere: anywhere === true };
}

/** A member by name, also of structures without a name inside; `size` is 0 unless it is a bit field. */
function memberOf(
  btf: Btf,
  id: number,
  name: string,
): { type: number; bits: number; size: number } | undefined {
  const type = btf.type(btf.skipModifiers(id));
  if (!isComposite(type)) return undefined;
  for (const member of type.members) {
    if (member.name === name) {
      return { type: member.type, bits: member.bitOffset, size: Math.ceil(member.bitSize / 8) };
    }
    const inside = member.name ? undefined : memberOf(btf, member.type, name);
    if (inside) return { ...inside, bits: inside.bits + member.bitOffset };
  }
  return undefined;
}

// ---- arguments and results

/** A BTF pointer handed to a helper is of the type that it asks for (check_reg_type, its second half). */
export function matchesBtf(v: Verifier, facts: CallFacts, number: number, arg: HelperArg): void {
  const type = v.d.type(v.reg(number));
  if (type & L.PERCPU && !(type & L.ALLOC)) return;
  if (type & L.ALLOC) {
    // Locks and kernel pointers are looked for in them where they are used.
    if (arg.kind === 'spin-lock' || arg.kind === 'kptr-xchg-dest') return;
    if (facts.kptr && number === 2) {
      checkKptrMatch(v, facts.kptr, number);
      return;
    }
    v.bug('unimplemented handling of MEM_ALLOC');
  }
  matches(v, facts, number, arg, () => kernelStruct(v, arg.btf ?? 'sock_common'));
}

function matches(
  v: Verifier,
  facts: CallFacts,
  number: number,
  arg: HelperArg,
  structure: () => { readonly btf: Btf; readonly id: number },
): void {
  const { d } = v;
  const r = v.reg(number);
  if (mayBeNull(d.type(r)) && (!arg.nullable || arg.release)) {
    v.reject(Errno.EACCES, `Possibly NULL pointer passed to helper arg${number}`);
  }
  if (facts.kptr) {
    checkKptrMatch(v, facts.kptr, number);
    return;
  }
  const wanted = structure();
  const strict = arg.release === true && facts.signature.name !== 'sk_release';
  const from = { btf: v.btfOf(r), id: d.object(r, 1), off: d.off(r) };
  if (startsWith(v, from, wanted, strict, (d.type(r) & L.ALLOC) === 0)) return;
  v.reject(
    Errno.EACCES,
    `R${number} is of type ${from.btf.nameOf(from.id)} but ${wanted.btf.nameOf(wanted.id)} is expected`,
  );
}

/** An argument of a global function that is a pointer to a kernel structure. */
export function matchesKernelType(v: Verifier, number: number, arg: SubprogArg): void {
  const { btf, btfId: id } = arg;
  if (!btf || !id) v.reject(Errno.EINVAL);
  const r = v.reg(number);
  if (isNull(v, r) && arg.nullable) return;
  const wanted: HelperArg = {
    kind: 'btf-id',
    btf: btf.nameOf(id),
    ...(arg.nullable ? { nullable: true } : {}),
  };
  // No helper is called: what is asked of single ones does not apply.
  const facts = newFacts({ id: 0, name: '', args: [], returns: { kind: 'void' } });
  checkType(v, facts, number, wanted);
  checkOffset(v, number, wanted);
}

/** Results of helpers that BTF types. */
export function kernelResult(v: Verifier, facts: CallFacts, flags: number): void {
  const { d } = v;
  const { signature } = facts;
  const { returns } = signature;
  const r = v.reg(0);
  if (returns.kind === 'btf-id') {
    kernelPointer(v, facts, flags);
    return;
  }
  if (returns.kind !== 'mem-or-btf-id' || !facts.btf) {
    v.reject(Errno.EINVAL, `unknown return type ${returns.kind} of func ${helperName(signature)}`);
  }
  const btf = v.btfs[facts.btf.number] as Btf;
  const { id } = facts.btf;
  const target = btf.skipModifiers(id);
  if (isComposite(btf.type(target))) {
    // Of an object that the program allocated it is this CPU's.
    markPointer(v, r, L.BTF_ID | (facts.btf.local ? L.ALLOC | L.RCU : flags & ~L.RDONLY));
    d.setObject(r, 0, facts.btf.number);
    d.setObject(r, 1, id);
    return;
  }
  let size = 0;
  try {
    size = btf.sizeOf(target);
  } catch {
    v.reject(Errno.EINVAL, `unable to resolve the size of type '${btf.nameOf(target)}': -22`);
  }
  markPointer(v, r, L.MEM | flags);
  d.setObject(r, 0, size);
}

function kernelPointer(v: Verifier, { signature, kptr }: CallFacts, flags: number): void {
  const { d } = v;
  const r = v.reg(0);
  let type = L.BTF_ID | flags;
  let found: { readonly btf: Btf; readonly id: number };
  if (signature.name === 'kptr_xchg') {
    if (!kptr) v.reject(Errno.EINVAL);
    const target = kptrTarget(v, kptr);
    found = target;
    if (!target.kernel) {
      type |= L.ALLOC;
      if (kptr.kind === 'kptr-percpu') type |= L.PERCPU;
    }
  } else {
    found = kernelStruct(v, signature.returns.btf ?? '');
  }
  markPointer(v, r, type);
  d.setObject(r, 0, v.btfNumber(found.btf));
  d.setObject(r, 1, found.id);
}
