// The README shows what really happens: its picture is the command's output, its program runs.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { output, root } from './skep.js';

const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const block = (language: string): string => {
  const found = new RegExp(`^\`\`\`${language}\\n([^]*?)\\n\`\`\`$`, 'm').exec(readme)?.[1];
  if (found === undefined) throw new Error(`README.md has no ${language} block`);
  return found;
};

test('the picture is what the command prints, times apart', () => {
  const [first = '', ...rest] = block('console').split('\n');
  const [, command = ''] = /^\$ npx skep (.*)$/.exec(first) ?? [];
  const withoutTimes = (text: string) => text.replace(/^.* ns a packet .*$/m, '').trim();
  expect(withoutTimes(output(...command.split(' ')))).toBe(withoutTimes(rest.join('\n')));
  expect(rest.join('\n')).toMatch(/ ns a packet in the program/);
});

test('the library in twenty lines runs as it stands', () => {
  const code = block('ts');
  expect(code.split('\n').length).toBeLessThanOrEqual(22);
  // Inside the package, so that `skep` is the package itself.
  const folder = path.join(root, 'build');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `readme-${process.pid}.mjs`);
  writeFileSync(file, code);
  const { stdout, stderr, status } = spawnSync(process.execPath, [file], { cwd: root, encoding: 'utf8' });
  rmSync(file);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/drop: .*protocol 6, port 443/);
  expect(stdout).toMatch(/^143 packets dropped, 2334 passed$/m);
  expect(stdout).toContain("reason: 'REASON_PORT'");
});

test('the demo is quick and says how to repeat it', () => {
  const started = performance.now();
  const { stdout, status } = spawnSync(process.execPath, ['scripts/demo.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  expect(stdout).toContain(
    '$ npx skep run examples/firewall.bpf.o --pcap examples/traffic.pcapng --set blocked_port=443',
  );
  expect(stdout).toMatch(/XDP_DROP +143/);
  expect(performance.now() - started).toBeLessThan(10_000);
});
