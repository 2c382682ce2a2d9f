// `skep inspect`: what an object file holds, as text or as JSON.

import { attachTypeName, MapFlag, mapTypeName, ProgFlag, progTypeName } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import { decodeValue, type Value } from '../btf/value.js';
import { parseObject } from '../elf/object.js';
import type { CollectionSpec, MapSpec, ProgramSpec } from '../elf/spec.js';
import { slotCount } from '../isa/classify.js';
import { programTag } from '../isa/tag.js';
import { readBytes } from '../node/files.js';
import { colors, counted, grouped, hexBytes, printable, size, table } from './text.js';
import { declarationText, toJson, valueText } from './values.js';

export interface InspectOptions {
  json?: boolean;
}

/** Runs the command. */
export async function inspect(path: string, options: InspectOptions): Promise<void> {
  const bytes = await readBytes(path);
  const facts = describe(path, bytes.length, parseObject(bytes, { name: path }));
  process.stdout.write(options.json ? `${JSON.stringify(toJson(facts), null, 2)}\n` : print(facts));
}

/** Everything that is shown. */
type Facts = ReturnType<typeof describe>;

function describe(file: string, bytes: number, spec: CollectionSpec) {
  const { btf, byteOrder, license, kernelVersion } = spec;
  return {
    file,
    bytes,
    byteOrder,
    license,
    kernelVersion,
    programs: spec.programs.map(describeProgram),
    maps: spec.maps.map((map) => describeMap(map, btf)),
    variables: spec.variables.map(({ name, map, offset, size: length, typeId, linkage }) => ({
      name,
      section: map,
      offset,
      size: length,
      linkage,
      type: typeName(btf, typeId),
      declaration: btf && typeId ? declarationText(btf, typeId, name) : undefined,
      value: initialValue(spec, map, offset, length, typeId),
    })),
    externs: spec.externs.map(({ name, section, typeId, isFunction, weak }) => ({
      name,
      section,
      kind: section === undefined ? 'unknown' : isFunction ? 'function' : 'variable',
      type: typeName(btf, typeId),
      weak,
    })),
    btf: btf && { bytes: btf.bytes.length, types: btf.typeCount - 1 },
    coreRelocations: spec.programs.reduce((sum, program) => sum + program.coreRelocations.length, 0),
  };
}

function describeProgram(program: ProgramSpec) {
  const { name, section, type, attachType, attachTo, instructions, functions, autoload } = program;
  const slots = slotCount(instructions);
  return {
    name,
    section,
    type: progTypeName(type) ?? String(type),
    attachType: attachType === undefined ? undefined : (attachTypeName(attachType) ?? String(attachType)),
    attachTo,
    flags: flagNames(program.flags, ProgFlag),
    autoload,
    instructions: instructions.length,
    slots,
    bytes: slots * 8,
    subprograms: functions.slice(1).map((fn) => fn.name),
    lines: program.lines.length,
    coreRelocations: program.coreRelocations.length,
    tag: { sha1: programTag(instructions, 'sha1'), sha256: programTag(instructions, 'sha256') },
  };
}

function describeMap(map: MapSpec, btf: Btf | undefined) {
  const { name, type, keySize, valueSize, maxEntries, pinning, innerMap, section, initialSlots } = map;
  return {
    name,
    type: mapTypeName(type) ?? String(type),
    section: section?.kind,
    keySize,
    keyType: section ? undefined : typeName(btf, map.keyTypeId),
    valueSize,
    valueType: section ? undefined : typeName(btf, map.valueTypeId),
    maxEntries,
    flags: flagNames(map.flags, MapFlag),
    mapExtra: map.mapExtra || undefined,
    pinned: pinning === 1 ? 'by name' : undefined,
    innerMap: innerMap && { type: mapTypeName(innerMap.type), maxEntries: innerMap.maxEntries },
    initialSlots,
  };
}

/** The bits of `flags` by name, in the kernel's spelling; what has none as a number. */
function flagNames(flags: number, names: Readonly<Record<string, number>>): string[] {
  const found: string[] = [];
  let rest = flags;
  for (const [name, bit] of Object.entries(names)) {
    if ((flags & bit) === 0) continue;
    found.push(`BPF_F${name.replace(/[A-Z][a-z0-9]*/g, (word) => `_${word.toUpperCase()}`)}`);
    rest &= ~bit;
  }
  if (rest !== 0) found.push(`0x${(rest >>> 0).toString(16)}`);
  return found;
}

const typeName = (btf: Btf | undefined, id: number): string | undefined =>
  btf === undefined || id === 0 ? undefined : declarationText(btf, id);

function initialValue(
  spec: CollectionSpec,
  section: string,
  offset: number,
  length: number,
  typeId: number,
): Value | undefined {
  const contents = spec.maps.find((map) => map.name === section)?.section?.contents;
  if (contents === undefined || offset + length > contents.length) return undefined;
  const bytes = contents.subarray(offset, offset + length);
  return spec.btf === undefined || typeId === 0 ? bytes : decodeValue(spec.btf, typeId, bytes);
}

