// Sections in which a program must not be interrupted, or in which what it reads stays. One CPU runs one program at a
// time, so that nothing is to be done.

export function kfunc_bpf_rcu_read_lock(cpu: usize): u64 {
  return 0;
}
export function kfunc_bpf_rcu_read_unlock(cpu: usize): u64 {
  return 0;
}
export function kfunc_bpf_preempt_disable(cpu: usize): u64 {
  return 0;
}
export function kfunc_bpf_preempt_enable(cpu: usize): u64 {
  return 0;
}

/** bpf_local_irq_save(flags): what is restored later. */
export function kfunc_bpf_local_irq_save(cpu: usize, r1: u64): u64 {
  store<u64>(r1 as usize, 0);
  return 0;
}
export function kfunc_bpf_local_irq_restore(cpu: usize, r1: u64): u64 {
  return 0;
}
