// Raw instructions on an engine: r1 points to the memory, r2 is its length in bytes, and r0 comes back whole.
// The memory is the program's packet, so legacy loads reach it too.

import { EmulatedKernel } from '../../src/kernel/kernel.js';

const OPTIONS = {
  interpreter: { engine: 'interpreter' },
  jit: { engine: 'jit' },
  /** As for programs that a verifier has accepted: nothing is checked. */
  'trusted jit': { engine: 'jit', safety: 'trust' },
  /** With net.core.bpf_jit_harden: the numbers of a program are hidden in its code. */
  'hardened jit': { engine: 'jit', safety: 'trust' },
} as const;

/** The engines that `runRaw` knows. */
export type Engine = keyof typeof OPTIONS;

export const ENGINES = Object.keys(OPTIONS) as Engine[];

const kernels = new Map<Engine, EmulatedKernel>();

/**
 * Runs `code` on `engine` over a copy of `memory`; r0, unsigned. A BpfError when the program cannot be loaded, a
 * SkepError when it does not come to its end.
 */
export async function runRaw(engine: Engine, code: Uint8Array, memory: Uint8Array): Promise<bigint> {
  let kernel = kernels.get(engine);
  if (!kernel) {
    kernel = new EmulatedKernel(OPTIONS[engine]);
    kernels.set(engine, kernel);
    const harden = '/proc/sys/net/core/bpf_jit_harden';
    if (engine === 'hardened jit') await kernel.writeFile(harden, new TextEncoder().encode('2'));
  }
  return kernel.runRaw(code, memory);
}
