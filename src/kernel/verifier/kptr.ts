// Kernel pointers in map values and allocated objects: loads and stores of the fields, and bpf_kptr_xchg. A field names
// the structure that it points to as the program's BTF knows it; where the kernel has one of that name, that is meant.

import { Errno } from '../../bpf/errno.js';
import type { Btf } from '../../btf/index.js';
import { InsnClass, Mode } from '../../isa/opcodes.js';
import { checkUnmoved, type MemoryAccess } from './access.js';
import { inRcuSection } from './btf-access.js';
import { startsWith } from './btf-walk.js';
import { layout as L } from './domain.js';
import { isKernel } from './kernel-types.js';
import { isAllocated, recordAt } from './locks.js';
import { forEachReg } from './paths.js';
import { markPrecise } from './precision.js';
import { typeName } from './print.js';
import { fieldOf, type SpecialField } from './record.js';
import { objectRecord } from './records.js';
import { markInvalid, releaseReferenceOf } from './references.js';
import { baseType, isNull, markPointer } from './registers.js';
import { rcuProtected } from './tables/kernel-structs.js';
import type { Verifier } from './verifier.js';

/** What a field points to. */
export interface KptrTarget {
  readonly btf: Btf;
  readonly id: number;
  /** A structure of the kernel, not of the program. */
  readonly kernel: boolean;
}

export function kptrTarget(v: Verifier, field: SpecialField): KptrTarget {
  const btf = field.btf as Btf;
  const id = field.btfId ?? 0;
  const kernel = v.environment.kernelTypes?.();
  const found = kernel?.findByName(btf.nameOf(id), 'STRUCT');
  return kernel && found !== undefined
    ? { btf: kernel, id: found, kernel: true }
    : { btf, id, kernel: false };
}

/** A pointer that is stored into a field, or exchanged with it, fits it (map_kptr_match_type). */
export function checkKptrMatch(v: Verifier, field: SpecialField, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  const target = kptrTarget(v, field);
  let name = '';
  const bad = (): never => {
    const wanted = `ptr_${target.btf.nameOf(target.id)}`;
    const or = field.kind === 'kptr-unref' ? ` or untrusted_${wanted}` : '';
    // The type is told, then what was asked for: on one line, with a space left where there is nothing to add.
    v.log.write(`invalid kptr access, R${number} type=${typeName(type)}${name} expected=${wanted}${or}\n`);
    return v.reject(Errno.EACCES);
  };
  if (baseType(type) !== L.BTF_ID) bad();
  const btf = v.btfOf(r);
  let allowed: number;
  if (isKernel(v, btf)) {
    allowed = L.MAYBE_NULL | L.TRUSTED | L.RCU;
    if (field.kind === 'kptr-unref') allowed |= L.UNTRUSTED;
  } else {
    allowed = L.MAYBE_NULL | L.ALLOC;
    if (field.kind === 'kptr-percpu') allowed |= L.PERCPU;
  }
  if (type & ~L.BASE_TYPE & ~allowed) bad();
  if ((field.kind === 'kptr-percpu') !== ((type & L.PERCPU) !== 0)) bad();
  name = btf.nameOf(d.object(r, 1));
  checkUnmoved(v, number, true);
  const strict = field.kind !== 'kptr-unref';
  const from = { btf, id: d.object(r, 1), off: d.off(r) };
  if (!startsWith(v, from, target, strict, (type & L.ALLOC) === 0)) bad();
}

