// Optimised WebAssembly at once, in Node: V8's flags are set around the compilation and set back.
// Without this a module starts in baseline code, 2 to 3 times slower, and one long call stays there.

import { setFlagsFromString } from 'node:v8';
import type { ModuleCompiler } from '../kernel/jit/compiler.js';

const OPTIMIZE = ['--no-liftoff', '--no-wasm-lazy-compilation', '--no-wasm-dynamic-tiering'];
const USUAL = ['--liftoff', '--wasm-lazy-compilation', '--wasm-dynamic-tiering'];
// The JIT says which branches are unlikely; this V8 (that of Node 20 and 22) listens only when asked to.
if (Number.parseInt(process.versions.v8, 10) <= 12) {
  OPTIMIZE.push('--experimental-wasm-branch-hinting');
  USUAL.push('--no-experimental-wasm-branch-hinting');
}

/** Compiles with V8's tiers under control. */
export const tieredCompiler: ModuleCompiler = {
  baseline: (bytes) => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>),
  optimized(bytes) {
    for (const flag of OPTIMIZE) setFlagsFromString(flag);
    try {
      return new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
    } finally {
      for (const flag of USUAL) setFlagsFromString(flag);
    }
  },
};
