// The long run of the verifiers, for scripts/differential.mjs: program after program on the live kernel and on ours, until
// so many were tried or the time is over.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { progTypeName } from '../../src/bpf/types.js';
import { toAssembly } from '../../src/isa/index.js';
import { seededRandom } from '../fuzz/mutate.js';
import { verifierProgram } from '../generate/verifier/program.js';
import { shrink } from './shrink.js';
import { type Comparison, Verifiers, withoutAddresses } from './verifiers.js';

const USAGE = `Usage: node scripts/differential.mjs --verifier [--count 10000] [--minutes M] [--seed 1] [--findings 20]
       [--json FILE]

Gives random programs to the verifier of this machine's kernel (as root; programs are loaded, nothing is run or attached)
and to ours; verdict, errno and the log of every instruction must be the same. Each program has a seed of its own, counted
up from --seed: --seed N --count 1 repeats one. Ends after --findings differences, each shrunk and printed.`;

interface Finding {
  seed: number;
  difference: string;
  type: string;
  program: string;
  linux: string;
  ours: string;
}

const reasonOf = (log: string): string =>
  log
    .split('\n')
    .filter((line) => line !== '' && !/^(processed|verification time|stack depth|mark_precise)/.test(line))
    .at(-1) ?? '';

/** The first line that differs, with those before it. */
function firstDifference({ linux, ours }: Comparison): { linux: string; ours: string } {
  const [a, b] = [linux, ours].map(({ log }) => withoutAddresses(log).split('\n')) as [string[], string[]];
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  const around = (lines: string[]) => lines.slice(Math.max(0, i - 3), i + 3).join('\n');
  return { linux: `errno ${linux.errno}\n${around(a)}`, ours: `errno ${ours.errno}\n${around(b)}` };
}

/** The exit status: 1 when there was a difference, 2 when the arguments make no sense. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      verifier: { type: 'boolean' },
      count: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string', default: '1' },
      findings: { type: 'string', default: '20' },
      json: { type: 'string' },
    },
  });
  const count = Number(values.count ?? (values.minutes === undefined ? 10_000 : Number.MAX_SAFE_INTEGER));
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY);
  const [first, most] = [Number(values.seed), Number(values.findings)];
  if (![first, most].every(Number.isInteger) || !(count > 0) || !(minutes > 0)) {
    console.error(USAGE);
    return 2;
  }
  using verifiers = new Verifiers();
  await verifiers.start();
  const start = performance.now();
  const counts = { programs: 0, accepted: 0, rejected: 0, instructions: 0, processed: 0 };
  const reasons = new Map<string, number>();
  const findings: Finding[] = [];
  let spoken = start;
  const seconds = (): number => (performance.now() - start) / 1000;
  const status = (): string =>
    `${counts.programs} programs (seeds ${first} to ${first + counts.programs - 1}): ${counts.accepted} accepted, ` +
    `${counts.rejected} rejected for ${reasons.size} reasons, ${findings.length} differences, ` +
    `${(counts.programs / seconds()).toFixed(0)} a second`;

  for (let seed = first; seed < first + count && findings.length < most; seed++) {
    if (seconds() > minutes * 60) break;
    const { kind, insns } = verifierProgram(seededRandom(seed));
    const result = await verifiers.compare(kind, insns);
    counts.programs++;
    counts.instructions += insns.length;
    counts.processed += Number(/^processed (\d+)/m.exec(result.linux.log)?.[1] ?? 0);
    if (result.linux.accepted) counts.accepted++;
    else {
      counts.rejected++;
      const reason = reasonOf(result.linux.log)
        .replace(/0x[0-9a-f]+|-?\d+/g, 'N')
        .slice(0, 80);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    if (result.difference !== undefined) {
      const same = async (smaller: typeof insns): Promise<boolean> =>
        (await verifiers.compare(kind, smaller)).difference === result.difference;
      const smallest = await shrink(insns, same);
      const finding = {
        ...{
          seed,
          difference: result.difference,
          type: progTypeName(kind.type) ?? '',
          program: toAssembly(smallest),
        },
        ...firstDifference(await verifiers.compare(kind, smallest)),
      };
      findings.push(finding);
      console.log(
        `seed ${seed}: ${finding.difference} (${finding.type})\n${finding.program}\nLinux: ${finding.linux}\nours: ${finding.ours}\n`,
      );
    }
    if (performance.now() - spoken > 60_000) {
      spoken = performance.now();
      console.log(status());
    }
  }
  console.log(status());
  if (values.json !== undefined) {
    const sorted = Object.fromEntries([...reasons].sort((a, b) => b[1] - a[1]));
    const report = { ...counts, seconds: seconds(), firstSeed: first, reasons: sorted, findings };
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return findings.length > 0 ? 1 : 0;
}
