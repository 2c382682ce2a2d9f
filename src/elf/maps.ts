// Maps that BTF defines: each variable of `.maps` is a struct whose members are attributes, and only their types
// matter (bpf_helpers.h; libbpf's parse_btf_map_def):
//
//     __uint(max_entries, 64)     int (*max_entries)[64]         the number is the length of an array
//     __ulong(map_extra, 1UL<<40) enum { ... = 1UL<<40 } map_extra
//     __type(key, u32)            u32 *key                       the type that is pointed to
//     __array(values, struct x)   struct x *values[]             inner map, or program of a program array

import { SkepError } from '../base/error.js';
import { MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import type { BtfComposite, BtfMember } from '../btf/types.js';
import {
  describeSection,
  describeSymbol,
  type ElfFile,
  type ElfSection,
  RelocationType,
  relocationTypeName,
} from './file.js';
import type { FunctionTable } from './functions.js';
import { isExecutable } from './functions.js';
import { relocationSections } from './relocations.js';
import type { MapSpec } from './spec.js';

/** A map and where its definition is. */
export interface DefinedMap {
  spec: MapSpec;
  section: ElfSection;
  /** In bytes from the start of the section. */
  offset: number;
  size: number;
  /** Offset of the `values` member in the definition, in bytes. */
  valuesOffset?: number;
}

const isMapInMap = (type: number): boolean => type === MapType.ArrayOfMaps || type === MapType.HashOfMaps;

/** The maps of `.maps`, in the order of the section. Throws a SkepError that names map and attribute. */
export function readBtfMaps(elf: ElfFile, btf: Btf | undefined): DefinedMap[] {
  const section = elf.sectionByName('.maps');
  if (section === undefined || section.size === 0) return [];
  const id = btf?.findByName('.maps', 'DATASEC');
  const datasec = id === undefined ? undefined : btf?.type(id);
  if (btf === undefined || datasec?.kind !== 'DATASEC') {
    throw new SkepError('maps are defined, but there is no BTF that describes them', {
      where: describeSection(section),
      hint: 'Compile with -g, and keep .BTF when stripping (llvm-strip -g).',
    });
  }
  const maps = datasec.vars.map(({ type: variableId, offset, size }) => {
    const variable = btf.type(variableId);
    const where = `map '${btf.nameOf(variableId)}'`;
    if (variable.kind !== 'VAR' || variable.name === '') {
      throw new SkepError(`.maps lists ${btf.describe(variableId)}, which is no variable`, {
        where: describeSection(section),
      });
    }
    if (variable.linkage !== 'global') {
      throw new SkepError(`is ${variable.linkage}, but maps must be global`, {
        where,
        hint: 'Remove `static` from its definition.',
      });
    }
    const definition = btf.type(btf.skipModifiers(variable.type));
    if (definition.kind !== 'STRUCT') {
      throw new SkepError(`is defined by a ${definition.kind}, not a struct`, { where });
    }
    if (offset + size > section.size || definition.size > size) {
      throw new SkepError(
        `its definition (offset ${offset}, ${size} bytes, a struct of ${definition.size}) is not in .maps, which has ${section.size} bytes`,
        { where },
      );
    }
    const parser = new DefinitionParser(btf, variable.name);
    const spec = parser.parse(definition);
    const { valuesOffset } = parser;
    return { spec, section, offset, size, ...(valuesOffset === undefined ? {} : { valuesOffset }) };
  });
  return maps;
}

/** Reads the attributes of one definition. */
class DefinitionParser {
  readonly #btf: Btf;
  readonly #name: string;
  readonly #inner: boolean;
  valuesOffset: number | undefined;

  constructor(btf: Btf, name: string, inner = false) {
    this.#btf = btf;
    this.#name = name;
    this.#inner = inner;
  }

  parse(definition: BtfComposite): MapSpec {
    const spec: MapSpec = {
      name: this.#name,
      type: MapType.Unspec,
      keySize: 0,
      valueSize: 0,
      maxEntries: 0,
      flags: 0,
      mapExtra: 0,
      pinning: 0,
      keyTypeId: 0,
      valueTypeId: 0,
    };
    for (const [i, member] of definition.members.entries()) {
      this.#attribute(spec, member, i === definition.members.length - 1);
    }
    if (spec.type === MapType.Unspec) {
      throw this.#fail('its type is missing', 'Add __uint(type, BPF_MAP_TYPE_...).');
    }
    return spec;
  }

  #attribute(spec: MapSpec, member: BtfMember, last: boolean): void {
    switch (member.name) {
      case 'type':
        // A number without a name here is a type that only newer kernels know; they may be asked.
        spec.type = this.#int(member) as MapType;
        break;
      case 'max_entries':
        spec.maxEntries = this.#int(member);
        break;
      case 'map_flags':
        spec.flags = this.#int(member);
        break;
      case 'numa_node':
        spec.numaNode = this.#int(member);
        break;
      case 'map_extra':
        spec.mapExtra = this.#long(member);
        break;
      case 'key_size':
        spec.keySize = this.#size('key', spec.keySize, this.#int(member));
        break;
      case 'value_size':
        spec.valueSize = this.#size('value', spec.valueSize, this.#int(member));
        break;
      case 'key':
        spec.keyTypeId = this.#pointee(member);
        spec.keySize = this.#size('key', spec.keySize, this.#btf.sizeOf(spec.keyTypeId));
        break;
      case 'value':
        spec.valueTypeId = this.#pointee(member);
        spec.valueSize = this.#size('value', spec.valueSize, this.#btf.sizeOf(spec.valueTypeId));
        break;
      case 'values':
        if (!last) throw this.#fail('`values` must be the last attribute');
        this.valuesOffset = member.bitOffset / 8;
        this.#values(spec, member);
        break;
      case 'pinning':
        if (this.#inner) throw this.#fail('an inner map cannot be pinned');
        spec.pinning = this.#int(member);
        break;
      default:
        throw this.#fail(`has an unknown attribute '${member.name}'`);
    }
  }

  #values(spec: MapSpec, member: BtfMember): void {
    const btf = this.#btf;
    const programs = spec.type === MapType.ProgArray;
    if (this.#inner) throw this.#fail('an inner map cannot hold maps itself');
    if (!isMapInMap(spec.type) && !programs) {
      throw this.#fail('has `values`, but is neither a map of maps nor a program array (type comes first)');
    }
    spec.valueSize = this.#size('value', spec.valueSize, 4);
    const array = btf.type(member.type);
    if (array.kind !== 'ARRAY' || array.length !== 0) {
      throw this.#fail(`\`values\` is ${btf.describe(member.type)}, not an array of length 0`);
    }
    const pointer = btf.type(btf.skipModifiers(array.type));
    const elementId = pointer.kind === 'PTR' ? btf.skipModifiers(pointer.type) : 0;
    const element = btf.type(elementId);
    if (programs) {
      if (element.kind !== 'FUNC_PROTO') {
        throw this.#fail(`\`values\` holds ${btf.describe(elementId)}, not functions`);
      }
      return;
    }
    if (element.kind !== 'STRUCT') {
      throw this.#fail(`\`values\` holds ${btf.describe(elementId)}, not map definitions`);
    }
    spec.innerMap = new DefinitionParser(btf, `${this.#name}.inner`, true).parse(element);
  }

  /** A number, as the length of the array that the member points to. */
  #int(member: BtfMember): number {
    const pointer = this.#btf.type(this.#btf.skipModifiers(member.type));
    const array = pointer.kind === 'PTR' ? this.#btf.type(pointer.type) : pointer;
    if (pointer.kind === 'PTR' && array.kind === 'ARRAY') return array.length;
    throw this.#fail(`attribute '${member.name}' is ${this.#btf.describe(member.type)}, not a __uint`);
  }

  /** A number of up to 64 bits, as the only value of an enum. */
  #long(member: BtfMember): number {
    const type = this.#btf.type(this.#btf.skipModifiers(member.type));
    if (type.kind !== 'ENUM' && type.kind !== 'ENUM64') return this.#int(member);
    const [value] = type.values;
    if (value === undefined || type.values.length !== 1) {
      throw this.#fail(`attribute '${member.name}' is an enum of ${type.values.length} values, not of one`);
    }
    return Number(value.value);
  }

  #pointee(member: BtfMember): number {
    const pointer = this.#btf.type(member.type);
    if (pointer.kind === 'PTR') return pointer.type;
    throw this.#fail(`attribute '${member.name}' is ${this.#btf.describe(member.type)}, not a __type`);
  }

  #size(what: string, known: number, size: number): number {
    if (known === 0 || known === size) return size;
    throw this.#fail(`says that a ${what} has ${known} bytes and ${size} bytes`);
  }

  #fail(message: string, hint = ''): SkepError {
    return new SkepError(message, { where: `map '${this.#name}'`, hint });
  }
}

