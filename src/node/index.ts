// Skep in Node: the library, with V8's tiers under control.

import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { tieredCompiler } from './tiers.js';

useModuleCompiler(tieredCompiler);

export * from '../index.js';
