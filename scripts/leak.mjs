// Ten thousand rounds of loads on both kernels, with the figures: descriptors, heap, buffers and resident memory before
// and after. The real kernel needs root on Linux.
//
//   node scripts/leak.mjs [ROUNDS]

import { spawnSync } from 'node:child_process';

const rounds = process.argv[2] ?? '10000';
if (!/^[1-9]\d*$/.test(rounds)) {
  console.error(`${rounds} is no number of rounds`);
  process.exit(2);
}
const { status } = spawnSync(
  'npx',
  ['vitest', 'run', 'test/live/leak.test.ts', '--disable-console-intercept'],
  {
    cwd: new URL('..', import.meta.url),
    env: { ...process.env, SKEP_LEAK_LOADS: rounds, SKEP_LEAK_REPORT: '1' },
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
