// How an emulated kernel is made.

import type { EngineName } from './engine.js';

export type Safety = 'verify' | 'check' | 'trust';

export interface EmulatedKernelOptions {
  /** How programs run; `jit` unless told otherwise. */
  engine?: EngineName;
  /** Possible CPUs: slots in a per-CPU value. Programs run on CPU 0. */
  cpus?: number;
  /**
   * Instructions that one run may take (`safety: 'check'`). The JIT counts only functions with loops, at the loops: what has
   * none comes to its end anyway.
   */
  budget?: number;
  /** Bounds the kernel's memory, in bytes. */
  memory?: number;
  /** CLOCK_MONOTONIC in nanoseconds; the time since the kernel was made unless told otherwise. */
  now?: () => number;
  /** Seed of bpf_get_prandom_u32, so that a run can be repeated. */
  seed?: bigint;
  /**
   * What keeps wrong programs from harm. `verify` (unless told otherwise): they are not loaded, as in Linux, and those
   * that are run without checks. `check`: everything is loaded, and a run ends where it does something wrong, or when its
   * budget is used up. `trust`: nothing does, which is for programs that are known to be right; a wrong one can spoil
   * this kernel's memory.
   */
  safety?: Safety;
}
