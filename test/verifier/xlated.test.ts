// Rewriting: what is shown of a program is instruction by instruction, line by line what Linux 6.18 shows: against goldens,
// and against the kernel of this machine where there is one. `node scripts/verifier-goldens.mjs` records the goldens anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { describe, expect, test } from 'vitest';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { withoutHeader } from './logs.js';
import { all, goldenFile, shownByLinux, shownBySkep } from './xlated.js';

async function linuxShows(name: string): Promise<string> {
  const linux = new LinuxKernel();
  try {
    return await shownByLinux(linux, name);
  } finally {
    linux[Symbol.dispose]();
  }
}

if (process.env.SKEP_RECORD_LOGS === '1') {
  test.each(all)('records %s', async (name) => {
    const golden = await linuxShows(name);
    writeFileSync(
      goldenFile(name),
      `# What Linux ${release()} shows after rewriting; recorded by scripts/verifier-goldens.mjs.\n${golden}`,
    );
    expect(golden).toContain('(95) exit');
  });
} else {
  describe('rewritten programs are shown as Linux shows them', () => {
    test.each(all)('%s', async (name) => {
      expect(await shownBySkep(name)).toBe(withoutHeader(readFileSync(goldenFile(name), 'utf8')));
    });
  });

  needs('rewritten programs', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
    test.each(all)('are shown as the kernel of this machine shows them: %s', async (name) => {
      expect(await shownBySkep(name)).toBe(await linuxShows(name));
    });
  });
}
