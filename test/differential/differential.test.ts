// Random programs do on every engine what they do in Linux. scripts/differential.mjs goes on for as long as one likes;
// SKEP_DIFFERENTIAL_RUNS sets how many programs are tried here.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callHelper, exit, INSTRUCTIONS, rowOf } from '../../src/isa/index.js';
import { xdpProgram } from '../generate/xdp/program.js';
import { missingKernel, needs } from '../require.js';
import type { Kernels } from './kernels.js';

const RUNS = Number(process.env.SKEP_DIFFERENTIAL_RUNS ?? 200);

/** What no XDP program of this generator can hold: other kinds of address, function pointers, legacy loads. */
const ABSENT =
  /^(ld_abs|ld_ind|ld_imm64_(btf_id|func|map_idx|map_idx_value)$|addr_space_cast|callx|gotox|call_kfunc|atomic_.*_[bh]$)/;

test('generated programs have every instruction that they may have', () => {
  const met = new Set<string>();
  for (const { insns } of fc.sample(xdpProgram, { numRuns: 400, seed: 1 })) {
    for (const insn of insns) met.add(rowOf(insn)?.name ?? 'unknown');
  }
  const expected = INSTRUCTIONS.map(({ name }) => name).filter((name) => !ABSENT.test(name));
  expect([...met].sort()).toEqual(expected.sort());
});

needs('on the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  let kernels: Kernels;

  beforeAll(async () => {
    // The packages that reach the kernel are not on every machine.
    const { Kernels } = await import('./kernels.js');
    kernels = new Kernels();
    await kernels.start();
  });
  afterAll(() => kernels?.[Symbol.dispose]());

  test(`${RUNS} random programs give the same answers, packets and maps as in Linux`, async () => {
    const { noCounts, search } = await import('./search.js');
    const counts = noCounts();
    const seed = Date.now() & 0x7fff_ffff;
    const finding = await search(kernels, counts, { seed, programs: RUNS, limit: 60_000 });
    if (finding) {
      const { path, report } = finding;
      expect.fail(`${report}\n\nrepeat: node scripts/differential.mjs --seed ${seed} --path ${path}`);
    }
    expect(counts.programs).toBe(RUNS);
    expect(counts.accepted, [...counts.refusals.keys()].join('\n')).toBeGreaterThan(RUNS * 0.98);
  });

  test('a difference is seen', async () => {
    // bpf_get_prandom_u32
    const program = { insns: [callHelper(7), exit()], packets: [new Uint8Array(64)], repeat: 1 };
    expect(await kernels.compare(program)).toMatchObject({ kind: 'different', engine: 'trusted JIT' });
  });

  test('what Linux refuses is no difference', async () => {
    const program = { insns: [exit()], packets: [new Uint8Array(64)], repeat: 1 };
    expect(await kernels.compare(program)).toMatchObject({
      kind: 'refused',
      log: expect.stringContaining('R0'),
    });
  });
});
