// Helpers that tell a program where it runs, and random numbers. Bodies: runtime/helpers/cpu.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const cpuHelpers: readonly HelperBody[] = inRuntime(
  'get_prandom_u32',
  'get_smp_processor_id',
  'get_numa_node_id',
);
