// Both verifiers say the same of random programs, accepted or not, instruction by instruction.
// `node scripts/differential.mjs --verifier` goes on for as long as one likes; SKEP_VERIFIER_RUNS sets how many are tried here.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { toAssembly } from '../../src/isa/index.js';
import { seededRandom } from '../fuzz/mutate.js';
import { verifierProgram } from '../generate/verifier/program.js';
import { missingKernel, needs } from '../require.js';
import type { Verifiers } from './verifiers.js';

const RUNS = Number(process.env.SKEP_VERIFIER_RUNS ?? 300);

needs('on the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  let verifiers: Verifiers;

  beforeAll(async () => {
    // The packages that reach the kernel are not on every machine.
    const { Verifiers } = await import('./verifiers.js');
    verifiers = new Verifiers();
    await verifiers.start();
  });
  afterAll(() => verifiers?.[Symbol.dispose]());

  test(`${RUNS} random programs get the same verdict, errno and log`, async () => {
    const first = Date.now() & 0x7fff_ffff;
    const counts = { accepted: 0, rejected: 0 };
    for (let seed = first; seed < first + RUNS; seed++) {
      const { kind, insns } = verifierProgram(seededRandom(seed));
      const { linux, ours, difference } = await verifiers.compare(kind, insns);
      const what = `seed ${seed}, program type ${kind.type}, ${difference}:\n${toAssembly(insns)}`;
      expect(difference, `${what}\n${linux.log}\n--\n${ours.log}`).toBeUndefined();
      counts[linux.accepted ? 'accepted' : 'rejected']++;
    }
    // Neither side of the fence is empty.
    expect(Math.min(counts.accepted, counts.rejected)).toBeGreaterThan(RUNS / 10);
  }, 120_000);
});
