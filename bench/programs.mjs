// Nanoseconds per run of every program in bench/programs, on each engine and on the kernel of this machine.
//
// One sample is one call of BPF_PROG_TEST_RUN with so large a `repeat` that it takes a while, divided by `repeat`: the
// same packet bytes, the same bytecode. The clock is read outside, but for Linux, which says how long its runs took (in
// whole nanoseconds): it prepares each such call for milliseconds. Nothing interrupts the runs within Linux, so time in
// which another process had the processor does not count for the others either. Engines take turns within a round, and
// the order changes from round to round, so that a slow moment of the machine is everybody's. What a program returns is
// compared with what Linux returned when the program was recorded, after every sample.

import { readFileSync } from 'node:fs';
import { EmulatedKernel, load, parseObject } from '../dist/node/index.js';
import { packets } from './programs/packets.mjs';
import { geometricMean, short, spread, summary, table } from './statistics.mjs';

const folder = new URL('programs/', import.meta.url);
const { programs } = JSON.parse(readFileSync(new URL('programs.json', folder), 'utf8'));
const reference = JSON.parse(readFileSync(new URL('reference.json', import.meta.url), 'utf8')).rows;

export const programNames = programs.map(({ name }) => name);

/** Runs after which every engine is at its best. */
const WARM = 1000;
const MOST = 1 << 28;

/** Who runs them; `kernel` makes a fresh one. */
const engines = (linux) => [
  { name: 'jit', kernel: () => new EmulatedKernel() },
  { name: 'checked', kernel: () => new EmulatedKernel({ safety: 'check' }) },
  { name: 'interpreter', kernel: () => new EmulatedKernel({ engine: 'interpreter' }) },
  ...(linux ? [{ name: 'linux', kernel: () => linux }] : []),
];

/** One program on one engine, warm. */
async function contestant({ name, kernel }, program, milliseconds) {
  const spec = parseObject(readFileSync(new URL(program.object, folder)), { name: program.object });
  const below = kernel();
  const collection = await load(spec, below, { programs: [program.program] });
  const loaded = collection.program(program.program);
  const data = packets[program.packet];
  let repeat = 0;
  const sample = async (times) => {
    const cpu = process.cpuUsage();
    const begin = performance.now();
    const { retval, duration } = await loaded.run({ data, repeat: times });
    const wall = performance.now() - begin;
    const { user, system } = process.cpuUsage(cpu);
    const time = name === 'linux' ? (duration * times) / 1e6 : Math.min(wall, (user + system) / 1000);
    if (retval !== program.returns) {
      throw new Error(`${program.name} on ${name} returned ${retval}, not ${program.returns}`);
    }
    return time;
  };
  // Warm up: the JIT changes to optimised code by then. After that, find out how many runs fill a sample.
  for (let i = 0; i < 3; i++) await sample(WARM);
  for (let times = WARM; repeat === 0; times *= 4) {
    const time = Math.min(await sample(times), await sample(times));
    if (time < milliseconds / 4 && times < MOST) continue;
    repeat = Math.max(1, Math.min(MOST, Math.round((times * milliseconds) / time)));
  }
  return {
    name,
    samples: [],
    async measure() {
      this.samples.push(((await sample(repeat)) / repeat) * 1e6);
    },
    async close() {
      await collection.close();
    },
  };
}

/** Median of what `f` makes of the samples of each round: a slow round is slow for all in it. */
const paired = (f, ...samples) =>
  summary(samples[0].map((_, i) => f(...samples.map((all) => all[i])))).median;

/**
 * Measures. `only` lists names (all when empty), `milliseconds` is what one sample is to take. `linux` is a LinuxKernel
 * or undefined. Rows: name, helperFree, for each engine median and quartiles in ns, and ratios.
 *
 * What a program costs beside Linux's JIT: Linux's empty run, which takes part in every round, is taken off Linux's
 * time where a program is nothing but instructions. What helpers and calls cost in a kernel is another matter, and left
 * as it is.
 */
