// Nanoseconds per run of every program in bench/programs, on each engine and on the kernel of this machine.
//
// One sample is one call of BPF_PROG_TEST_RUN with so large a `repeat` that it takes a while, divided by `repeat`: the
// same packet bytes, the same bytecode. The clock is read outside, but for Linux, which says how long its runs took (in
// whole nanoseconds): it prepares each such call for milliseconds. Engines take turns within a round, and the order
// changes from round to round, so that a slow moment of the machine is everybody's. What a program returns is compared
// with what Linux returned when the program was recorded, after every sample.

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
  { name: 'trusted', kernel: () => new EmulatedKernel({ trusted: true }) },
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
    const begin = performance.now();
    const { retval, duration } = await loaded.run({ data, repeat: times });
    const time = name === 'linux' ? (duration * times) / 1e6 : performance.now() - begin;
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

/**
 * Measures. `only` lists names (all when empty), `milliseconds` is what one sample is to take. `linux` is a LinuxKernel
 * or undefined. Rows: name, helperFree, and for each engine median and quartiles in ns.
 */
export async function measurePrograms({ only, rounds, milliseconds, linux, progress }) {
  const rows = [];
  for (const program of programs) {
    if (only.length > 0 && !only.includes(program.name)) continue;
    progress(program.name);
    const all = [];
    for (const engine of engines(linux)) all.push(await contestant(engine, program, milliseconds));
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < all.length; i++) await all[(i + round) % all.length].measure();
    }
    const row = { name: program.name, measures: program.measures, helperFree: program.helperFree };
    for (const { name, samples } of all) row[name] = summary(samples);
    for (const one of all) await one.close();
    if (reference[program.name]) row.reference = reference[program.name];
    rows.push(row);
  }
  return rows;
}

/**
 * What a program costs beside Linux's JIT. Linux's empty run is taken off its own times where a program is nothing but
 * instructions; what helpers and calls cost in a kernel is another matter, and left as it is.
 */
const besideLinux = (own, { linux, helperFree }, empty) => {
  const base = linux - (helperFree ? empty : 0);
  return base > 0 ? own / base : undefined;
};

/** The row's ratios to Linux, of the engines and of the reference on its own day. */
function ratios(row, emptyRow) {
  if (!row.linux || !emptyRow?.linux || row.name === 'empty') return {};
  const today = { linux: row.linux.median, helperFree: row.helperFree };
  const then = row.reference && { linux: row.reference.linux, helperFree: row.helperFree };
  return {
    jit: besideLinux(row.jit.median, today, emptyRow.linux.median),
    trusted: besideLinux(row.trusted.median, today, emptyRow.linux.median),
    reference: then && besideLinux(row.reference.wasm, then, emptyRow.reference.linux),
  };
}

/** The means that the targets are about. Linux's empty run is taken off its own times. */
export function means(rows) {
  const empty = rows.find(({ name }) => name === 'empty');
  const all = rows.map((row) => ({ row, ...ratios(row, empty) }));
  const free = all.filter(({ row, jit }) => row.helperFree && jit !== undefined);
  const referred = all.filter(({ jit, reference }) => jit !== undefined && reference !== undefined);
  return {
    helperFree: free.length,
    jitToLinux: geometricMean(free.map(({ jit }) => jit)),
    trustedToLinux: geometricMean(free.map(({ trusted }) => trusted)),
    jitToTrusted: geometricMean(rows.map(({ jit, trusted }) => jit.median / trusted.median)),
    interpreterToJit: geometricMean(rows.map(({ jit, interpreter }) => interpreter.median / jit.median)),
    jitToReference: geometricMean(referred.map(({ jit, reference }) => jit / reference)),
    trustedToReference: geometricMean(referred.map(({ trusted, reference }) => trusted / reference)),
  };
}

export function printPrograms(rows) {
  const empty = rows.find(({ name }) => name === 'empty');
  const cells = (row) => {
    const { name, jit, trusted, interpreter, linux } = row;
    const to = ratios(row, empty);
    return [
      row.helperFree ? name : `${name} (h)`,
      short(jit.median),
      spread(jit),
      short(trusted.median),
      spread(trusted),
      short(interpreter.median),
      linux ? short(linux.median) : '-',
      linux ? spread(linux) : '-',
      short(jit.median / trusted.median),
      short(to.jit),
      short(to.trusted),
      short(to.reference),
      short(to.jit / to.reference),
      short(to.trusted / to.reference),
    ];
  };
  const head = ['ns per run', 'jit', '', 'trusted', '', 'interp.', 'linux', ''];
  const columns = ['jit/trusted', 'jit/linux', 'trusted/linux', 'ref/linux', 'jit/ref', 'trusted/ref'];
  const lines = [
    table([...head, ...columns], rows.map(cells)),
    '',
    'jit: checked, the default. trusted: without checks. ±: half the distance of the quartiles.',
    "linux: BPF_PROG_TEST_RUN; in the ratios less the empty program's, but for programs that call (h).",
    'ref/linux: another translator beside Linux on another day (bench/reference.json); jit/ref: one ratio by the other.',
  ];
  const all = means(rows);
  lines.push('', 'Geometric means:');
  const say = (text, value) => value !== undefined && lines.push(`  ${text.padEnd(52)} ${short(value)}`);
  say(`jit/linux, ${all.helperFree} programs that do not call (target 0.95)`, all.jitToLinux);
  say('trusted/linux, the same', all.trustedToLinux);
  say('jit/trusted, all programs', all.jitToTrusted);
  say('interpreter/jit, all programs', all.interpreterToJit);
  say('jit/ref', all.jitToReference);
  say('trusted/ref', all.trustedToReference);
  return lines.join('\n');
}
