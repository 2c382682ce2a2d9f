// Maps as they were defined before BTF: each symbol of the `maps` section (or of `maps/NAME`) is a struct
//
//     u32 type | u32 key_size | u32 value_size | u32 max_entries | u32 map_flags | ...
//
// libbpf 1.0 gave this up; cilium/ebpf still reads it, and so does this. Members beyond the five must be zero.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import type { MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import { describeSection, type ElfFile, type ElfSection, SectionType, SymbolType } from './file.js';
import type { DefinedMap } from './maps.js';

const DEFINITION_SIZE = 20;

const isLegacySection = (section: ElfSection): boolean =>
  section.type === SectionType.Progbits && (section.name === 'maps' || section.name.startsWith('maps/'));

/** The maps of all legacy sections, by section and offset. Throws a SkepError that names the map. */
export function readLegacyMaps(elf: ElfFile, btf: Btf | undefined): DefinedMap[] {
  const legacy = new Map(elf.sections.filter(isLegacySection).map((section) => [section.index, section]));
  if (legacy.size === 0) return [];
  const symbols = elf.symbols
    .filter(
      ({ section, special, name, type }) =>
        !special &&
        legacy.has(section) &&
        name !== '' &&
        (type === SymbolType.Object || type === SymbolType.NoType),
    )
    .toSorted((a, b) => a.section - b.section || a.value - b.value);
  return symbols.map((symbol, i) => {
    const where = `map '${symbol.name}'`;
    const section = elf.section(symbol.section, where);
    const next = symbols[i + 1];
    const end = next !== undefined && next.section === symbol.section ? next.value : section.size;
    const size = end - symbol.value;
    if (size < DEFINITION_SIZE) {
      throw new SkepError(
        `its definition has ${size} bytes in ${describeSection(section)}, fewer than ${DEFINITION_SIZE}`,
        { where },
      );
    }
    const bytes = elf.contents(section).subarray(symbol.value, end);
    if (bytes.subarray(DEFINITION_SIZE).some((byte) => byte !== 0)) {
      throw new SkepError('its definition has members beyond map_flags that are not zero', {
        where,
        hint: 'Pinning and inner maps need a BTF definition: SEC(".maps").',
      });
    }
    const reader = new ByteReader(bytes, elf.littleEndian, where);
    const u32 = (index: number): number => reader.u32(index * 4, 'its definition');
    const spec = {
      name: symbol.name,
      type: u32(0) as MapType,
      keySize: u32(1),
      valueSize: u32(2),
      maxEntries: u32(3),
      flags: u32(4),
      mapExtra: 0,
      pinning: 0,
      ...typeIds(btf, symbol.name),
    };
    return { spec, section, offset: symbol.value, size };
  });
}

/** BPF_ANNOTATE_KV_PAIR tied key and value types to such a map by a struct of a certain name. */
function typeIds(btf: Btf | undefined, name: string): { keyTypeId: number; valueTypeId: number } {
  const id = btf?.findByName(`____btf_map_${name}`, 'STRUCT');
  const pair = id === undefined ? undefined : btf?.type(id);
  if (pair?.kind !== 'STRUCT') return { keyTypeId: 0, valueTypeId: 0 };
  const member = (wanted: string): number => pair.members.find((m) => m.name === wanted)?.type ?? 0;
  return { keyTypeId: member('key'), valueTypeId: member('value') };
}
