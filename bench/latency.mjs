// What a person waits for: an object's first verdict, and the command.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { short, spread, summary, table } from './statistics.mjs';

const place = (path) => fileURLToPath(new URL(path, import.meta.url));

function child(...arguments_) {
  const begin = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, arguments_, { encoding: 'utf8' });
  const time = performance.now() - begin;
  if (status !== 0) throw new Error(`node ${arguments_.join(' ')}: exit status ${status}\n${stderr}`);
  return { time, stdout };
}

const objects = ['hello', 'firewall', 'loadbalancer'];
const commands = [
  ['node -e 0', '-e', '0'],
  ['skep --version', place('../dist/cli/main.js'), '--version'],
  ['skep inspect hello', place('../dist/cli/main.js'), 'inspect', place('../examples/hello.bpf.o')],
  ['skep inspect firewall', place('../dist/cli/main.js'), 'inspect', place('../examples/firewall.bpf.o')],
];

/** Milliseconds from the object's bytes to its first verdict: in a fresh process, and when all is warm. */
export function measureLoad({ rounds, progress }) {
  return objects.map((name) => {
    progress(`first verdict of ${name}`);
    const runs = Array.from({ length: rounds }, () =>
      JSON.parse(child(place('first-verdict.mjs'), place(`../examples/${name}.bpf.o`), '20').stdout),
    );
    const node = JSON.parse(child('-p', 'process.memoryUsage().rss').stdout);
    return {
      object: name,
      imported: summary(runs.map(({ imported }) => imported)),
      cold: summary(runs.map(({ cold }) => cold)),
      warm: summary(runs.flatMap(({ warm }) => warm.slice(5))),
      megabytes: summary(runs.map(({ rss }) => (rss - node) / 1e6)),
    };
  });
}

/** Milliseconds that a command takes from the shell. */
export function measureStart({ rounds, progress }) {
  progress('start-up');
  const rows = commands.map(([name, ...arguments_]) => ({ name, arguments_, samples: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const { arguments_, samples } of rows) samples.push(child(...arguments_).time);
  }
  return rows.map(({ name, samples }) => ({ name, time: summary(samples) }));
}

export const printLoad = (rows) =>
  table(
    ['object to first verdict, ms', 'import', 'cold', '', 'warm', '', 'memory, MB'],
    rows.map(({ object, imported, cold, warm, megabytes }) => [
      object,
      short(imported.median),
      short(cold.median),
      spread(cold),
      short(warm.median),
      spread(warm),
      short(megabytes.median),
    ]),
  );

export const printStart = (rows) =>
  table(
    ['command, ms', 'median', ''],
    rows.map(({ name, time }) => [name, short(time.median), spread(time)]),
  );
