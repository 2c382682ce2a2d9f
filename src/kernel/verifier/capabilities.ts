// What those who load must be allowed to do (Linux: bpf_prog_load), and what is found out about tail calls that matters
// only where programs are protected against speculation.

import { Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import type { Verifier } from './verifier.js';

/** BPF_COMPLEXITY_LIMIT_INSNS and BPF_MAXINSNS: slots of a program with CAP_BPF and without. */
const MOST_SLOTS = 1_000_000;
const MOST_SLOTS_UNPRIVILEGED = 4096;

/** Refuses without a word, as Linux does, what this one may not load. */
export function checkCapabilities(v: Verifier): void {
  const { caps, rules } = v;
  const { type } = v.program;
  if (v.length > (v.bpfCapable ? MOST_SLOTS : MOST_SLOTS_UNPRIVILEGED)) v.reject(Errno.E2BIG);
  if (type !== ProgType.SocketFilter && type !== ProgType.CgroupSkb && !v.bpfCapable) v.reject(Errno.EPERM);
  const may = (capability: 'netAdmin' | 'perfmon') => {
    if (!caps[capability] && !caps.sysAdmin) v.reject(Errno.EPERM);
  };
  if (rules.capability === 'net-admin' || rules.capability === 'both') may('netAdmin');
  if (rules.capability === 'perfmon' || rules.capability === 'both') may('perfmon');
}

/**
 * A tail call whose index is masked needs to know its map: the same on all paths. Linux masks where the map was made
 * without CAP_PERFMON; here maps of those who have not even CAP_BPF are taken to be such.
 */
export function checkTailCalls(v: Verifier): void {
  if (v.bypassSpecV1 || v.bpfCapable) return;
  for (const [slot, use] of v.mapUse) {
    if (use.poisoned && v.code[slot] === 0x85 && v.src[slot] === 0 && v.imm[slot] === TAIL_CALL) {
      v.reject(Errno.EINVAL, 'tail_call abusing map_ptr');
    }
  }
}

/** BPF_FUNC_tail_call. */
const TAIL_CALL = 12;
