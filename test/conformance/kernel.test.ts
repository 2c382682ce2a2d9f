// The goldens against the kernel of this machine. SKEP_RECORD=1 writes them instead.

import { release } from 'node:os';
import { expect, test } from 'vitest';
import { missingKernel, needs } from '../require.js';
import { CASES } from './cases.js';
import { codeOf, goldenOf, hexOf, memoryOf, readGoldens, writeGoldens } from './goldens.js';
import { runReference } from './reference.js';

needs('conformance on the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('gives the recorded answers', async () => {
    const { LiveKernel, Refused } = await import('./kernel.js');
    using kernel = new LiveKernel();
    const answers: Record<string, string> = {};
    const refused: Record<string, { because: string; reference: string }> = {};
    for (const one of CASES) {
      const code = codeOf(one);
      try {
        answers[one.name] = hexOf(kernel.run(code, memoryOf(one), one.group === 'packet'));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused[one.name] = { because: error.message, reference: hexOf(runReference(code, memoryOf(one))) };
      }
    }
    if (process.env.SKEP_RECORD === '1') {
      writeGoldens({
        kernel: `Linux ${release().split('-')[0]}, ${process.arch}`,
        madeBy: 'SKEP_RECORD=1 npx vitest run test/conformance/kernel.test.ts',
        answers,
        refused,
      });
    }
    const goldens = readGoldens();
    const wrong = CASES.filter(
      (one) => one.name in answers && answers[one.name] !== goldenOf(goldens, one),
    ).map(({ name }) => name);
    expect(wrong).toEqual([]);
    // Another version's verifier may accept a few more or a few less.
    expect(Object.keys(answers).length).toBeGreaterThan(CASES.length * 0.95);
  });
});
