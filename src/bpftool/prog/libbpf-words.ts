// What libbpf says while it opens and loads an object: its warnings, and with `-d` how it got there.

import { BpfError, errnoName } from '../../bpf/errno.js';
import { ElfFile, type ElfSection, SectionFlag, SectionType, SymbolType } from '../../elf/file.js';
import type { CollectionSpec, MapSpec } from '../../elf/spec.js';
import { kernelMapName } from '../../loader/names.js';

/** An errno as libbpf prints it: `-EACCES`. */
export const negative = ({ errno }: { errno: number }): string =>
  /^E/.test(errnoName(errno)) ? `-${errnoName(errno)}` : String(-errno);

/** libbpf's name for an object: the file's, up to the first dot. */
export const objectName = (path: string): string => (path.split('/').at(-1) ?? '').replace(/\..*$/s, '');

/** A program that was refused. */
export function refusedWords(program: string, error: BpfError): string[] {
  const words = [`prog '${program}': BPF program load failed: ${negative(error)}`];
  if (error.verifierLog) words.push(logWords(program, error.verifierLog));
  return [...words, `prog '${program}': failed to load: ${negative(error)}`];
}

export const logWords = (program: string, log: string): string =>
  `prog '${program}': -- BEGIN PROG LOAD LOG --\n${log}${log.endsWith('\n') ? '' : '\n'}-- END PROG LOAD LOG --`;

const LLVM_ADDRSIG = 0x6fff4c03;

/** What libbpf does not look at: strings, DWARF, relocations of both kinds of BTF, an empty `.text`. */
function ignored({ name, type, size }: ElfSection): boolean {
  if (type === SectionType.Null || type === SectionType.Strtab || type === LLVM_ADDRSIG) return true;
  if (name === '.text' && type === SectionType.Progbits && size === 0) return true;
  return /^(\.rel)?\.debug_|^\.rel\.BTF(\.ext)?$/.test(name);
}

/** How an object is opened, a line each. */
export function openingWords(path: string, bytes: Uint8Array, spec: CollectionSpec): string[] {
  const elf = ElfFile.parse(bytes);
  const words = [`loading object from ${path}`];
  for (const section of elf.sections) {
    if (ignored(section)) continue;
    const { index, name, size, link, flags, type } = section;
    words.push(
      `elf: section(${index}) ${name}, size ${size}, link ${link}, flags ${flags.toString(16)}, type=${type}`,
    );
    if (name === 'license') words.push(`license of ${path} is ${spec.license}`);
    if ((flags & SectionFlag.ExecInstr) !== 0) words.push(...programWords(elf, section));
  }
  const externs = spec.externs.length;
  words.push(
    `looking for externs among ${elf.symbols.length} symbols...`,
    `collected ${externs} externs total`,
  );
  const maps = mapWords(elf, spec, objectName(path));
  return [...words, ...maps, ...relocationWords(elf, spec, objectName(path))];
}

function programWords(elf: ElfFile, section: ElfSection): string[] {
  return elf.symbols
    .filter((symbol) => symbol.section === section.index && symbol.type === SymbolType.Func)
    .toSorted((a, b) => a.value - b.value)
    .map(
      ({ name, value, size }) =>
        `sec '${section.name}': found program '${name}' at insn offset ${value / 8} (${value} bytes), ` +
        `code size ${size / 8} insns (${size} bytes)`,
    );
}

function mapWords(elf: ElfFile, spec: CollectionSpec, name: string): string[] {
  return spec.maps.flatMap((map, at) => {
    const shown = map.section === undefined ? map.name : kernelMapName(map, name);
    const section = elf.sectionByName(map.section === undefined ? '.maps' : map.name)?.index ?? 0;
    const which = `map ${at} is "${shown}"`;
    if (map.section === undefined) return [...definitionWords(elf, map, section), which];
    const flags = map.flags.toString(16);
    return [`map '${shown}' (global data): at sec_idx ${section}, offset 0, flags ${flags}.`, which];
  });
}

function definitionWords(elf: ElfFile, map: MapSpec, section: number): string[] {
  const symbol = elf.symbols.find(({ name, section: where }) => name === map.name && where === section);
  const found = (what: string): string => `map '${map.name}': found ${what}.`;
  const words = [
    `map '${map.name}': at sec_idx ${section}, offset ${symbol?.value ?? 0}.`,
    found(`type = ${map.type}`),
  ];
  if (map.keyTypeId !== 0) words.push(found(`key [${map.keyTypeId}], sz = ${map.keySize}`));
  else if (map.keySize !== 0) words.push(found(`key_size = ${map.keySize}`));
  if (map.valueTypeId !== 0) words.push(found(`value [${map.valueTypeId}], sz = ${map.valueSize}`));
  else if (map.valueSize !== 0) words.push(found(`value_size = ${map.valueSize}`));
  if (map.maxEntries !== 0) words.push(found(`max_entries = ${map.maxEntries}`));
  if (map.flags !== 0) words.push(found(`map_flags = 0x${map.flags.toString(16)}`));
  if (map.mapExtra !== 0) words.push(found(`map_extra = 0x${map.mapExtra.toString(16)}`));
  if (map.pinning !== 0) words.push(found(`pinning = ${map.pinning}`));
  if (map.innerMap !== undefined) words.push(found('inner map definition'));
  return words;
}

function relocationWords(elf: ElfFile, spec: CollectionSpec, object: string): string[] {
  const words: string[] = [];
  for (const section of elf.sections) {
    if (section.type !== SectionType.Rel || ignored(section)) continue;
    const target = elf.sections[section.info];
    if (target === undefined || (target.flags & SectionFlag.ExecInstr) === 0) continue;
    words.push(`sec '${section.name}': collecting relocation for section(${target.index}) '${target.name}'`);
    elf.relocations(section).forEach(({ offset, symbol }, at) => {
      const referred = elf.sections[symbol.section];
      const shown = symbol.type === SymbolType.Section ? (referred?.name ?? '') : symbol.name;
      words.push(`sec '${section.name}': relo #${at}: insn #${offset / 8} against '${shown}'`);
      const program = elf.symbols.find(
        ({ type, section: where, value, size }) =>
          type === SymbolType.Func && where === target.index && value <= offset && offset < value + size,
      );
      const map = spec.maps.findIndex((one) =>
        one.section === undefined
          ? referred?.name === '.maps' && one.name === symbol.name
          : one.name === referred?.name,
      );
      const spot = spec.maps[map];
      if (program === undefined || referred === undefined || spot === undefined) return;
      const data = spot.section !== undefined;
      const where = `(${data ? kernelMapName(spot, object) : spot.name}, sec ${referred.index}, off ${symbol.value})`;
      const insn = (offset - program.value) / 8;
      words.push(
        `prog '${program.name}': found ${data ? 'data map' : 'map'} ${map} ${where} for insn ${data ? '' : '#'}${insn}`,
      );
    });
  }
  return words;
}

/** A map that was made. */
export const mapMadeWords = (map: MapSpec, object: string, fd: number): string =>
  `map '${map.section === undefined ? map.name : kernelMapName(map, object)}': created successfully, fd=${fd}`;

/** What libbpf says when there is no token to be had, which is nearly always. */
export const tokenWords = (object: string, bpffs: string, error: unknown): string | undefined =>
  error instanceof BpfError
    ? `object '${object}': failed (${-error.errno}) to create BPF token from '${bpffs}', skipping optional step...`
    : undefined;
