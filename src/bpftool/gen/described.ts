// What skeletons say of an object: its maps under the names that they have in C, its variables and programs.

import { MapFlag } from '../../bpf/types.js';
import type { Btf } from '../../btf/btf.js';
import type { CollectionSpec, MapSpec } from '../../elf/spec.js';
import { mapName } from '../../loader/names.js';

/** The longest name of an object. */
const LONGEST_NAME = 63;

export interface DescribedVariable {
  name: string;
  /** Type id of its type. */
  typeId: number;
  /** In bytes from the start of the section. */
  offset: number;
  size: number;
}

export interface DescribedMap {
  spec: MapSpec;
  /** As libbpf finds it: `hello.bss`. */
  name: string;
  /** As C code does: `bss`. */
  identifier: string;
  /** Of a section whose memory is shared with user space: its variables, static ones aside. */
  variables: DescribedVariable[] | undefined;
}

export interface DescribedObject {
  name: string;
  bytes: Uint8Array;
  spec: CollectionSpec;
  maps: DescribedMap[];
  programs: string[];
}

/** A name with `_` for what C does not take. */
export const identifierOf = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, '_');

/** The name of an object that is given none: that of its file, without the ending. */
export const nameOfFile = (file: string): string =>
  identifierOf(file.replace(/^.*\//s, '').slice(0, LONGEST_NAME).replace(/\.o$/, ''));

/** `prefix` stands before the names of sections' maps; a library does not know that of the object that it is linked into. */
export function describeObject(
  spec: CollectionSpec,
  bytes: Uint8Array,
  name: string,
  prefix = name,
): DescribedObject {
  const maps = spec.maps.map((map) => ({
    spec: map,
    name: mapName(map, prefix),
    identifier: map.section === undefined ? map.name : identifierOf(map.name.slice(1)),
    variables: (map.flags & MapFlag.Mmapable) !== 0 ? sectionVariables(spec.btf, map) : undefined,
  }));
  return { name, bytes, spec, maps, programs: spec.programs.map((program) => program.name) };
}

function sectionVariables(btf: Btf | undefined, { name, section }: MapSpec): DescribedVariable[] | undefined {
  if (section === undefined) return undefined;
  const id = btf?.findByName(name, 'DATASEC');
  const datasec = id === undefined ? undefined : btf?.type(id);
  // A section of the compiler's own constants has no types; its memory is there all the same.
  if (btf === undefined || datasec?.kind !== 'DATASEC') return [];
  return datasec.vars.flatMap(({ type, offset, size }) => {
    const variable = btf.type(type);
    if (variable.kind !== 'VAR' || variable.linkage === 'static') return [];
    return [{ name: variable.name, typeId: variable.type, offset, size }];
  });
}
