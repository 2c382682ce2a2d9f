// The public names of BTF.

export * from './btf.js';
export * from './ext.js';
export * from './types.js';
