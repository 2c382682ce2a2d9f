import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { missingKernel, missingTool, needs } from '../require.js';

const bytes = (name: string) =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url)).toString('latin1');

/** Objects are the same byte for byte only from the very compiler that made them, which they name. */
function missingCompiler(): string | undefined {
  const { error, stdout } = spawnSync('clang-19', ['--version'], { encoding: 'utf8' });
  if (error) return 'clang-19 is not installed';
  const version = stdout.split('\n')[0] ?? '';
  return bytes('hello.bpf.o').includes(version) ? undefined : `the objects were not made by ${version}`;
}

const script = (name: string) =>
  spawnSync(process.execPath, [fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url)), '--check'], {
    encoding: 'utf8',
  });

needs('committed objects', missingCompiler(), 'SKEP_REQUIRE_TOOLS', () => {
  test('are what their sources compile to', () => {
    const { status, stdout, stderr } = script('fixtures.mjs');
    expect(stdout + stderr).toMatch(/objects from .*: 0 changed/);
    expect(status).toBe(0);
  }, 60_000);
});

needs('benchmark programs', missingKernel() ?? missingTool('bpftool'), 'SKEP_REQUIRE_KERNEL', () => {
  test('answer on this kernel as programs.json says', () => {
    const { status, stderr } = script('bench-programs.mjs');
    expect(stderr).toBe('');
    expect(status).toBe(0);
  }, 60_000);
});

test('recorded verdicts cover every packet of the capture, with several answers', () => {
  const { runs } = JSON.parse(bytes('verdicts.json')) as {
    runs: { program: string; counts: Record<string, number>; verdicts: string }[];
  };
  expect(runs.map(({ program }) => program)).toEqual([
    'hello',
    'firewall',
    'loadbalancer',
    'loadbalancer_tunnel',
  ]);
  for (const { counts, verdicts } of runs) {
    expect(verdicts.length).toBe(runs[0]?.verdicts.length);
    expect(Object.values(counts).reduce((a, b) => a + b)).toBe(verdicts.length);
  }
  expect(new Set(runs.flatMap(({ verdicts }) => [...verdicts]))).toEqual(new Set(['1', '2', '3']));
});
