// Skep's verifier against Linux's: the selftests of BPF, as the live kernel judged them (npm run conformance:verifier).
//
//     node scripts/verifier-corpus/main.mjs build [--set S] [--file O] [--again]   compile and record (Linux, root, clang-19, bpftool)
//     node scripts/verifier-corpus/main.mjs live [--set S]                         the live kernel by the selftests' expectations
//     node scripts/verifier-corpus/main.mjs show --test ID [--mode M]              one recording: expectation, attributes, log
//     node scripts/verifier-corpus/main.mjs [run] [options]                        ours against the recordings
//     node scripts/verifier-corpus/main.mjs xlated [--set S] [--mode M] [--file O] [--test T] [--diff]   what rewriting makes of the accepted
//
// Options of run:
//     --set S         verifier (default), extended, selftests, samples, real (objects/real/*.o, put there by hand), or all
//     --mode M        priv (default), bpf (CAP_BPF and CAP_NET_ADMIN alone), unpriv (none), or all
//     --file O        one object; --test T: one program of it, by name or description
//     --failures [K]  what differs, in groups; K: verdict, errno, messages, processed, retval, log, full (of every instruction)
//     --diff          where the logs differ (- the kernel's lines, + ours), with the lines before
//     --log           our log and the kernel's, whole
//     --quick         without the logs of every instruction; --no-engines: without running the programs
//     --json          results as JSON
//     --minimum P     exit status 1 when fewer than P percent of the verdicts agree, or something is wrongly accepted

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { fail } from './places.mjs';
import { readRecordings, recordedObjects, recordedSets } from './recording.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  args: process.argv.slice(2).map((word, i, all) =>
    // `--failures` may stand alone.
    word === '--failures' && (all[i + 1] === undefined || all[i + 1].startsWith('--'))
      ? '--failures=any'
      : word,
  ),
  options: {
    set: { type: 'string' },
    mode: { type: 'string', default: 'priv' },
    file: { type: 'string' },
    test: { type: 'string' },
    failures: { type: 'string' },
    minimum: { type: 'string' },
    again: { type: 'boolean' },
    diff: { type: 'boolean' },
    log: { type: 'boolean' },
    quick: { type: 'boolean' },
    'no-engines': { type: 'boolean' },
    json: { type: 'boolean' },
  },
});
const command = positionals[0] ?? 'run';

async function build() {
  const { buildCorpus } = await import('./build.mjs');
  await buildCorpus({
    ...(values.set === undefined ? {} : { wanted: values.set.split(',') }),
    only: values.file,
    again: values.again === true,
  });
}

async function live() {
  const { liveScores } = await import('./live.mjs');
  for (const set of values.set?.split(',') ?? recordedSets())
    console.log(set, JSON.stringify(liveScores(set), null, 2));
}

function show() {
  const wanted = values.test ?? fail('show needs --test');
  for (const set of recordedSets()) {
    for (const object of recordedObjects(set)) {
      if (values.file !== undefined && object !== values.file) continue;
      for (const test of readRecordings(set, object)) {
        if (test.id !== wanted && !test.id.endsWith(`/${wanted}`)) continue;
        const answer = test[values.mode];
        console.log(test.id, test.section, JSON.stringify(test.expect, null, 1));
        if (test.failed !== undefined) return console.log(test.failed);
        for (const entry of test.descriptors) {
          const short = (_, value) => (value instanceof Uint8Array ? `${value.length} bytes` : value);
          console.log(
            JSON.stringify(entry, (key, value) =>
              typeof value === 'bigint' ? String(value) : short(key, value),
            ),
          );
        }
        const { instructions, funcInfo: _functions, lineInfo: _lines, ...attr } = test.attr;
        console.log({ ...attr, instructions: instructions.length / 8 });
        console.log(`${answer.log}\n---- every instruction\n${answer.fullLog ?? ''}`);
        return;
      }
    }
  }
  fail(`There is no test ${wanted}.`);
}

async function run() {
  const { runTests } = await import('./run.mjs');
  const { diff, failures, figures, table, trouble } = await import('./report.mjs');
  const sets = values.set === 'all' ? recordedSets() : (values.set ?? 'verifier').split(',');
  const modes = values.mode === 'all' ? ['priv', 'bpf', 'unpriv'] : values.mode.split(',');
  if (!sets.some((set) => recordedObjects(set).length > 0)) {
    console.error('There is no corpus yet; building it takes some minutes.');
    const built = spawnSync(process.execPath, [process.argv[1], 'build'], { stdio: 'inherit' });
    if (built.status !== 0) process.exit(1);
  }
  const everything = [];
  let good = true;
  for (const set of sets) {
    for (const mode of modes) {
      const outcome = await runTests({
        set,
        mode,
        object: values.file,
        test: values.test,
        options: { logs: values.log === true, full: !values.quick, engines: !values['no-engines'] },
        progress: process.stderr.isTTY ? (n) => process.stderr.write(`\r${set} ${mode} ${n} `) : undefined,
      });
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      const all = figures(outcome);
      everything.push({ set, mode, figures: all, ...outcome });
      if (values.minimum !== undefined) {
        good &&= all.falseAccepts === 0 && 100 * all.verdict >= Number(values.minimum) * all.tests;
      }
      if (values.json) continue;
      if (values.log)
        for (const one of outcome.results)
          console.log(`${one.id}\n${one.log ?? one.threw}\n${one.fullLog ?? ''}`);
      const kind = values.failures === 'any' ? undefined : values.failures;
      if (values.diff) {
        for (const one of outcome.results) {
          if (trouble(one, kind) !== undefined || one.difference || one.fullDifference)
            console.log(`${diff(one)}\n`);
        }
      }
      if (values.failures !== undefined) console.log(failures(outcome.results, kind));
      console.log(table(`${set} (${mode})`, all));
    }
  }
  if (values.json) console.log(JSON.stringify(everything));
  if (!good) process.exit(1);
}

/** Rewriting against what the kernel showed; runs on the kernel that was recorded, whose functions have these places. */
async function xlated() {
  const { compareXlated } = await import('./xlated.mjs');
  let good = true;
  for (const set of values.set === undefined || values.set === 'all'
    ? recordedSets()
    : values.set.split(',')) {
    let [all, same] = [0, 0];
    for (const one of compareXlated(set, values.mode, { object: values.file, test: values.test })) {
      all++;
      if (one.same) same++;
      else if (one.threw) console.log(`${one.id}\n${one.threw}`);
      else {
        const lines = values.diff ? Math.max(one.live.length, one.ours.length) : one.at + 1;
        console.log(one.id);
        for (let i = values.diff ? Math.max(0, one.at - 5) : one.at; i < Math.min(lines, one.at + 20); i++)
          console.log(`${String(i).padStart(6)} ${(one.live[i] ?? '').padEnd(50)} ${one.ours[i] ?? ''}`);
      }
    }
    good &&= same === all;
    console.log(`${set} (${values.mode}): ${same} of ${all} accepted programs are rewritten as by Linux`);
  }
  if (!good) process.exit(1);
}

const commands = { build, live, show, run, xlated };
await (
  commands[command] ?? (() => fail(`There is no command ${command}: build, live, show, run, xlated.`))
)();
