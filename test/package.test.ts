// What is packed: one bundle of the command and the library, which browsers can load too.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const bundle = path.join(root, 'dist/cli');

/** Modules of Node that a file of the bundle, or one that it imports at whatever time, asks for. */
function nodeModules(entry: string): string[] {
  const seen = new Set<string>();
  const asked = new Set<string>();
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(path.join(bundle, file), 'utf8');
    for (const [, specifier = ''] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"'\s]+)["']/g)) {
      if (specifier.startsWith('./')) walk(specifier.slice(2));
      else if (specifier.startsWith('node:')) asked.add(specifier);
    }
  };
  walk(entry);
  return [...asked];
}

const exportsOf = async (file: string): Promise<string[]> =>
  Object.keys(await import(path.join(root, 'dist', file))).sort();

describe('the package', () => {
  test('has a library for browsers, which asks for nothing of Node', () => {
    expect(nodeModules('library.js')).toEqual([]);
    expect(nodeModules('library-node.js')).not.toEqual([]);
  });

  test.each([
    ['index.js', 'cli/library.js'],
    ['node/index.js', 'cli/library-node.js'],
  ])('exports all of %s', async (modules, bundled) => {
    expect(await exportsOf(bundled)).toEqual(await exportsOf(modules));
  });

  test('is smaller than 2 MB', () => {
    const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    const [{ size }] = JSON.parse(stdout) as [{ size: number }];
    expect(size).toBeLessThan(2_000_000);
  });
});
