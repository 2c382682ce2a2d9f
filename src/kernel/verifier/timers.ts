// bpf_timer in map values.

import { Errno } from '../../bpf/errno.js';
import type { CallFacts } from './arguments.js';
import type { Verifier } from './verifier.js';

export function checkTimer(v: Verifier, _facts: CallFacts, number: number): void {
  v.reject(Errno.EINVAL, `R${number} has no timer`);
}
