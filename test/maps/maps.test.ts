// Maps of the types that hold references or carry records answer every command as Linux does. Its answers are in
// goldens/linux.txt; on a machine with a BPF kernel they are asked for again, and with SKEP_RECORD=1 written anew.

import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { describe, expect, test } from 'vitest';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { onFirstCpu } from '../live/live.js';
import { missingKernel, needs } from '../require.js';
import { format, golden, goldenFile, transcript } from './record.js';

/** What the kernel of this machine answers. */
async function ask(): Promise<string> {
  using linux = new LinuxKernel();
  using _cpu = onFirstCpu();
  const release = os.release().split('.').slice(0, 2).join('.');
  const who = `${os.type()} ${release} ${os.machine()}, ${await linux.possibleCpus()} CPUs`;
  return format(who, await transcript(linux));
}

if (process.env.SKEP_RECORD === '1') writeFileSync(goldenFile, await ask());
const { kernel, cpus, blocks } = golden();

describe.each(['jit', 'interpreter'] as const)(`maps answer as those of ${kernel} (%s)`, async (engine) => {
  const answers = await transcript(new EmulatedKernel({ cpus, engine }));

  test.each([...blocks.keys()])('%s', (name) => {
    expect(answers.get(name)).toEqual(blocks.get(name));
  });

  test('nothing is left out', () => {
    expect([...answers.keys()]).toEqual([...blocks.keys()]);
  });
});

needs('the golden of map commands', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('is what this kernel answers', async () => {
    expect(format(`${kernel}, ${cpus} CPUs`, blocks)).toBe(await ask());
  });
});
