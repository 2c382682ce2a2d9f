// Records what the live kernel says of helpers and program types; run by scripts/verifier-tables.mjs.

import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import path from 'node:path';
import { helperNames } from '../../src/bpf/helpers.js';
import { btfCases, plainCases } from './cases.js';
import { observeHelpers } from './observe.js';

/** Writes the recording into a folder. */
export function record(folder: string): void {
  const cases = [...plainCases, ...btfCases()].map(({ btfId, ...one }) => ({
    ...one,
    helpers: observeHelpers({ ...one, ...(btfId ? { btfId } : {}) }).map((name) => helperNames.indexOf(name)),
  }));
  const lines = cases.map((one) => `    ${JSON.stringify(one)}`).join(',\n');
  writeFileSync(
    path.join(folder, 'helper-availability.json'),
    `{\n  "made": "node scripts/verifier-tables.mjs",\n  "kernel": "${release()}",\n  "cases": [\n${lines}\n  ]\n}\n`,
  );
}
