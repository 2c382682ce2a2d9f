// The public names of BTF.

export * from './btf.js';
export { type DumpCOptions, dumpC } from './dump-c.js';
export { dumpRaw, rawToJson } from './dump-raw.js';
export * from './encode.js';
export * from './ext.js';
export * from './json.js';
export * from './types.js';
export * from './value.js';
export { formatValue, type ValueOptions, valueToJson } from './value-json.js';
