// What the tool has to know of map types.

import type { MapInfo } from '../../bpf/bpf.js';
import { MapType } from '../../bpf/types.js';

const PER_CPU: ReadonlySet<number> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
  MapType.PercpuCgroupStorage,
]);

export const isPerCpu = ({ type }: MapInfo): boolean => PER_CPU.has(type);

export const holdsMaps = ({ type }: MapInfo): boolean =>
  type === MapType.ArrayOfMaps || type === MapType.HashOfMaps;

export const holdsProgs = ({ type }: MapInfo): boolean => type === MapType.ProgArray;

/** Bytes between the values of two CPUs. */
export const slotSize = ({ valueSize }: MapInfo): number => Math.ceil(valueSize / 8) * 8;
