import { describe, expect, test } from 'vitest';
import { ProgType } from '../bpf/types.js';
import { assemble, encode, toAssembly } from '../isa/index.js';
import { withoutDeadBranches } from './dead-branches.js';
import { EmulatedKernel, type Safety } from './kernel.js';
import type { RewriteFacts } from './verifier/rewrites/facts.js';
import { Mark } from './verifier/verifier.js';

const program = 'r0 = 1\nif r1 > 3 goto +2\nr0 = 2\ngoto +1\nr0 = 3\nexit';

/** The program's text when the verifier came to these slots only. */
const withSeen = (slots: readonly number[]): string => {
  const marks = new Uint16Array(8);
  for (const slot of slots) marks[slot] = Mark.SEEN;
  return toAssembly(withoutDeadBranches(assemble(program), { marks } as RewriteFacts));
};

describe('branches that always go one way', () => {
  test('both ways are taken: nothing changes', () => {
    expect(withSeen([0, 1, 2, 3, 4, 5])).toBe(toAssembly(assemble(program)));
  });

  test('the branch is always taken: it is a jump', () => {
    expect(withSeen([0, 1, 4, 5])).toBe(toAssembly(assemble('r0 = 1\ngoto +2\nexit\nexit\nr0 = 3\nexit')));
  });

  test('the branch is never taken: it leads on', () => {
    expect(withSeen([0, 1, 2, 3, 5])).toBe(
      toAssembly(assemble('r0 = 1\ngoto +0\nr0 = 2\ngoto +1\nexit\nexit')),
    );
  });

  test('what the verifier alone knows never to happen is not compiled', async () => {
    const instructions = encode(
      assemble('call 7\nr0 &= 8\nif r0 == 3 goto +2\nr0 = 2\nexit\nr0 = 1\nr0 *= 7\nr0 ^= 5\nexit'),
    );
    const size = async (safety: Safety): Promise<number> => {
      const kernel = new EmulatedKernel({ safety });
      return (
        await kernel.progInfo(await kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' }))
      ).bytesJited;
    };
    expect(await size('verify')).toBeLessThan(await size('trust'));
  });
});
