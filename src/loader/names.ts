// Names that a kernel takes: at most 15 characters (BPF_OBJ_NAME_LEN), letters, digits, `_` and `.`.

import type { MapSpec } from '../elf/spec.js';

const MAX_NAME = 15;

/** A name as bpf(2) takes it. */
export const kernelName = (name: string): string => name.slice(0, MAX_NAME).replace(/[^A-Za-z0-9_.]/g, '_');

/**
 * The name of a map in the kernel. A section's map has the object's name before it, as much of that as fits when
 * seven characters are kept for the section (libbpf's internal_map_name): `firewall.bss`, `firewal.kconfig`;
 * sections of the user's own making, such as `.data.tuning`, stand alone.
 */
export function kernelMapName(map: MapSpec, objectName: string): string {
  if (map.section === undefined) return kernelName(map.name);
  const suffix = Math.min(Math.max(7, map.name.length), MAX_NAME);
  const prefix = map.name.includes('.', 1) ? 0 : MAX_NAME - suffix;
  return kernelName(objectName.slice(0, prefix) + map.name.slice(0, suffix));
}

/**
 * The name of a map as libbpf's users know it (bpf_map__name): sections of the user's own making keep their name, others have
 * the object's before it.
 */
export function mapName(map: MapSpec, objectName: string): string {
  return map.name.includes('.', 1) || map.section === undefined ? map.name : kernelMapName(map, objectName);
}

/** The file name of a map that is pinned: a bpf file system takes no dots. */
export const pinName = (map: MapSpec, objectName: string): string =>
  mapName(map, objectName).replaceAll('.', '_');

/** Names for an error message, the first few of them: `a, b, c and 4 more`. */
export function listNames(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, 12);
  const rest = names.length - shown.length;
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
