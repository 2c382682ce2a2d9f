// `skep objdump` against llvm-objdump-19: goldens of the examples (remake.mjs), and all objects with the tool itself.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { listing, sectionsToList } from '../../src/cli/listing.js';
import { ElfFile } from '../../src/elf/file.js';
import { missingTool, needs } from '../require.js';
import { output, root, skep } from './skep.js';

const goldens = path.join(import.meta.dirname, 'goldens');
const names = readdirSync(goldens).filter((name) => name.endsWith('.txt'));

test('there are goldens of every example, with and without source', () => {
  const examples = readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.bpf.o'));
  expect(examples.length).toBeGreaterThan(3);
  expect(names.length).toBe(2 * examples.length);
});

describe('prints what llvm-objdump prints', () => {
  test.each(names)('%s', (name) => {
    const [object, kind] = name.split('.');
    const args = ['objdump', `${object}.bpf.o`, ...(kind === 'S' ? ['-S'] : [])];
    const { status, stdout, stderr } = skep(args, { cwd: 'examples' });
    expect(stdout).toBe(readFileSync(path.join(goldens, name), 'utf8'));
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});

test('--section shows one section alone', () => {
  const all = output('objdump', 'examples/firewall.bpf.o');
  const text = output('objdump', '--section', '.text', 'examples/firewall.bpf.o');
  const xdp = output('objdump', '-j', 'xdp', 'examples/firewall.bpf.o');
  const begin = '\nexamples/firewall.bpf.o:\tfile format elf64-bpf\n';
  expect(text.startsWith(begin)).toBe(true);
  expect(text + xdp.slice(begin.length)).toBe(all);
});

test('-S takes the lines from BTF where the source is not there', () => {
  const text = output('objdump', '-S', 'test/cli/fixtures/faults.bpf.o');
  expect(text).toContain(';   if (length == 66)\n');
  expect(text).toContain(';     return data[length];\n');
});

const objects = ['examples', 'bench/programs', 'test/elf/objects', 'test/cli/fixtures'].flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.bpf.o'))
    .map((name) => [folder, name] as const),
);

needs('the same bytes as llvm-objdump-19', missingTool('llvm-objdump-19'), 'SKEP_REQUIRE_TOOLS', () => {
  const tool = (folder: string, ...args: string[]): string =>
    spawnSync('llvm-objdump-19', args, { cwd: path.join(root, folder), encoding: 'utf8', maxBuffer: 1 << 26 })
      .stdout;

  test('of every committed object', () => {
    for (const [folder, name] of objects) {
      const elf = ElfFile.parse(readFileSync(path.join(root, folder, name)));
      const ours = [...listing(elf, name, sectionsToList(elf, []))].join('');
      expect(ours, `${folder}/${name}`).toBe(tool(folder, '-d', name));
    }
  });

  test('with source lines by DWARF, where the sources are', () => {
    for (const folder of ['examples', 'bench/programs']) {
      for (const [of, name] of objects) {
        if (of !== folder) continue;
        expect(skep(['objdump', '-S', name], { cwd: folder }).stdout, name).toBe(
          tool(folder, '-d', '-S', name),
        );
      }
    }
  });

  test('with source lines by BTF, where there is no DWARF', () => {
    for (const name of ['variables.bpf.o', 'subprograms.eb.bpf.o', 'callbacks.v4.bpf.o', 'core.bpf.o']) {
      const folder = 'test/elf/objects';
      const { stdout } = skep(['objdump', '-S', name], { cwd: folder });
      expect(stdout, name).toBe(tool(folder, '-d', '-S', name));
      expect(stdout).toContain('\n; ');
    }
  });

  // Zero bytes, several names for one place, a section without names, and bytes that are no instruction.
  const odd = `
    .section xdp,"ax",@progbits
    .globl f
    .type f,@function
    f: r0 = 0
    zebra:
    a_function:
    if r0 == 1 goto end
    .quad 0
    .quad 0
    r0 = 5
    .quad 0
    .quad 0x1234
    gotol a_function
    end: exit
    exit
    .size f, .-f
    .section tc,"ax",@progbits
    exit
    .section other,"ax",@progbits
    .long 5
    .byte 6
  `;
  test('of strange code', () => {
    const object = path.join(tmpdir(), `skep-odd-${process.pid}.o`);
    const made = spawnSync('llvm-mc-19', ['-triple', 'bpfel', '-mcpu=v4', '--filetype=obj', '-o', object], {
      input: odd,
    });
    expect(String(made.stderr)).toBe('');
    expect(output('objdump', object)).toBe(tool('.', '-d', object));
  });
});
