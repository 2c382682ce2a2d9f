// Which member of which kernel structure a `struct_ops` program implements. The program's section does not say; a
// variable of the structure's type does, in `.struct_ops` or `.struct_ops.link`, whose members are set to functions:
//
//     SEC(".struct_ops.link") struct tcp_congestion_ops cubic = { .init = (void *)cubic_init, ... };

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import { describeSection, describeSymbol, type ElfFile, type ElfSection, RelocationType } from './file.js';
import type { FunctionTable, ObjectFunction } from './functions.js';
import { relocationSections } from './relocations.js';

/** A member of a structure of function pointers, by the names that the object gives them. */
export interface StructOpsMember {
  readonly struct: string;
  readonly member: string;
}

const isStructOps = ({ name }: ElfSection): boolean => /^\??\.struct_ops(?:\.link)?$/.test(name);

/** What each function that is the value of a member implements. Throws a SkepError for an address that is no function. */
export function readStructOps(
  elf: ElfFile,
  btf: Btf | undefined,
  functions: FunctionTable,
): ReadonlyMap<ObjectFunction, StructOpsMember> {
  const members = new Map<ObjectFunction, StructOpsMember>();
  for (const { section, target } of relocationSections(elf)) {
    if (!isStructOps(target) || btf === undefined) continue;
    for (const { offset, type, symbol } of elf.relocations(section)) {
      if (type === RelocationType.R_BPF_NONE) continue;
      const fn = functions.at(symbol.section, symbol.value / 8);
      const member = memberAt(btf, target.name, offset);
      if (symbol.special || fn === undefined || member === undefined) {
        throw new SkepError(
          `offset ${offset} is set to ${describeSymbol(symbol)}, which is no function for a member`,
          {
            where: describeSection(target),
          },
        );
      }
      members.set(fn, member);
    }
  }
  return members;
}

/** The member at `offset` of a section of structures. */
function memberAt(btf: Btf, section: string, offset: number): StructOpsMember | undefined {
  const id = btf.findByName(section, 'DATASEC');
  const datasec = id === undefined ? undefined : btf.type(id);
  if (datasec?.kind !== 'DATASEC') return undefined;
  const place = datasec.vars.find((one) => offset >= one.offset && offset < one.offset + one.size);
  const variable = place === undefined ? undefined : btf.type(place.type);
  if (place === undefined || variable?.kind !== 'VAR') return undefined;
  const struct = btf.type(btf.skipModifiers(variable.type));
  if (struct.kind !== 'STRUCT') return undefined;
  const member = struct.members.find(({ bitOffset }) => bitOffset === (offset - place.offset) * 8);
  return member === undefined ? undefined : { struct: struct.name, member: member.name };
}
