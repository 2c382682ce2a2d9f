// bpf_spin_lock.

import { Errno } from '../../bpf/errno.js';
import { type BtfRecord, fieldOf } from './record.js';
import type { Verifier } from './verifier.js';

export const hasLock = (record: BtfRecord | undefined): boolean =>
  fieldOf(record, 'spin-lock', 'res-spin-lock') !== undefined;

export function checkSpinLock(v: Verifier, number: number, _lock: boolean): void {
  v.reject(Errno.EINVAL, `R${number} has no lock`);
}