/** A load or store of a field by the program itself. */
export function loadKernelPointer(v: Verifier, access: MemoryAccess, field: SpecialField): void {
  const { d } = v;
  const code = v.code[v.insn] as number;
  const what = code & 7;
  if ((code & 0xe0) !== Mode.MEM) {
    v.reject(Errno.EACCES, 'kptr in map can only be accessed using BPF_MEM instruction mode');
  }
  if (what !== InsnClass.LDX && field.kind !== 'kptr-unref') {
    v.reject(Errno.EACCES, `store to ${field.kind === 'uptr' ? 'uptr' : 'referenced kptr'} disallowed`);
  }
  switch (what) {
    case InsnClass.LDX: {
      if (access.value < 0) return;
      const r = v.reg(access.value);
      if (field.kind === 'uptr') {
        markPointer(v, r, L.MEM | L.MAYBE_NULL);
        d.setObject(r, 0, field.btf?.sizeOf(field.btfId ?? 0) ?? 0);
        d.setId(r, v.newId());
        return;
      }
      const target = kptrTarget(v, field);
      markPointer(v, r, L.BTF_ID | loadedFlags(v, field, target));
      d.setObject(r, 0, v.btfNumber(target.btf));
      d.setObject(r, 1, target.id);
      d.setId(r, v.newId());
      return;
    }
    case InsnClass.STX:
      if (access.value < 0) return;
      if (isNull(v, v.reg(access.value))) markPrecise(v, access.value);
      else checkKptrMatch(v, field, access.value);
      return;
    case InsnClass.ST:
      if (v.imm[v.insn]) {
        v.reject(Errno.EACCES, `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`);
      }
      return;
    default:
      v.reject(Errno.EACCES, 'kptr in map can only be accessed using BPF_LDX/BPF_STX/BPF_ST');
  }
}

/** How far a pointer that was loaded from a field can be relied on. */
function loadedFlags(v: Verifier, field: SpecialField, { btf, id, kernel }: KptrTarget): number {
  const safe =
    field.kind === 'kptr-percpu' ||
    (field.kind === 'kptr-ref' && (!kernel || rcuProtected.includes(btf.nameOf(id))));
  if (!safe || !inRcuSection(v)) return L.MAYBE_NULL | L.UNTRUSTED;
  let flags = L.MAYBE_NULL | L.RCU;
  if (field.kind === 'kptr-percpu') flags |= L.PERCPU;
  else if (!kernel) flags |= L.ALLOC;
  if (!kernel && fieldOf(objectRecord(btf, id), 'list-node', 'rb-node')) flags |= L.NON_OWN_REF;
  return flags;
}

/** The field that bpf_kptr_xchg is given. */
export function checkKptrDestination(v: Verifier, number: number): SpecialField {
  const { d } = v;
  const r = v.reg(number);
  if (!isAllocated(d.type(r))) {
    const map = v.mapOf(r);
    if (!map.btf) {
      v.reject(Errno.EINVAL, `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
    }
  }
  const record = recordAt(v, r);
  if (!d.isConst(r)) {
    v.reject(Errno.EINVAL, `R${number} doesn't have constant offset. kptr has to be at the constant offset`);
  }
  if (!fieldOf(record, 'kptr-unref', 'kptr-ref', 'kptr-percpu')) {
    v.reject(Errno.EINVAL, `R${number} has no valid kptr`);
  }
  const off = d.off(r) + d.value(r);
  const field = record?.fields.find(({ kind, offset }) => offset === off && kind.startsWith('kptr'));
  if (!field) return v.reject(Errno.EACCES, `off=${off} doesn't point to kptr`);
  if (field.kind === 'kptr-unref') v.reject(Errno.EACCES, `off=${off} kptr isn't referenced kptr`);
  return field;
}

/** The reference goes into the map. What is known of a per-CPU object holds until the RCU section ends. */
export function exchangeKptr(v: Verifier, id: number): boolean {
  const { d } = v;
  if (!releaseReferenceOf(v, v.state, id)) return false;
  const rcu = inRcuSection(v);
  forEachReg(v, v.state, (r) => {
    if (d.refObjId(r) !== id) return;
    const type = d.type(r);
    if (rcu && type & L.ALLOC && type & L.PERCPU) {
      d.setRefObjId(r, 0);
      d.setType(r, (type & ~L.ALLOC) | L.RCU);
    } else {
      markInvalid(v, r);
    }
  });
  return true;
}
