// Helpers that tell a program where it runs, and random numbers.

import { Cpu } from '../layout';

export function bpf_get_smp_processor_id(cpu: usize): u64 {
  return changetype<Cpu>(cpu).id;
}

/** One node: the emulated machine has uniform memory. */
export function bpf_get_numa_node_id(cpu: usize): u64 {
  return 0;
}

/** xorshift64* on the CPU's own state; the upper half, whose bits are the better ones. */
export function bpf_get_prandom_u32(cpu: usize): u64 {
  const owner = changetype<Cpu>(cpu);
  let state = owner.random ? owner.random : 0x9e3779b97f4a7c15 + (owner.id as u64);
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  owner.random = state;
  return (state * 0x2545f4914f6cdd1d) >> 32;
}
