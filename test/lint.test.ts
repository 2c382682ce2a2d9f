// The rules of the house are held by the linter; this proves that they fail when broken, and only then.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const UPWARDS = 'lint/style/noRestrictedImports';
const NODE = 'lint/correctness/noNodejsModules';
const GLOBAL = 'lint/style/noRestrictedGlobals';

const from = (module: string): string => `export { x } from '${module}';`;
const node = from('node:fs');

/** A folder, one line of code in a file there, and the rule that it breaks. */
const cases: [folder: string, line: string, broken: string | undefined][] = [
  ['src/base', from('../isa/index.js'), UPWARDS],
  ['src/isa', from('../btf/btf.js'), UPWARDS],
  ['src/btf', from('../elf/spec.js'), UPWARDS],
  ['src/bpf', from('../kernel/kernel.js'), UPWARDS],
  ['src/pcap', from('../isa/index.js'), UPWARDS],
  ['src/elf', from('../loader/index.js'), UPWARDS],
  ['src/kernel/jit', from('../../elf/spec.js'), UPWARDS],
  ['src/kernel/maps', from('../../loader/index.js'), UPWARDS],
  ['src/kernel', from('../linux/kernel.js'), UPWARDS],
  ['src/linux', from('../kernel/kernel.js'), UPWARDS],
  ['src/loader', from('../kernel/kernel.js'), UPWARDS],
  ['src/loader', from('../linux/kernel.js'), UPWARDS],
  ['src/loader', from('../cli/main.js'), UPWARDS],
  ['src/loader', from('../compare/index.js'), UPWARDS],
  ['src/kernel', from('../compare/index.js'), UPWARDS],
  ['src/compare', from('../kernel/kernel.js'), UPWARDS],
  ['src/compare', from('../linux/kernel.js'), UPWARDS],
  ['src/compare', from('../pcap/index.js'), UPWARDS],
  ['src/bpftool', from('../kernel/kernel.js'), UPWARDS],
  ['src/bpftool', from('../remote/client.js'), UPWARDS],
  ['src/remote', from('../kernel/kernel.js'), UPWARDS],
  ['src/loader', from('../bpftool/tool.js'), UPWARDS],
  ['src/isa', from('../base/error.js'), undefined],
  ['src/bpftool', from('../loader/index.js'), undefined],
  ['src/elf', from('../btf/btf.js'), undefined],
  ['src/kernel/jit', from('../../isa/table.js'), undefined],
  ['src/loader', from('../elf/spec.js'), undefined],
  ['src/compare', from('../loader/index.js'), undefined],
  ['src/cli', from('../loader/index.js'), undefined],
  ['src/isa', node, NODE],
  ['src/kernel', node, NODE],
  ['src/loader', node, NODE],
  ['src/compare', node, NODE],
  ['src/bpftool', node, NODE],
  ['src/remote', node, NODE],
  ['src/pcap', node, NODE],
  ['src', node, NODE],
  ['src/elf', 'export const x = Buffer;', GLOBAL],
  ['src/kernel/jit', 'export const x = process;', GLOBAL],
  ['src/cli', node, undefined],
  ['src/node', node, undefined],
  ['src/linux', node, undefined],
];

const fileOf = (index: number): string => `${cases[index]?.[0]}/case${index}.ts`;

let house = '';
let found: { category: string; file: string }[] = [];

beforeAll(() => {
  house = mkdtempSync(path.join(tmpdir(), 'skep-lint-'));
  const config = JSON.parse(readFileSync('biome.json', 'utf8'));
  config.vcs = { enabled: false };
  delete config.$schema;
  writeFileSync(path.join(house, 'biome.json'), JSON.stringify(config));
  symlinkSync(path.resolve('node_modules'), path.join(house, 'node_modules'), 'junction');
  cases.forEach(([folder, line], index) => {
    mkdirSync(path.join(house, folder), { recursive: true });
    writeFileSync(path.join(house, fileOf(index)), `${line}\n`);
  });
  const biome = createRequire(import.meta.url).resolve('@biomejs/biome/bin/biome');
  const { stdout } = spawnSync(
    process.execPath,
    [biome, 'lint', '--reporter=json', '--max-diagnostics=none', 'src'],
    { cwd: house, encoding: 'utf8' },
  );
  const report = JSON.parse(stdout.slice(stdout.indexOf('{')));
  found = report.diagnostics.map(
    (one: { category: string; location: { path: string | { file: string } } }) => {
      const { path: place } = one.location;
      const file = typeof place === 'string' ? place : place.file;
      return { category: one.category, file: file.replaceAll('\\', '/') };
    },
  );
});

afterAll(() => rmSync(house, { recursive: true, force: true }));

describe('the linter', () => {
  test.each(cases.map(([folder, line, broken], index) => ({ folder, line, broken, index })))(
    'in $folder: $line ($broken)',
    ({ broken, index }) => {
      const rules = found.filter(({ file }) => file.endsWith(fileOf(index))).map(({ category }) => category);
      const house = rules.filter((rule) => [UPWARDS, NODE, GLOBAL].includes(rule));
      expect(house).toEqual(broken === undefined ? [] : [broken]);
    },
  );
});
