// Programs that are called back and that use objects of the kernel (objects/objects.bpf.c), in both kernels and on both
// engines: the same return values and packets.

import { expect, test } from 'vitest';
import type { Bpf } from '../../src/bpf/bpf.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { load } from '../../src/loader/index.js';
import { missingKernel, needs } from '../require.js';
import { readObject } from './live.js';

const spec = readObject('test/live/objects/objects.bpf.o');
const lengths = [64, 65, 80, 127, 500];

async function answers(kernel: Bpf, name: string): Promise<string[]> {
  const collection = await load(spec, kernel, { programs: [name] });
  const { fd } = collection.program(name);
  const found: string[] = [];
  for (const length of lengths) {
    const dataIn = Uint8Array.from({ length }, (_, i) => (i * 5) & 0xff);
    const { retval, dataOut } = await kernel.progTestRun(fd, { dataIn });
    found.push(`${length}: ${retval} ${Buffer.from(dataOut).toString('hex')}`);
  }
  return found;
}

needs('callbacks and objects', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(spec.programs.map(({ name }) => name))('%s', async (name) => {
    using linux = new LinuxKernel();
    const expected = await answers(linux, name);
    expect(new Set(expected).size).toBeGreaterThan(1);
    expect(await answers(new EmulatedKernel(), name)).toEqual(expected);
    expect(await answers(new EmulatedKernel({ engine: 'interpreter' }), name)).toEqual(expected);
  });
});
