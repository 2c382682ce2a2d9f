// Kernel pointers in map values: bpf_kptr_xchg.

import { Errno } from '../../bpf/errno.js';
import type { SpecialField } from './record.js';
import { releaseReference } from './references.js';
import type { Verifier } from './verifier.js';

export function checkKptrDestination(v: Verifier, number: number): SpecialField {
  return v.reject(Errno.EINVAL, `R${number} has no kptr`);
}

export function exchangeKptr(v: Verifier, id: number): boolean {
  return releaseReference(v, id);
}
