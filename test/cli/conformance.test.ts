// `skep conformance` as the runner of the BPF conformance project calls it: hex bytes with spaces, the memory in the
// first argument, options after it.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { assemble, encode } from '../../src/isa/index.js';
import { root, skep } from './skep.js';

/** As the runner writes bytes: two digits and two spaces each. */
const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => `${byte.toString(16).padStart(2, '0')}  `).join('');
const code = (text: string): string => `${hex(encode(assemble(text)))}\n`;
const ENGINES = ['jit', 'interpreter'];

describe.each(ENGINES)('on the %s', (engine) => {
  const run = (text: string, ...args: string[]) =>
    skep(['conformance', ...args, '--engine', engine], { input: code(text) });

  test('prints r0 in hexadecimal', () => {
    expect(run('r0 = -1\nexit\n')).toEqual({ status: 0, stdout: 'ffffffffffffffff\n', stderr: '' });
  });

  test('gives the program its memory and the length', () => {
    const program = 'r0 = *(u16 *)(r1 + 1)\nr0 <<= 16\nr0 |= r2\nexit\n';
    expect(run(program, '01  02  03  ').stdout).toBe('3020003\n');
    expect(run('r0 = r2\nexit\n').stdout).toBe('0\n');
  });

  test('fails with a reason on standard error for what goes wrong', () => {
    const fault = run('r0 = *(u8 *)(r1 + 80)\nexit\n', '01');
    expect(fault.status).toBe(1);
    expect(fault.stdout).toBe('');
    expect(fault.stderr).toMatch(/^skep: instruction 0: /);
    expect(run('r0 = 0\n').status).toBe(1);
  });
});

test('takes the memory before its own name, as with --plugin_options conformance', () => {
  const input = code('r0 = *(u8 *)(r1 + 0)\nexit\n');
  expect(skep(['7f  01  ', 'conformance', '--debug'], { input }).stdout).toBe('7f\n');
});

test('takes an object file with --elf', () => {
  const object = readFileSync(path.join(root, 'test/elf/objects/single.bpf.o'));
  // Its source: return 2.
  expect(skep(['conformance', '--elf'], { input: hex(object) })).toEqual({
    status: 0,
    stdout: '2\n',
    stderr: '',
  });
  expect(skep(['conformance', '--elf'], { input: code('exit\n') }).stderr).toMatch(/no ELF file/);
});

test('says what is wrong with its input', () => {
  expect(skep(['conformance'], { input: 'zz' })).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/'z'/),
  });
  expect(skep(['conformance'], { input: '95 0' })).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/odd/),
  });
  expect(skep(['conformance'], { input: '' })).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/no instructions/),
  });
  expect(skep(['conformance'], { input: '95 00' }).status).toBe(1);
});
