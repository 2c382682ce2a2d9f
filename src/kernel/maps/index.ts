// Maps of the emulated kernel.

export type { MapShape, MapTypeDefinition } from './definition.js';
export { KernelMap, type ProgramReference, type ProgramsByFd } from './map.js';
export { mapTypeDefinition, mapTypes } from './table.js';
