// Accesses through pointers that BTF types: kernel structures, allocated objects, kernel pointers in map values.

import { Errno } from '../../bpf/errno.js';
import type { MemoryAccess } from './access.js';
import type { CallFacts } from './arguments.js';
import { typeName } from './print.js';
import type { SpecialField } from './record.js';
import type { HelperArg } from './tables/types.js';
import type { SubprogArg, Verifier } from './verifier.js';

export function readBtf(v: Verifier, access: MemoryAccess, _off: number): void {
  v.reject(
    Errno.EACCES,
    `R${access.pointer} invalid mem access '${typeName(v.d.type(v.reg(access.pointer)))}'`,
  );
}

export function readMapObject(v: Verifier, access: MemoryAccess, _off: number): void {
  v.reject(Errno.EACCES, `R${access.pointer} invalid mem access 'map_ptr'`);
}

export function loadKernelPointer(v: Verifier, _access: MemoryAccess, _field: SpecialField): void {
  v.reject(Errno.EACCES, 'kptr access is not supported');
}

/** A BTF pointer handed to a helper is of the type that it asks for. */
export function matchesBtf(v: Verifier, _facts: CallFacts, number: number, _arg: HelperArg): void {
  v.reject(Errno.EACCES, `R${number} is of an unknown type`);
}

/** Results of helpers that BTF types. */
export function kernelResult(v: Verifier, facts: CallFacts, _flags: number): void {
  v.reject(Errno.EINVAL, `unknown return type of func ${facts.signature.name}`);
}

/** An argument of a global function that is a pointer to a kernel structure. */
export function matchesKernelType(v: Verifier, number: number, _arg: SubprogArg): void {
  v.reject(Errno.EINVAL, `R${number} is of an unknown type`);
}
