// Random programs give the same answer everywhere: JIT, interpreter, reference model and, where there is one, the
// live kernel. What differs is shrunk to a small program, which is shown as assembly. SKEP_ENGINE_RUNS sets
// how many programs are tried.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toAssembly } from '../../src/isa/index.js';
import { runReference } from '../conformance/reference.js';
import { runRaw } from '../conformance/run.js';
import { codeOf, type RandomProgram, randomProgram } from '../generate/raw.js';
import { missingKernel, needs } from '../require.js';

const RUNS = Number(process.env.SKEP_ENGINE_RUNS ?? 10_000);

type Run = (code: Uint8Array, packet: Uint8Array) => bigint | Promise<bigint>;

const jit: Run = (code, packet) => runRaw('jit', code, packet);
const trusted: Run = (code, packet) => runRaw('trusted jit', code, packet);
const hardened: Run = (code, packet) => runRaw('hardened jit', code, packet);
const interpreter: Run = (code, packet) => runRaw('interpreter', code, packet);
const reference: Run = (code, packet) => runReference(code, packet.slice());

/** Fails, with the program as text, when two ways of running it differ. */
async function compare(program: RandomProgram, first: Run, second: Run): Promise<void> {
  const code = codeOf(program);
  const [a, b] = [await first(code, program.packet), await second(code, program.packet)];
  if (a !== b) expect.fail(`0x${a.toString(16)} and 0x${b.toString(16)}:\n${toAssembly(program.insns)}`);
}

test(`JIT and interpreter give the same answer, ${RUNS} random programs`, { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(randomProgram(), (program) => compare(program, jit, interpreter)),
    { numRuns: RUNS },
  );
});

test('the JIT gives the same answer with and without checks', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(randomProgram(), (program) => compare(program, jit, trusted)),
    { numRuns: Math.ceil(RUNS / 10) },
  );
});

test('the JIT gives the same answer when the numbers of programs are hidden', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(randomProgram(), (program) => compare(program, hardened, trusted)),
    { numRuns: Math.ceil(RUNS / 10) },
  );
});

test('the interpreter gives the answer of the reference model', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(randomProgram(), (program) => compare(program, interpreter, reference)),
    { numRuns: Math.ceil(RUNS / 10) },
  );
});

test('programs differ, and so do their answers', async () => {
  const answers = await Promise.all(
    fc
      .sample(randomProgram(), { numRuns: 200, seed: 1 })
      .map((program) => interpreter(codeOf(program), program.packet)),
  );
  expect(new Set(answers).size).toBeGreaterThan(190);
});

needs('on the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('JIT and Linux give the same answer', { timeout: 60_000 }, async () => {
    const { LiveKernel, Refused } = await import('../conformance/kernel.js');
    using kernel = new LiveKernel();
    const runs = Math.ceil(RUNS / 40);
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(randomProgram({ verifiable: true }), async (program) => {
        let answer: bigint;
        try {
          answer = kernel.run(codeOf(program), program.packet, false);
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          return;
        }
        accepted++;
        await compare(program, jit, () => answer);
      }),
      { numRuns: runs },
    );
    expect(accepted).toBeGreaterThan(runs * 0.9);
  });
});
