// When a program gets optimised code: once it is hot, and at once when one run of it may take long.

import { beforeEach, describe, expect, test } from 'vitest';
import { ProgType } from '../../bpf/types.js';
import { assemble, encode } from '../../isa/index.js';
import { EmulatedKernel } from '../kernel.js';
import { useModuleCompiler } from './compiler.js';

const compiled: string[] = [];
const compile = (tier: string) => (bytes: Uint8Array) => {
  compiled.push(tier);
  return new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
};
useModuleCompiler({ baseline: compile('baseline'), optimized: compile('optimized') });

beforeEach(() => {
  compiled.length = 0;
});

/** Runs a program so many times for each number given; the tiers that were compiled. */
async function tiers(text: string, ...repeats: number[]): Promise<string[]> {
  const kernel = new EmulatedKernel();
  const instructions = encode(assemble(text));
  const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' });
  for (const repeat of repeats) {
    const { retval } = await kernel.progTestRun(prog, { dataIn: new Uint8Array(64), repeat });
    expect(retval).toBe(2);
  }
  return compiled;
}

const SHORT = 'r0 = 2\nexit';
const COUNTED = 'r2 = 0\nl: r2 += 1\nif r2 != 100 goto l\nr0 = 2\nexit';
const UNKNOWN = 'r2 = *(u32 *)(r1 + 12)\nl: r2 >>= 1\nif r2 != 0 goto l\nr0 = 2\nexit';
const LONG = 'r2 = 0\nl: r2 += 1\nif r2 != 100000 goto l\nr0 = 2\nexit';

describe('optimised code', () => {
  test.each([
    ['is not made for a few short runs', SHORT, [1, 10], ['baseline']],
    ['is not made for a loop that is known to be short', COUNTED, [1], ['baseline']],
    ['is made before a thousand runs', SHORT, [1000], ['baseline', 'optimized']],
    ['is made once the runs come to a thousand', SHORT, [600, 600, 600], ['baseline', 'optimized']],
    ['is made at once for a loop of unknown length', UNKNOWN, [1, 1], ['baseline', 'optimized']],
    ['is made at once for a long loop', LONG, [1], ['baseline', 'optimized']],
  ])('%s', async (_, text, repeats, expected) => {
    expect(await tiers(text, ...repeats)).toEqual(expected);
  });
});
