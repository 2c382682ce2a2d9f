// The public names of the comparison.

export { type CompareOptions, compare, type Kernel, type RunInput } from './compare.js';
export type * from './comparison.js';
export { memberBytes } from './member.js';
