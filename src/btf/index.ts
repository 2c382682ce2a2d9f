// The public names of BTF.

export * from './btf.js';
export { type Deduplicated, dedupTypes } from './dedup.js';
export { type DumpCOptions, dumpC } from './dump-c.js';
export { dumpRaw, type RawType, rawText, rawTypes } from './dump-raw.js';
export * from './encode.js';
export * from './ext.js';
export { type CoreUser, minimalBtf } from './minimize.js';
export * from './types.js';
export * from './value.js';
export { type JsonSink, type ValueOptions, type ValueWriter, valueWriter } from './value-json.js';
