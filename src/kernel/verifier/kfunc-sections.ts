// Kernel functions that begin and end sections: RCU readers, no preemption. What sleeps stays outside of them.

import { Errno } from '../../bpf/errno.js';
import { layout as L } from './domain.js';
import type { KfuncUse } from './kfunc-call.js';
import { inLockedCallback } from './locks.js';
import type { Verifier } from './verifier.js';

export function checkSections(v: Verifier, { name, flags }: KfuncUse): void {
  const sleepable = flags.sleepable === true;
  const asleep = (where: string) => {
    if (sleepable) v.reject(Errno.EACCES, `kernel func ${name} is sleepable within ${where}`);
  };
  const locks = name === 'bpf_rcu_read_lock';
  const unlocks = name === 'bpf_rcu_read_unlock';
  const depth = v.stateField(L.State_rcuLocks);
  if (depth) {
    if ((locks || unlocks) && inLockedCallback(v)) {
      v.reject(Errno.EACCES, 'Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback');
    }
    if (locks) v.reject(Errno.EINVAL, `nested rcu read lock (kernel function ${name})`);
    if (unlocks) endRcu(v);
    else asleep('rcu_read_lock region');
  } else if (locks) {
    v.setStateField(L.State_rcuLocks, 1);
  } else if (unlocks) {
    v.reject(Errno.EINVAL, `unmatched rcu read unlock (kernel function ${name})`);
  }
  const disables = name === 'bpf_preempt_disable';
  const enables = name === 'bpf_preempt_enable';
  const disabled = v.stateField(L.State_preemptLocks);
  if (disables) v.setStateField(L.State_preemptLocks, disabled + 1);
  else if (enables) {
    if (!disabled) {
      v.reject(Errno.EINVAL, `unmatched attempt to enable preemption (kernel function ${name})`);
    }
    v.setStateField(L.State_preemptLocks, disabled - 1);
  } else if (disabled) {
    asleep('non-preemptible region');
  }
  if (v.stateField(L.State_irqId)) asleep('IRQ-disabled region');
}

/** Pointers that the section protected are not to be trusted any more, in iterators too. */
function endRcu(v: Verifier): void {
  const { d } = v;
  const distrust = (r: number) => {
    const type = d.type(r);
    if (type & L.RCU) d.setType(r, (type & ~(L.RCU | L.MAYBE_NULL)) | L.UNTRUSTED);
  };
  const last = v.frameNumber;
  for (let f = 0; f <= last; f++) {
    const frame = v.frameAt(f);
    for (let i = 0; i < 11; i++) distrust(d.reg(frame, i));
    for (let s = 0; s < d.slots(frame); s++) {
      const kind = d.slotByte(frame, s, 7);
      if (kind === L.SLOT_SPILL || kind === L.SLOT_ITER) distrust(d.slotReg(frame, s));
    }
  }
  v.setStateField(L.State_rcuLocks, 0);
}
