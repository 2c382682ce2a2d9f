// What the JIT leaves out because it knows it: the store of an array lookup's key, the test of what a lookup certainly
// finds. Whoever reads the frame in another way finds what was stored, and every loop ends when it did.

import { expect, test } from 'vitest';
import { toAssembly } from '../../src/isa/index.js';
import { assembleWithMaps, Pair } from './pair.js';

const packetOf = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i + size);

/** Ways to read the key again; r0 becomes something of it. */
const READERS: Record<string, string> = {
  nobody: 'r0 = 1',
  'a load': 'r0 = *(u32 *)(r10 - 4)',
  'half of it': 'r0 = *(u16 *)(r10 - 2)\nr1 = *(u8 *)(r10 - 4)\nr0 += r1',
  'more than it': 'r0 = *(u64 *)(r10 - 8)',
  'a signed load': 'r0 = *(s32 *)(r10 - 4)',
  'another pointer': 'r2 = r10\nr2 ^= 0\nr0 = *(u32 *)(r2 - 4)',
  'at a place that is not known': 'r2 = r9\nr2 &= 3\nr1 = r10\nr1 -= r2\nr0 = *(u8 *)(r1 - 1)',
  'a pointer through memory': '*(u64 *)(r10 - 24) = r10\nr2 = *(u64 *)(r10 - 24)\nr0 = *(u32 *)(r2 - 4)',
  'an atomic instruction':
    'r1 = 3\nw1 = atomic_fetch_add((u32 *)(r10 - 4), w1)\nr0 = *(u32 *)(r10 - 4)\nr0 += r1',
  'a helper': 'r1 = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 8\nr5 = 1\ncall 28',
  'a hash lookup':
    'r2 = r10\nr2 += -4\nr1 = map hash\ncall 1\nif r0 == 0 goto absent\nr0 = *(u32 *)(r0 + 0)\nabsent:',
  'a subprogram': 'r1 = r10\ncall sub',
  'one that finds it where another left it': 'r1 = r9\ncall look\ncall leftover',
};

function* programs(): Generator<string> {
  for (const map of ['array', 'percpu', 'hash']) {
    for (const key of ['r9', '1', 'r5']) {
      for (const size of [4, 8]) {
        for (const reader of Object.values(READERS)) {
          const store = size === 8 ? `r5 <<= 32\n*(u64 *)(r10 - 8) = r5` : `*(u32 *)(r10 - 4) = ${key}`;
          const subprograms = [
            reader.includes('call sub') ? 'sub:\nr0 = *(u32 *)(r1 - 4)\nexit' : '',
            reader.includes('call look')
              ? 'look:\n*(u32 *)(r10 - 4) = r1\nr2 = r10\nr2 += -4\nr1 = map array\ncall 1\nr0 = 0\nexit'
              : '',
            reader.includes('call leftover') ? 'leftover:\nr0 = *(u32 *)(r10 - 4)\nexit' : '',
          ];
          yield `
            r7 = *(u32 *)(r1 + 0)
            r8 = *(u32 *)(r1 + 4)
            r6 = 0
            *(u64 *)(r10 - 8) = 0
            r9 = 0
            r0 = r7
            r0 += 14
            if r0 > r8 goto out
            r9 = *(u8 *)(r7 + 0)
            r9 &= 1
          round:
            r5 = r9
            r5 &= 3
            ${store}
            r2 = r10
            r2 += -4
            r1 = map ${map}
            call 1
            if r0 == 0 goto none
            r1 = *(u32 *)(r0 + 0)
            r6 += r1
            *(u32 *)(r0 + 0) = r9
          none:
            ${reader}
            r6 *= 31
            r6 += r0
            r9 += 1
            if r9 < 6 goto round
          out:
            r0 = r6
            exit
            ${subprograms.join('\n')}`;
        }
      }
    }
  }
}

test('a key that is stored is what everybody reads', async () => {
  const pair = new Pair(5_000);
  const answers = new Set<string>();
  let count = 0;
  for (const text of programs()) {
    const insns = assembleWithMaps(text);
    const { jit, interpreter } = await pair.run(insns, [packetOf(14), packetOf(20)]);
    expect(jit, toAssembly(insns)).toEqual(interpreter);
    answers.add(JSON.stringify(jit.outcomes));
    count++;
  }
  expect(count).toBe(3 * 3 * 2 * Object.keys(READERS).length);
  expect(answers.size).toBeGreaterThan(20);
});
