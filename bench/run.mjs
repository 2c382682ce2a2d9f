// The benchmarks: `npm run bench`. They use the built package in dist/ and assert nothing about time.
//
//     --only NAME      only this program of bench/programs, and nothing else (may be given again)
//     --rounds N       samples of each engine (default 9)
//     --quick          short samples, few rounds: whether it runs, not how fast
//     --no-linux       leave the kernel of this machine out
//     --json           one JSON document instead of tables

import { release } from 'node:os';
import { parseArgs } from 'node:util';
import { LinuxKernel } from '../dist/linux/index.js';
import { measureCapture, printCapture } from './capture.mjs';
import { measureLoad, measureStart, printLoad, printStart } from './latency.mjs';
import { means, measurePrograms, printPrograms, programNames } from './programs.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'no-linux': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const { only, quick, json } = values;
const rounds = Number(values.rounds ?? (quick ? 3 : 9));
const unknown = only.find((name) => !programNames.includes(name));
if (unknown !== undefined || !Number.isInteger(rounds) || rounds < 1) {
  console.error(
    unknown === undefined
      ? '--rounds takes a number from 1 up.'
      : `No program ${unknown}: ${programNames.join(', ')}.`,
  );
  process.exit(2);
}

const progress = (what) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what} ...`);
};

/** The kernel of this machine, or a sentence that says why it takes no part. */
function openLinux() {
  if (values['no-linux']) return 'left out';
  try {
    return new LinuxKernel();
  } catch (error) {
    return error.message;
  }
}

const opened = openLinux();
const linux = opened instanceof LinuxKernel ? opened : undefined;
const report = {
  node: process.version,
  v8: process.versions.v8,
  machine: `${process.platform} ${release()} ${process.arch}`,
  linux: linux ? `Linux ${release()}` : opened,
  rounds,
};
report.programs = await measurePrograms({ only, rounds, milliseconds: quick ? 2 : 20, linux, progress });
report.means = means(report.programs);
if (only.length === 0) {
  report.capture = await measureCapture({ rounds, passes: quick ? 1 : 10, progress });
  report.load = measureLoad({ rounds: quick ? 1 : Math.min(rounds, 7), progress });
  report.start = measureStart({ rounds: quick ? 1 : Math.min(rounds, 9), progress });
}
linux?.[Symbol.dispose]();
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');

if (json) {
  console.log(JSON.stringify(report, null, 1));
} else {
  console.log(
    `Node ${report.node}, V8 ${report.v8}, ${report.machine}, medians of ${rounds} interleaved rounds`,
  );
  if (!linux) console.log(`The kernel of this machine takes no part: ${report.linux}.`);
  console.log(`\n${printPrograms(report.programs)}`);
  if (report.capture) console.log(`\n${printCapture(report.capture)}`);
  if (report.load) console.log(`\n${printLoad(report.load)}`);
  if (report.start) console.log(`\n${printStart(report.start)}`);
}
