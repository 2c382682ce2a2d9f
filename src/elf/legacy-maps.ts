// Maps as they were defined before BTF: each symbol of the `maps` section (or of `maps/NAME`) is a struct
//
//     u32 type | u32 key_size | u32 value_size | u32 max_entries | u32 map_flags | ...
//
// libbpf 1.0 gave this up; cilium/ebpf still reads it, and so does this. Two loaders of that time had more members:
//
//     ... | u32 inner_map_idx | u32 numa_node                    Linux's samples (bpf_load.h): index of a definition
//     ... | u32 id | u32 pinning | u32 inner_id | u32 inner_idx  iproute2 (bpf_elf.h), the last two since 4.13
//
// They are told apart by the type of the map, the flag that asks for a node, and the size. What iproute2 pins in its own
// folders is not pinned here.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import { MapFlag, MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import { describeSection, type ElfFile, type ElfSection, SectionType, SymbolType } from './file.js';
import type { DefinedMap } from './maps.js';
import type { MapSpec } from './spec.js';

/** Bytes of the five members that all loaders had, of the samples' seven and of iproute2's nine. */
const DEFINITION_SIZE = 20;
const SAMPLES_SIZE = 28;
const IPROUTE2_SIZE = 36;

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
  const definitions = symbols.map((symbol, i) => {
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
    if (bytes.subarray(IPROUTE2_SIZE).some((byte) => byte !== 0)) {
      throw new SkepError('its definition has members beyond inner_idx that are not zero', {
        where,
        hint: 'Define it with BTF: SEC(".maps").',
      });
    }
    const reader = new ByteReader(bytes, elf.littleEndian, where);
    // What a shorter definition leaves out is zero.
    const u32 = (index: number): number =>
      (index + 1) * 4 <= size ? reader.u32(index * 4, 'its definition') : 0;
    const spec: MapSpec = {
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
    if (size <= SAMPLES_SIZE && spec.flags & MapFlag.NumaNode) spec.numaNode = u32(6);
    return { spec, section, offset: symbol.value, size, id: u32(5), innerId: u32(7) };
  });
  for (const { spec, size, id, innerId } of definitions) {
    if (spec.type !== MapType.ArrayOfMaps && spec.type !== MapType.HashOfMaps) continue;
    const inner = size > SAMPLES_SIZE ? definitions.find((one) => one.id === innerId) : definitions[id];
    if (inner === undefined || inner.spec === spec) {
      throw new SkepError(`no definition is that of its inner map (${size > SAMPLES_SIZE ? innerId : id})`, {
        where: `map '${spec.name}'`,
      });
    }
    // What such a map holds is a descriptor; many definitions leave its size open.
    spec.valueSize ||= 4;
    spec.innerMap = { ...inner.spec, name: `${spec.name}.inner` };
  }
  return definitions.map(({ spec, section, offset, size }) => ({ spec, section, offset, size }));
}

/** BPF_ANNOTATE_KV_PAIR tied key and value types to such a map by a struct of a certain name. */
function typeIds(btf: Btf | undefined, name: string): { keyTypeId: number; valueTypeId: number } {
  const id = btf?.findByName(`____btf_map_${name}`, 'STRUCT');
  const pair = id === undefined ? undefined : btf?.type(id);
  if (pair?.kind !== 'STRUCT') return { keyTypeId: 0, valueTypeId: 0 };
  const member = (wanted: string): number => pair.members.find((m) => m.name === wanted)?.type ?? 0;
  return { keyTypeId: member('key'), valueTypeId: member('value') };
}
