// The map types that the emulated kernel has.

import type { MapType } from '../../bpf/types.js';
import { array } from './array.js';
import type { MapTypeDefinition } from './definition.js';
import { hash } from './hash.js';
import { percpuArray } from './percpu-array.js';
import { percpuHash } from './percpu-hash.js';
import { progArray } from './prog-array.js';

export const mapTypes: readonly MapTypeDefinition[] = [hash, array, progArray, percpuHash, percpuArray];

const byType = new Map<MapType, MapTypeDefinition>(
  mapTypes.map((definition) => [definition.type, definition]),
);

/** The definition of a map type; undefined when the emulated kernel does not have it. */
export const mapTypeDefinition = (type: MapType): MapTypeDefinition | undefined => byType.get(type);
