// The verifier's log of every instruction, line by line what Linux 6.18 wrote: against goldens, and against the kernel of
// this machine where there is one. `node scripts/verifier-goldens.mjs` records the goldens anew.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Bpf } from '../../src/bpf/bpf.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import {
  goldenFile,
  goldenOf,
  objects,
  type Said,
  sayOfObject,
  sayOfTexts,
  verifyingKernel,
  withoutHeader,
} from './logs.js';

const record = process.env.SKEP_RECORD_LOGS === '1';
/** What programs of the recorded machine were told of it. */
const cpus = 2;
const TEXTS = 'programs.txt';
const all = [TEXTS, ...objects];
const say = (kernel: Bpf, name: string): Promise<Said[]> =>
  name === TEXTS ? sayOfTexts(kernel) : sayOfObject(kernel, name);

if (record) {
  test.each(all)('records %s', async (name) => {
    const kernel = new LinuxKernel();
    try {
      const golden = goldenOf(await say(kernel, name));
      mkdirSync(path.dirname(goldenFile(name)), { recursive: true });
      writeFileSync(
        goldenFile(name),
        `# What Linux ${release()} says at level 2; recorded by scripts/verifier-goldens.mjs.\n${golden}`,
      );
      expect(golden).toContain('processed ');
    } finally {
      kernel[Symbol.dispose]();
    }
  });
} else {
  describe('logs of every instruction are those that Linux wrote', () => {
    test.each(all)('%s', async (name) => {
      const said = await say(verifyingKernel(cpus), name);
      expect(goldenOf(said)).toBe(withoutHeader(readFileSync(goldenFile(name), 'utf8')));
    });
  });

  needs('logs of every instruction', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
    test.each(all)('are those of the kernel of this machine: %s', async (name) => {
      const linux = new LinuxKernel();
      try {
        expect(await say(verifyingKernel(cpus), name)).toEqual(await say(linux, name));
      } finally {
        linux[Symbol.dispose]();
      }
    });
  });
}
