// Kernel functions that programs may call: found by BTF id, checked by their prototypes and flags.

import { Errno } from '../../bpf/errno.js';
import { isHelperCall } from './functions.js';
import { helperSignature } from './tables/helper-signatures.js';
import type { KfuncFlags } from './tables/types.js';
import type { Verifier } from './verifier.js';

/** A kfunc that the program calls. */
export interface KfuncUse {
  readonly name: string;
  readonly flags: KfuncFlags;
  readonly parameters: readonly unknown[];
  readonly callback?: 'now' | 'later';
  readonly changesPacket?: boolean;
}

export function addKfunc(v: Verifier, slot: number): void {
  v.reject(Errno.EINVAL, `kernel function btf_id ${v.imm[slot]} is not a function`);
}

export function kfuncAt(_v: Verifier, _slot: number): KfuncUse | undefined {
  return undefined;
}

/** Whether the call at a slot calls a function of the program back. */
export function callsBack(v: Verifier, slot: number): 'now' | 'later' | undefined {
  if (isHelperCall(v, slot)) return helperSignature(v.imm[slot] as number)?.callback;
  return kfuncAt(v, slot)?.callback;
}

export function checkKfuncCall(v: Verifier): void {
  v.reject(Errno.EINVAL, `calling kernel function #${v.imm[v.insn]} is not supported`);
}

/** bpf_throw. */
export function isThrow(v: Verifier, slot: number): boolean {
  return kfuncAt(v, slot)?.name === 'bpf_throw';
}
