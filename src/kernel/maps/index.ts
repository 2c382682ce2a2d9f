// Maps of the emulated kernel.

export { checkTypes } from './btf.js';
export type { MapShape, MapTypeDefinition } from './definition.js';
export { KernelMap } from './map.js';
export type { ProgramTraits } from './owner.js';
export type { MapCaller, MapReference, MapSurroundings, ProgramReference, Reference } from './references.js';
export { hasRecords, putRecord, takeRecords, wakeups } from './ringbuf.js';
export { mapTypeDefinition, mapTypes } from './table.js';
