// Records again what the scripts in record/ recorded, on the kernel of this machine, and compares: a golden
// that nobody could make again would prove nothing. (printk.py, which takes a minute, is left to its user.)

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, release, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { missingKernel, missingTool, needs } from '../require.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const recorded = { kernel: '6.18', cpus: 2 };

/** Other kernels and machines rightly answer otherwise (memory charged, slots of a per-CPU value). */
function otherMachine(): string | undefined {
  const kernel = release().split('.').slice(0, 2).join('.');
  if (kernel !== recorded.kernel) return `recorded on Linux ${recorded.kernel}, this is ${kernel}`;
  if (process.arch !== 'x64') return `recorded on x86-64, this is ${process.arch}`;
  if (availableParallelism() !== recorded.cpus) return `recorded with ${recorded.cpus} CPUs`;
  return undefined;
}

const missing = missingKernel() ?? missingTool('python3') ?? missingTool('bpftool');

needs('goldens of the live kernel', missing, 'SKEP_REQUIRE_KERNEL', () => {
  const other = otherMachine();
  for (const [script, golden] of [
    ['maps.py', 'map-errors.json'],
    ['map_types.py', 'map-types.json'],
    ['helpers.py', 'helpers.json'],
    ['runtime.py', 'helper-results.json'],
  ] as const) {
    test.skipIf(other)(
      `${golden} is what this kernel answers${other ? ` (skipped: ${other})` : ''}`,
      () => {
        const folder = mkdtempSync(path.join(tmpdir(), 'skep-goldens-'));
        try {
          const env = { ...process.env, SKEP_GOLDENS: folder, PYTHONDONTWRITEBYTECODE: '1' };
          const run = spawnSync('python3', [path.join(here, 'record', script)], { env, encoding: 'utf8' });
          expect(run.stderr).toBe('');
          const read = (from: string): unknown => JSON.parse(readFileSync(path.join(from, golden), 'utf8'));
          expect(read(folder)).toEqual(read(path.join(here, 'goldens')));
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
      30_000,
    );
  }
});
