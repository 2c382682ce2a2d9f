// Every instruction and its edges on every engine, against what Linux answered.

import { describe, expect, test } from 'vitest';
import { BpfError } from '../../src/bpf/errno.js';
import { decode, INSTRUCTIONS, rowOf } from '../../src/isa/index.js';
import { CASES, type Group } from './cases.js';
import { codeOf, goldenOf, hexOf, memoryOf, readGoldens } from './goldens.js';
import { runReference } from './reference.js';
import { ENGINES, runRaw } from './run.js';

const goldens = readGoldens();
const groups = [...new Set(CASES.map(({ group }) => group))];

/** Cases of `group` that `run` answers differently than recorded, with both answers. */
async function differences(
  group: Group,
  run: (code: Uint8Array, memory: Uint8Array) => bigint | Promise<bigint>,
): Promise<string[]> {
  const found: string[] = [];
  for (const one of CASES) {
    if (one.group !== group) continue;
    const wanted = goldenOf(goldens, one);
    let got: string;
    try {
      got = hexOf(await run(codeOf(one), memoryOf(one)));
    } catch (error) {
      // A loader may refuse what Linux refuses.
      if (error instanceof BpfError && one.name in goldens.refused) continue;
      got = String(error);
    }
    if (got !== wanted) found.push(`${one.name}: ${got} instead of ${wanted}`);
  }
  return found;
}

for (const engine of ENGINES) {
  describe(`the ${engine} gives Linux's answers`, () => {
    test.each(groups)('%s', async (group) => {
      expect(await differences(group, (code, memory) => runRaw(engine, code, memory))).toEqual([]);
    });
  });
}

describe("the reference model gives Linux's answers", () => {
  test.each(groups)('%s', async (group) => {
    expect(await differences(group, (code, memory) => runReference(code, memory))).toEqual([]);
  });
});

describe('the cases', () => {
  test('have names of their own, one recorded answer each, and no answer is left over', () => {
    const recorded = [...Object.keys(goldens.answers), ...Object.keys(goldens.refused)];
    expect(CASES.map(({ name }) => name).sort()).toEqual(recorded.sort());
  });

  test('use every instruction that can run without a kernel around it', () => {
    const used = new Set(CASES.flatMap((one) => decode(codeOf(one)).map((insn) => rowOf(insn)?.name)));
    // These need maps, BTF or helpers, or are refused at load.
    const elsewhere = /^(ld_imm64_.*|call_helper|call_kfunc|callx|gotox)$/;
    const missing = INSTRUCTIONS.map(({ name }) => name).filter(
      (name) => !used.has(name) && !elsewhere.test(name),
    );
    expect(missing).toEqual([]);
  });
});
