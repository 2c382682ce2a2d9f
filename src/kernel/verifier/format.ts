// bpf_snprintf's format against its arguments.

import type { Verifier } from './verifier.js';

export function checkFormat(_v: Verifier): void {}