/** Fills `initialSlots` from the relocations of `.maps`: `.values = { [3] = &inner }`. */
export function readInitialSlots(elf: ElfFile, maps: readonly DefinedMap[], functions: FunctionTable): void {
  const sorted = maps
    .filter(({ section }) => section.name === '.maps')
    .toSorted((a, b) => a.offset - b.offset);
  const byOffset = new Map(sorted.map((map) => [map.offset, map]));
  for (const { section, target } of relocationSections(elf)) {
    if (target.name !== '.maps') continue;
    for (const { offset, type, symbol } of elf.relocations(section)) {
      if (type === RelocationType.R_BPF_NONE) continue;
      const map = containing(sorted, offset);
      const where = map === undefined ? describeSection(target) : `map '${map.spec.name}'`;
      const fail = (message: string): SkepError => new SkepError(message, { where });
      // Clang before 13 wrote R_BPF_64_64 here.
      if (type !== RelocationType.R_BPF_64_ABS64 && type !== RelocationType.R_BPF_64_64) {
        throw fail(`${relocationTypeName(type)} against ${describeSymbol(symbol)} cannot be in .maps`);
      }
      if (map === undefined) throw fail(`offset ${offset} belongs to no map`);
      const index = (offset - map.offset - (map.valuesOffset ?? Number.NaN)) / 8;
      if (!Number.isInteger(index) || index < 0) {
        throw fail(
          `refers to ${describeSymbol(symbol)} at offset ${offset}, which is no element of its values`,
        );
      }
      map.spec.initialSlots ??= [];
      if (map.spec.type === MapType.ProgArray) {
        const fn = symbol.special ? undefined : functions.at(symbol.section, symbol.value / 8);
        const home = elf.sections[symbol.section];
        const entry = fn?.global === true && fn.start * 8 === symbol.value && home !== undefined;
        if (!entry || !isExecutable(home) || home.name === '.text') {
          throw fail(`element ${index} is ${describeSymbol(symbol)}, which is no program`);
        }
        map.spec.initialSlots.push({ index, kind: 'program', name: symbol.name });
        continue;
      }
      const inner = symbol.section === target.index ? byOffset.get(symbol.value) : undefined;
      if (inner === undefined) throw fail(`element ${index} is ${describeSymbol(symbol)}, which is no map`);
      if (map.spec.type === MapType.HashOfMaps && map.spec.keySize !== 4) {
        throw fail(`a hash of maps with initial values must have keys of 4 bytes, not ${map.spec.keySize}`);
      }
      map.spec.initialSlots.push({ index, kind: 'map', name: inner.spec.name });
    }
  }
}

/** The map whose definition contains 8 bytes at `offset`. */
function containing(sorted: readonly DefinedMap[], offset: number): DefinedMap | undefined {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((sorted[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const map = sorted[low];
  return map !== undefined && offset >= map.offset && offset + 8 <= map.offset + map.size ? map : undefined;
}
