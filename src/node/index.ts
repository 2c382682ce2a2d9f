// Skep in Node: the library, with V8's tiers under control, and files.

import { useModuleCompiler } from '../kernel/jit/compiler.js';
import { tieredCompiler } from './tiers.js';

useModuleCompiler(tieredCompiler);

export * from '../index.js';
export { type ByteSource, FileSink, openSource, readCapture } from './capture.js';
export { openObject } from './files.js';
