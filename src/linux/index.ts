// The real kernel, for Node on Linux.

export { LinuxKernel } from './kernel.js';