function print(facts: Facts): string {
  const parts = [heading(facts), ...facts.programs.map(programText), mapsText(facts)];
  parts.push(variablesText(facts), externsText(facts));
  return parts.filter((part) => part !== '').join('\n');
}

function heading({
  file,
  bytes,
  byteOrder,
  license,
  kernelVersion,
  btf,
  coreRelocations,
  programs,
}: Facts): string {
  const rows = [
    ['file', `${size(bytes)}, ${byteOrder}-endian`],
    ['licence', license === '' ? 'none' : printable(license)],
    ['BTF', btf ? `${counted(btf.types, 'type')}, ${size(btf.bytes)}` : 'none (compile with -g)'],
    ['CO-RE', coreRelocations ? counted(coreRelocations, 'relocation') : 'no relocations'],
  ];
  if (kernelVersion !== undefined) rows.push(['version', `0x${kernelVersion.toString(16)}`]);
  if (programs.length === 0) rows.push(['programs', 'none']);
  return `${colors.bold(file)}\n${table(rows.map(([name, value]) => [colors.dim(name ?? ''), value ?? '']))}`;
}

function programText(program: Facts['programs'][number]): string {
  const { name, section, type, attachType, attachTo, slots, bytes, subprograms, tag, flags, autoload } =
    program;
  const what = [
    type,
    ...(attachType ? [`attach type ${attachType}`] : []),
    ...(attachTo ? [`to ${printable(attachTo)}`] : []),
  ];
  const rows = [
    ['section', printable(section) + (autoload ? '' : ' (not loaded unless asked for)')],
    ['type', what.join(', ')],
    [
      'code',
      `${counted(slots, 'instruction')}, ${grouped(bytes)} bytes${program.lines ? `, ${counted(program.lines, 'source line')}` : ''}`,
    ],
  ];
  if (subprograms.length > 0) rows.push(['subprograms', subprograms.map(printable).join(', ')]);
  if (program.coreRelocations > 0) rows.push(['CO-RE', counted(program.coreRelocations, 'relocation')]);
  if (flags.length > 0) rows.push(['flags', flags.join(' | ')]);
  rows.push(['tag', `${tag.sha1} before Linux 6.18, ${tag.sha256} since`]);
  const lines = table(rows.map(([label, value]) => [colors.dim(label ?? ''), value ?? '']));
  return `${colors.bold(`Program ${printable(name)}`)}\n${lines}`;
}

function mapsText({ maps }: Facts): string {
  if (maps.length === 0) return '';
  const head = ['name', 'type', 'key', 'value', 'entries', 'flags'].map((title) => colors.dim(title));
  const sized = (bytes: number, type: string | undefined) => `${type ? `${type}, ` : ''}${bytes} B`;
  const rows = maps.map((map) => [
    printable(map.name),
    map.type,
    map.section ? '' : sized(map.keySize, map.keyType),
    map.section
      ? sized(map.valueSize, map.section === 'kconfig' ? 'kconfig' : 'variables')
      : sized(map.valueSize, map.valueType),
    grouped(map.maxEntries),
    [...map.flags, ...(map.pinned ? [`pinned ${map.pinned}`] : [])].join(' | '),
  ]);
  const inner = maps.flatMap(({ name, innerMap, initialSlots }) => [
    ...(innerMap
      ? [
          `  ${printable(name)} holds ${innerMap.type} maps of ${counted(innerMap.maxEntries, 'entry', 'entries')}\n`,
        ]
      : []),
    ...(initialSlots ?? []).map(
      (slot) => `  ${printable(name)}[${slot.index}] = ${slot.kind} ${printable(slot.name)}\n`,
    ),
  ]);
  return `${colors.bold('Maps')}\n${table([head, ...rows], { right: [4] })}${inner.join('')}`;
}

function variablesText({ variables }: Facts): string {
  if (variables.length === 0) return '';
  const rows = variables.map(({ name, section, declaration, size: bytes, value }) => [
    colors.dim(printable(section)),
    declaration ?? `${printable(name)} (${bytes} bytes, no BTF)`,
    value === undefined
      ? ''
      : `= ${value instanceof Uint8Array ? hexBytes(value.subarray(0, 32)) : valueText(value, 200)}`,
  ]);
  return `${colors.bold('Variables')}\n${table(rows)}`;
}

function externsText({ externs }: Facts): string {
  if (externs.length === 0) return '';
  const rows = externs.map(({ name, section, kind, type, weak }) => [
    colors.dim(section ?? 'undefined'),
    printable(name),
    `${weak ? 'weak ' : ''}${kind}${type ? `, ${type}` : ''}`,
  ]);
  return `${colors.bold('Externs')}\n${table(rows)}`;
}
