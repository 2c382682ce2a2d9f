// Skep in Node: the library, with V8's tiers under control, files, and the real kernel where there is one.

import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { tieredCompiler } from './tiers.js';

useModuleCompiler(tieredCompiler);

export * from '../index.js';
export * from '../linux/index.js';
export { type ByteSource, FileSink, openSource, readCapture } from './capture.js';
export { openObject } from './files.js';
