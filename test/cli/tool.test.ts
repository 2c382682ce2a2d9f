// bpftool's grammar from the shell: under both names, from standard input, with files of the machine.

import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Background, main, root } from '../remote/background.js';

let background: Background;
beforeAll(async () => {
  background = new Background();
  await background.start();
});
afterAll(() => background[Symbol.asyncDispose]());

const object = path.join(root, 'test/bpftool/objects/hello.bpf.o');

const run = (file: string, args: readonly string[], input = '') => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    encoding: 'utf8',
    input,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
};

test('a link to the command that is called bpftool is bpftool', () => {
  const link = path.join(background.directory, 'bpftool');
  symlinkSync(main, link);
  expect(run(link, ['version']).stdout).toBe(
    'bpftool v7.8.0\nusing libbpf v1.8\nfeatures: llvm, crypto, skeletons\n',
  );
  expect(run(link, ['run', 'x'])).toMatchObject({ status: 255, stdout: '' });
  expect(run(link, ['run', 'x']).stderr).toMatch(/^Usage: bpftool \[OPTIONS\] OBJECT/);
  expect(run(link, []).status).toBe(0);
});

test('a batch comes from standard input', () => {
  const lines = `prog load ${object} /sys/fs/bpf/batched\nprog dump xlated pinned /sys/fs/bpf/batched\n`;
  const { status, stdout, stderr } = run(main, ['batch', 'file', '-'], lines);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^int hello\(struct xdp_md \* ctx\):\n.*\nprocessed 2 commands\n$/s);
});

test('files are those of the machine', () => {
  const file = path.join(background.directory, 'xlated.bin');
  const dump = ['prog', 'dump', 'xlated', 'pinned', '/sys/fs/bpf/batched', 'file'];
  expect(run(main, [...dump, file])).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(file).length).toBe(96);
  expect(run(main, [...dump, path.join(background.directory, 'no/such/folder')])).toEqual({
    status: 255,
    stdout: '',
    stderr: `Error: can't open file ${background.directory}/no/such/folder: No such file or directory\n`,
  });
});

test('each name has its help', () => {
  expect(run(main, ['help', 'prog'])).toEqual(run(main, ['prog', 'help']));
  expect(run(main, ['prog', 'help']).stderr).toMatch(/^Usage: skep prog \{ show \| list \} \[PROG\]\n/);
  expect(run(main, ['help']).stdout).toMatch(/^Usage: skep \[options\]/);
  expect(run(main, ['nonsense']).status).toBe(2);
});
