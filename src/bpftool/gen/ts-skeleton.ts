// A TypeScript module with an object in it, and the types of its maps, variables and programs.

import { MapType } from '../../bpf/types.js';
import type { Btf } from '../../btf/btf.js';
import type { MapSpec } from '../../elf/spec.js';
import { type DescribedObject, identifierOf } from './described.js';
import { property, TsTypes, wrapped } from './ts-types.js';

/** Characters on a line of the object's text. */
const PER_LINE = 100;

const perCpu: ReadonlySet<number> = new Set([
  MapType.PercpuHash,
  MapType.PercpuArray,
  MapType.LruPercpuHash,
  MapType.PercpuCgroupStorage,
]);
const keyless: ReadonlySet<number> = new Set([MapType.Queue, MapType.Stack, MapType.BloomFilter]);

export function tsSkeleton(object: DescribedObject): string {
  const { spec, maps } = object;
  const name = camelCase(object.name);
  const types = spec.btf && new TsTypes(spec.btf, [name, ...IMPORTED, 'Maps', 'Variables', 'Programs']);
  const variables = spec.variables.filter(({ linkage }) => linkage === 'global');
  const body = [
    declaration(
      'What its maps hold. Sections of variables are maps of one element.',
      'Maps',
      maps.map(({ spec: map }) => [
        map.name,
        `TypedMap<${keyType(map, types)}, ${valueType(map, types, spec.btf)}>`,
      ]),
    ),
    declaration(
      'The values of its variables.',
      'Variables',
      variables.map((variable) => [
        variable.name,
        types && variable.typeId ? types.of(variable.typeId) : 'Uint8Array',
      ]),
      false,
    ),
    declaration(
      'Its programs; those that are not loaded by themselves may be missing.',
      'Programs',
      spec.programs.map(({ name: program, autoload }) => [
        program,
        `LoadedProgram${autoload ? '' : ' | undefined'}`,
      ]),
    ),
  ];
  const declarations = [...(types?.interfaces ?? []), ...body].join('\n');
  const used = IMPORTED.filter((word) => new RegExp(`\\b${word}\\b`).test(declarations));
  return [
    `// Made from a BPF object by \`skep gen skeleton\`. Do not edit: make it anew.\n`,
    `import { ${[...used.map((word) => `type ${word}`), 'Skeleton'].sort(byName).join(', ')} } from 'skep';\n`,
    declarations,
    `const object =\n${lines(base64(object.bytes))};\n`,
    `/** Open it, set its variables, load it: \`await ${name}.load(kernel)\`. */`,
    `export const ${name} = new Skeleton<{ maps: Maps; variables: Variables; programs: Programs }>(`,
    `  ${quoted(object.name)},\n  object,\n);\n`,
  ].join('\n');
}

/** What a module may take from the library. */
const IMPORTED = ['LoadedProgram', 'TypedMap', 'Value'];
const byName = (a: string, b: string): number =>
  a.replace('type ', '').localeCompare(b.replace('type ', ''), 'en');

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

/** `hello_bpf` is helloBpf. */
const camelCase = (name: string): string => {
  const words = identifierOf(name).replace(/_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return /^[0-9]/.test(words) ? `_${words}` : words;
};

function declaration(
  what: string,
  name: string,
  members: readonly (readonly [name: string, type: string])[],
  readonly = true,
): string {
  const lead = readonly ? 'readonly ' : '';
  const rows = members.map(([member, type]) => `  ${lead}${property(member)}: ${type};\n`);
  return `/** ${what} */\nexport interface ${name} {\n${rows.join('')}}\n`;
}

function keyType(map: MapSpec, types: TsTypes | undefined): string {
  if (keyless.has(map.type)) return 'never';
  if (types && map.keyTypeId) return types.of(map.keyTypeId);
  return map.keySize === 4 ? 'number | Uint8Array' : 'Uint8Array';
}

function valueType(map: MapSpec, types: TsTypes | undefined, btf: Btf | undefined): string {
  if (!types || !map.valueTypeId || !btf) return 'Uint8Array';
  const section = btf.type(map.valueTypeId);
  if (section.kind === 'DATASEC') {
    const members = section.vars.map(({ type }) => {
      const variable = btf.type(type);
      const of = variable.kind === 'VAR' ? types.of(variable.type) : 'Value';
      return `readonly ${property(variable.name)}: ${of}`;
    });
    return members.length === 0 ? 'Uint8Array' : `{ ${members.join('; ')} }`;
  }
  const value = types.of(map.valueTypeId);
  return perCpu.has(map.type) ? `readonly ${wrapped(value)}[]` : value;
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8190)
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + 8190)));
  return text;
}

const lines = (text: string): string =>
  (text.match(new RegExp(`.{1,${PER_LINE}}`, 'g')) ?? ['']).map((line) => `  '${line}'`).join(' +\n');
