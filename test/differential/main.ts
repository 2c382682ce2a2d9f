// The long run, for scripts/differential.mjs: program after program until the time is over, a new seed for each batch.

import { parseArgs } from 'node:util';
import { Kernels } from './kernels.js';
import { noCounts, search } from './search.js';

const BATCH = 500;
/** Shrinking one difference takes no longer than this. */
const LIMIT = 180_000;
const MOST_FINDINGS = 10;

const USAGE = `Usage: node scripts/differential.mjs [--minutes 1] [--seed 1] [--path PATH]

Runs random programs on the kernel of this machine (as root; programs are loaded and test-run, nothing is attached) and
on every engine. --path, with the seed that was printed, repeats one difference.`;

const whole = (text: string | undefined, least: number): number => {
  const value = Number(text);
  return Number.isInteger(value) && value >= least ? value : Number.NaN;
};

/** The exit status: 1 when there was a difference, 2 when the arguments make no sense. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      path: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  const first = whole(values.seed, -0x8000_0000);
  if (!(minutes > 0) || Number.isNaN(first)) {
    console.error(USAGE);
    return 2;
  }
  using kernels = new Kernels();
  await kernels.start();
  const counts = noCounts();
  const started = performance.now();
  const end = started + minutes * 60_000;
  let findings = 0;
  let seed = first;
  let spoken = started;

  const status = (): string => {
    const seconds = (performance.now() - started) / 1000;
    const share = counts.programs === 0 ? 0 : (100 * counts.accepted) / counts.programs;
    return (
      `${counts.programs} programs (seeds ${first} to ${seed - 1}), ${counts.accepted} accepted by Linux ` +
      `(${share.toFixed(2)} %), ${findings} differences, ${(counts.programs / seconds).toFixed(0)} programs a second`
    );
  };

  for (; performance.now() < end && findings < MOST_FINDINGS; seed++) {
    const { path } = values;
    const finding = await search(kernels, counts, {
      seed,
      programs: BATCH,
      ...(path === undefined ? { limit: LIMIT } : { path }),
    });
    if (finding) {
      findings++;
      console.log(`${finding.report}\n`);
      console.log(`repeat: node scripts/differential.mjs --seed ${finding.seed} --path ${finding.path}\n`);
    }
    if (path !== undefined) {
      console.log(finding ? 'the difference is there' : 'there is no difference');
      return finding ? 1 : 0;
    }
    if (performance.now() - spoken > 60_000) {
      spoken = performance.now();
      console.log(status());
    }
  }
  console.log(status());
  for (const [reason, count] of [...counts.refusals].sort((a, b) => b[1] - a[1])) {
    console.log(`refused ${count} times: ${reason}`);
  }
  return findings > 0 ? 1 : 0;
}
