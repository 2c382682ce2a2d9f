// Helpers that tell a program where it runs, and random numbers. Bodies: runtime/helpers/cpu.ts.

import type { HelperDefinition } from './definition.js';

const common = {
  args: [],
  returns: 'integer',
  gplOnly: false,
  programTypes: 'all',
  runs: 'runtime',
} as const;

export const cpuHelpers: readonly HelperDefinition[] = [
  { id: 7, name: 'get_prandom_u32', since: '4.1', ...common },
  { id: 8, name: 'get_smp_processor_id', since: '4.1', ...common },
  { id: 42, name: 'get_numa_node_id', since: '4.10', ...common },
];
