// The real kernel, for Node on Linux, and what can be found out about it.

export { readKernelBtf } from './btf.js';
export { type KernelSymbol, KernelSymbols, parseKallsyms, readKallsyms } from './kallsyms.js';
export { LinuxKernel } from './kernel.js';
export { type Capability, effectiveCapabilities, kernelConfig, mounts, sysctl } from './machine.js';
export { unprivilegedBpf } from './native.js';
export {
  type Features,
  type MiscFeatures,
  type ProbeOptions,
  probeFeatures,
  probeHelper,
  probeMapType,
  probeProgType,
} from './probe.js';
