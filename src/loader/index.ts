// The public names of the loader.

export type { TcOptions, XdpOptions } from './attach.js';
export { PerfBuffer, type PerfSample, RingBuffer, UserRingBuffer } from './buffers.js';
export { Collection, LoadedProgram, LoadedVariables, type RunOptions } from './collection.js';
export type { KernelFacts } from './externs.js';
export type { Attachable, Link } from './link.js';
export { type LoadOptions, load } from './load.js';
export { LoadedMap } from './map.js';
export { kernelMapName } from './names.js';
export { type PossibleType, possibleTypes } from './program-types.js';
export { RefusedProgram } from './refused.js';
export {
  LoadedSkeleton,
  OpenSkeleton,
  Skeleton,
  type SkeletonTypes,
  type TypedMap,
  type TypedVariable,
} from './skeleton.js';
export { findVariable, getVariable, resizeMap, setVariable } from './variables.js';
