// Which member of which kernel structure a `struct_ops` program implements. The program's section does not say; a
// variable of the structure's type does, in `.struct_ops` or `.struct_ops.link`, whose members are set to functions:
//
//     SEC(".struct_ops.link") struct tcp_congestion_ops cubic = { .init = (void *)cubic_init, ... };

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import { describeSection, describeSymbol, type ElfFile, type ElfSection, RelocationType } from './file.js';
import type { FunctionTable, ObjectFunction } from './functions.js';
import { relocationSections } from './relocations.js';
import type { StructOpsSpec } from './spec.js';

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

/** The variables themselves: instances of kernel structures, which the loader makes maps of. */
export function readStructOpsVariables(
  elf: ElfFile,
  btf: Btf | undefined,
  functions: FunctionTable,
): StructOpsSpec[] {
  return elf.sections.filter(isStructOps).flatMap((section) => {
    // Without types nothing says what it holds, and its programs cannot be loaded either.
    const id = btf?.findByName(section.name, 'DATASEC');
    const datasec = id === undefined ? undefined : btf?.type(id);
    if (btf === undefined || datasec?.kind !== 'DATASEC') return [];
    const contents = elf.contents(section);
    const relocations = relocationSections(elf)
      .filter(({ target }) => target === section)
      .flatMap(({ section: table }) => elf.relocations(table));
    return datasec.vars.map(({ type, offset, size }) => {
      const variable = btf.type(type);
      const struct = variable.kind === 'VAR' ? btf.type(btf.skipModifiers(variable.type)) : variable;
      const where = `struct_ops '${variable.name}'`;
      if (struct.kind !== 'STRUCT') throw new SkepError(`is a ${struct.kind}, not a struct`, { where });
      if (offset + size > contents.length || struct.size > size) {
        throw new SkepError(`its ${struct.size} bytes are not in ${section.name}`, { where });
      }
      const programs = relocations.flatMap(({ offset: at, symbol }) => {
        if (at < offset || at >= offset + size) return [];
        const member = struct.members.find(({ bitOffset }) => bitOffset === (at - offset) * 8);
        const fn = functions.at(symbol.section, symbol.value / 8);
        return member && fn ? [{ member: member.name, program: fn.name }] : [];
      });
      return {
        name: variable.name,
        struct: struct.name,
        typeId: struct.id,
        contents: contents.slice(offset, offset + struct.size),
        programs,
        link: section.name.endsWith('.link'),
        autoload: !section.name.startsWith('?'),
      };
    });
  });
}
