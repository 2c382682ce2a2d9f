// Records what the live kernel's verifier says of our programs, and what it makes of them, into test/verifier/goldens (Linux 6.18, root).

import { spawnSync } from 'node:child_process';

const { status } = spawnSync(
  'npx',
  ['vitest', 'run', 'test/verifier/logs.test.ts', 'test/verifier/xlated.test.ts'],
  {
    stdio: 'inherit',
    env: { ...process.env, SKEP_RECORD_LOGS: '1' },
  },
);
process.exit(status ?? 1);
