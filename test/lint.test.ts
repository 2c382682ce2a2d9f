// The rules of the house are held by the linter; this proves that they fail when broken.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const biome = path.resolve('node_modules/.bin/biome');
let house = '';

beforeAll(() => {
  house = mkdtempSync(path.join(tmpdir(), 'skep-lint-'));
  const config = JSON.parse(readFileSync('biome.json', 'utf8'));
  config.vcs = { enabled: false };
  delete config.$schema;
  writeFileSync(path.join(house, 'biome.json'), JSON.stringify(config));
  symlinkSync(path.resolve('node_modules'), path.join(house, 'node_modules'));
});

afterAll(() => rmSync(house, { recursive: true, force: true }));

/** What the linter says of one line in `file`. */
function lint(file: string, line: string): string {
  const at = path.join(house, file);
  mkdirSync(path.dirname(at), { recursive: true });
  writeFileSync(at, `${line}\n`);
  const { stdout, stderr } = spawnSync(biome, ['lint', '--colors=off', file], {
    cwd: house,
    encoding: 'utf8',
  });
  rmSync(at);
  return stdout + stderr;
}

describe('imports only go down', () => {
  test.each([
    ['src/base/x.ts', '../isa/index.js'],
    ['src/isa/x.ts', '../btf/btf.js'],
    ['src/btf/x.ts', '../elf/spec.js'],
    ['src/bpf/x.ts', '../kernel/kernel.js'],
    ['src/pcap/x.ts', '../isa/index.js'],
    ['src/elf/x.ts', '../loader/index.js'],
    ['src/kernel/jit/x.ts', '../../elf/spec.js'],
    ['src/kernel/maps/x.ts', '../../loader/index.js'],
    ['src/linux/x.ts', '../kernel/kernel.js'],
    ['src/kernel/x.ts', '../linux/kernel.js'],
    ['src/loader/x.ts', '../kernel/kernel.js'],
    ['src/loader/x.ts', '../linux/kernel.js'],
    ['src/loader/x.ts', '../cli/main.js'],
  ])('%s may not import %s', (file, from) => {
    expect(lint(file, `export { x } from '${from}';`)).toContain('lint/style/noRestrictedImports');
  });

  test.each([
    ['src/isa/x.ts', '../base/error.js'],
    ['src/elf/x.ts', '../btf/btf.js'],
    ['src/kernel/jit/x.ts', '../../isa/table.js'],
    ['src/loader/x.ts', '../elf/spec.js'],
    ['src/cli/x.ts', '../loader/index.js'],
  ])('%s may import %s', (file, from) => {
    expect(lint(file, `export { x } from '${from}';`)).not.toContain('lint/style/noRestrictedImports');
  });
});

describe('the core needs no Node', () => {
  test.each(['src/isa/x.ts', 'src/kernel/x.ts', 'src/loader/x.ts', 'src/pcap/x.ts', 'src/index.ts'])(
    '%s may not import a Node module',
    (file) => {
      expect(lint(file, `export { readFileSync } from 'node:fs';`)).toContain('noNodejsModules');
    },
  );

  test.each(['Buffer', 'process'])('the core may not use the global %s', (name) => {
    expect(lint('src/elf/x.ts', `export const x = ${name};`)).toContain('noRestrictedGlobals');
  });

  test.each(['src/cli/x.ts', 'src/node/x.ts', 'src/linux/x.ts'])('%s may import a Node module', (file) => {
    expect(lint(file, `export { readFileSync } from 'node:fs';`)).not.toContain('noNodejsModules');
  });
});
