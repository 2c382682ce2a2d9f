// Skep as a library. Everything here runs in Node and in a browser alike.

export { SkepError } from './base/error.js';
export * from './bpf/bpf.js';
export { BpfError, Errno, errnoMessage, errnoName } from './bpf/errno.js';
export * from './bpf/types.js';
export * from './btf/index.js';
export {
  type CompareOptions,
  type Comparison,
  compare,
  type Difference,
  type Expected,
  type Kernel as ComparedKernel,
  memberBytes,
  type RunInput,
} from './compare/index.js';
export * from './elf/index.js';
export * as isa from './isa/index.js';
export { type ModuleCompiler, useModuleCompiler } from './kernel/jit/compiler.js';
export { EmulatedKernel, type EmulatedKernelOptions } from './kernel/kernel.js';
export {
  type Branch,
  type Explanation,
  explain,
  type Origin,
  type SourceLine,
} from './kernel/verifier/explain/index.js';
export { type Judgement, VerifyingKernel, type VerifyingOptions } from './kernel/verifying.js';
export * from './loader/index.js';
export * as pcap from './pcap/index.js';
