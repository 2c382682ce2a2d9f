// The long soundness run, for scripts/differential.mjs: random programs of both generators.

import { parseArgs } from 'node:util';
import { randomSoundness, type Tally, xdpSoundness } from './soundness-run.js';

/** The exit status: 1 when something was outside of what was claimed. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      soundness: { type: 'boolean' },
      count: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
    },
  });
  const [count, seed] = [Number(values.count), Number(values.seed)];
  if (!(count > 0) || !Number.isInteger(seed)) {
    console.error('Usage: node scripts/differential.mjs --soundness [--count 2000] [--seed 1]');
    return 2;
  }
  const tell = (what: string, { run, left, steps, violations }: Tally): number => {
    console.log(
      `${what}: ${run} run, ${left} left out, ${steps} states looked at, ${violations.length} violations`,
    );
    for (const violation of violations) console.log(`${violation}\n`);
    return violations.length;
  };
  const random = tell('random programs', await randomSoundness(seed, count));
  const built = tell('programs accepted by construction', await xdpSoundness(seed, Math.ceil(count / 20)));
  return random + built > 0 ? 1 : 0;
}