export async function measurePrograms({ only, rounds, milliseconds, linux, progress }) {
  const rows = [];
  const nothing = programs.find(({ name }) => name === 'empty');
  for (const program of programs) {
    if (only.length > 0 && !only.includes(program.name)) continue;
    progress(program.name);
    const all = [];
    for (const engine of engines(linux)) all.push(await contestant(engine, program, milliseconds));
    const subtract = linux && program.helperFree && program !== nothing;
    if (subtract) all.push(await contestant({ name: 'linux', kernel: () => linux }, nothing, milliseconds));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < all.length; i++) await all[(i + round) % all.length].measure();
    }
    const [jit, checked, interpreter, real, empty] = all.map(({ samples }) => samples);
    const row = { name: program.name, measures: program.measures, helperFree: program.helperFree };
    for (const { name, samples } of all.slice(0, 4)) row[name] = summary(samples);
    row.ratios = {
      checkedToJit: paired((a, b) => a / b, checked, jit),
      interpreterToJit: paired((a, b) => a / b, interpreter, jit),
    };
    if (real && program !== nothing) {
      const own = empty ? paired((a, b) => a - b, real, empty) / summary(real).median : 1;
      const beside = (engine) => (own > 0 ? paired((a, b) => a / b, engine, real) / own : undefined);
      row.ratios.jitToLinux = beside(jit);
      row.ratios.checkedToLinux = beside(checked);
      row.ratios.referenceToLinux = besideLinuxThen(program);
    }
    for (const one of all) await one.close();
    rows.push(row);
  }
  return rows;
}

/** The reference beside Linux on its own day, by the same rule. */
function besideLinuxThen({ name, helperFree }) {
  const row = reference[name];
  return row && row.wasm / (row.linux - (helperFree ? reference.empty.linux : 0));
}

/** The means that the targets are about. Linux's empty run is taken off its own times. */
export function means(rows) {
  const all = rows.map(({ ratios }) => ratios);
  const known = (ratio) => ratio !== undefined && ratio > 0;
  const free = rows
    .filter(({ helperFree, ratios }) => helperFree && known(ratios.jitToLinux))
    .map((row) => row.ratios);
  const referred = all.filter(
    ({ jitToLinux, referenceToLinux }) => known(jitToLinux) && known(referenceToLinux),
  );
  return {
    helperFree: free.length,
    jitToLinux: geometricMean(free.map(({ jitToLinux }) => jitToLinux)),
    checkedToLinux: geometricMean(free.map(({ checkedToLinux }) => checkedToLinux)),
    checkedToJit: geometricMean(all.map(({ checkedToJit }) => checkedToJit)),
    interpreterToJit: geometricMean(all.map(({ interpreterToJit }) => interpreterToJit)),
    jitToReference: geometricMean(referred.map((r) => r.jitToLinux / r.referenceToLinux)),
    checkedToReference: geometricMean(referred.map((r) => r.checkedToLinux / r.referenceToLinux)),
  };
}

export function printPrograms(rows) {
  const cells = (row) => {
    const { name, jit, checked, interpreter, linux, ratios } = row;
    return [
      row.helperFree ? name : `${name} (h)`,
      short(jit.median),
      spread(jit),
      short(checked.median),
      spread(checked),
      short(interpreter.median),
      linux ? short(linux.median) : '-',
      linux ? spread(linux) : '-',
      short(ratios.checkedToJit),
      short(ratios.jitToLinux),
      short(ratios.checkedToLinux),
      short(ratios.referenceToLinux),
      short(ratios.jitToLinux / ratios.referenceToLinux),
      short(ratios.checkedToLinux / ratios.referenceToLinux),
    ];
  };
  const head = ['ns per run', 'jit', '', 'checked', '', 'interp.', 'linux', ''];
  const columns = ['checked/jit', 'jit/linux', 'checked/linux', 'ref/linux', 'jit/ref', 'checked/ref'];
  const lines = [
    table([...head, ...columns], rows.map(cells)),
    '',
    'jit: as programs run by default, accepted by the verifier and not checked again; so does the interpreter.',
    'checked: by the JIT, with every access checked, without the verifier.',
    '±: half the distance of the quartiles. Ratios are taken round by round.',
    "linux: BPF_PROG_TEST_RUN; in the ratios less the empty program's, but for programs that call (h).",
    'ref/linux: another translator beside Linux on another day (bench/reference.json); jit/ref: one ratio by the other.',
  ];
  const all = means(rows);
  lines.push('', 'Geometric means:');
  const say = (text, value) => value !== undefined && lines.push(`  ${text.padEnd(52)} ${short(value)}`);
  say(`jit/linux, ${all.helperFree} programs that do not call (target 0.95)`, all.jitToLinux);
  say('checked/linux, the same', all.checkedToLinux);
  say('checked/jit, all programs', all.checkedToJit);
  say('interpreter/jit, all programs', all.interpreterToJit);
  say('jit/ref', all.jitToReference);
  say('checked/ref', all.checkedToReference);
  return lines.join('\n');
}
