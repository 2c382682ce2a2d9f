// The kernel's BTF is large and rarely needed: the verification that first asks for it is begun again when it is there.
// And what a program finds in it by id: its variables and functions (Linux: check_pseudo_btf_id).

import { Errno } from '../../bpf/errno.js';
import type { Btf } from '../../btf/index.js';
import { isComposite } from './btf-walk.js';
import { type Address, layout as L } from './domain.js';
import { markPointer } from './registers.js';
import type { Verifier } from './verifier.js';

/** Thrown where the kernel's types are asked for and not there yet. */
export class KernelTypesNeeded extends Error {
  constructor() {
    super("the kernel's types are needed");
    this.name = 'KernelTypesNeeded';
  }
}

/** Types of a kernel that has none are asked for in vain. */
export function kernelBtf(v: Verifier): Btf {
  return (
    v.environment.kernelTypes?.() ??
    v.reject(
      Errno.EINVAL,
      'kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.',
    )
  );
}

/** The types are the kernel's or one of its modules', not the program's. */
export function isKernel(v: Verifier, btf: Btf): boolean {
  const kernel = v.environment.kernelTypes?.();
  return kernel !== undefined && (btf === kernel || btf.base === kernel);
}

/** The id of a structure of the kernel. */
export function kernelStruct(v: Verifier, name: string): { btf: Btf; id: number } {
  const btf = kernelBtf(v);
  const id = btf.findByName(name, 'STRUCT') ?? btf.findByName(name, 'UNION');
  return { btf, id: id ?? v.reject(Errno.EINVAL, `the kernel's types have no struct ${name}`) };
}

/** What an `ld_imm64` of a kernel variable or function loads. */
export interface KernelVariable {
  readonly type: number;
  readonly btf: Btf;
  readonly id: number;
  /** Bytes, of memory. */
  readonly size: number;
}

const perCpu = new WeakMap<Btf, ReadonlySet<number>>();
/** Variables of which every CPU has its own. */
function perCpuVariables(btf: Btf): ReadonlySet<number> {
  let ids = perCpu.get(btf);
  if (!ids) {
    const section = btf.findByName('.data..percpu', 'DATASEC');
    const type = section === undefined ? undefined : btf.type(section);
    ids = new Set(type?.kind === 'DATASEC' ? type.vars.map((one) => one.type) : []);
    perCpu.set(btf, ids);
  }
  return ids;
}

/** Before the walk: what the `ld_imm64` at a slot means. */
export function resolveVariable(v: Verifier, slot: number): KernelVariable {
  const id = v.imm[slot] as number;
  const fd = v.imm[slot + 1] as number;
  let btf: Btf;
  if (fd) {
    btf = v.environment.btf(fd) ?? v.reject(Errno.EINVAL, 'invalid module BTF object FD specified.');
  } else {
    btf = kernelBtf(v);
  }
  if (id < 0 || id >= btf.typeCount) {
    v.reject(Errno.ENOENT, `ldimm64 insn specifies invalid btf_id ${id}.`);
  }
  const type = btf.type(id);
  if (type.kind === 'FUNC') return { type: L.MEM | L.RDONLY, btf, id, size: 0 };
  if (type.kind !== 'VAR') {
    return v.reject(Errno.EINVAL, `pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`);
  }
  if (v.environment.lacking?.dataSymbols) {
    v.reject(Errno.ENOENT, `ldimm64 failed to find the address for kernel symbol '${type.name}'.`);
  }
  if (perCpuVariables(btf).has(id)) return { type: L.BTF_ID | L.PERCPU, btf, id: type.type, size: 0 };
  const target = btf.skipModifiers(type.type);
  if (isComposite(btf.type(target))) return { type: L.BTF_ID, btf, id: type.type, size: 0 };
  try {
    return { type: L.MEM | L.RDONLY, btf, id, size: btf.sizeOf(target) };
  } catch {
    return v.reject(Errno.EINVAL, `ldimm64 unable to resolve the size of type '${btf.nameOf(target)}': -22`);
  }
}

/** The walk comes to that `ld_imm64`. */
export function loadVariable(v: Verifier, r: Address, variable: KernelVariable): void {
  const { d } = v;
  markPointer(v, r, variable.type);
  if ((variable.type & L.BASE_TYPE) === L.MEM) {
    d.setObject(r, 0, variable.size);
    return;
  }
  d.setObject(r, 0, v.btfNumber(variable.btf));
  d.setObject(r, 1, variable.id);
}
