// Global functions: verified by themselves, with arguments of which only BTF (and its tags) says something.

import { Errno } from '../../bpf/errno.js';
import type { Subprog, Verifier } from './verifier.js';

/** What is passed must be what the function was verified with. */
export function checkGlobalArguments(v: Verifier, _subprog: Subprog): void {
  v.reject(Errno.EINVAL);
}

/** Registers of a global function that is verified by itself. */
export function enterGlobal(v: Verifier, _subprog: Subprog): void {
  v.reject(Errno.EINVAL);
}
