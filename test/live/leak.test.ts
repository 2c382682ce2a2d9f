// Loads in a row leave nothing behind: no descriptor, no object in the kernel, no memory. SKEP_LEAK_LOADS sets how many
// (scripts/leak.mjs: ten thousand); SKEP_LEAK_REPORT has the figures printed.

import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { SkepError } from '../../src/base/error.js';
import type { Bpf } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { load } from '../../src/loader/index.js';
import { missingKernel, needs } from '../require.js';
import { readObject } from './live.js';

const LOADS = Number(process.env.SKEP_LEAK_LOADS ?? 1000);
/** Loads before the first look: what is made once and kept is there by then. */
const WARM_UP = 100;
/** Bytes that one load may leave at most, on average; a program or a log that stays is thousands. */
const PER_LOAD = 200;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Figures {
  descriptors: number;
  heap: number;
  buffers: number;
  rss: number;
}

async function look(): Promise<Figures> {
  // What is freed may be so a turn later.
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((done) => setImmediate(done));
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { descriptors: readdirSync('/proc/self/fd').length, heap: heapUsed, buffers: arrayBuffers, rss };
}

/** Falls off its end: what every kernel refuses, before or in its verifier. */
const unsafe = encode(assemble('r0 = *(u64 *)(r1 + 100)'));

/** Fails unless the promise does, with an error of this class. No assertion of vitest: those are remembered. */
async function refused(promise: Promise<unknown>, kind: typeof BpfError | typeof SkepError): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof kind)) throw new Error('it was not refused', { cause: error });
}

const hello = readObject('examples/hello.bpf.o');

/** One load of an object, one of a program that is refused, one of an object of which a program is. */
async function once(kernel: Bpf): Promise<void> {
  const collection = await load(hello, kernel);
  await collection.close();
  await refused(kernel.progLoad({ type: ProgType.Xdp, instructions: unsafe, license: 'GPL' }), BpfError);
  const [program] = hello.programs;
  if (!program) throw new Error('the object has a program');
  const broken = { ...program, name: 'broken', instructions: program.instructions.slice(0, 3), lines: [] };
  await refused(load({ ...hello, programs: [program, broken] }, kernel), SkepError);
}

async function ids(next: (id: number) => Promise<number>): Promise<Set<number>> {
  const found = new Set<number>();
  for (let id = 0; ; found.add(id)) {
    try {
      id = await next(id);
    } catch (error) {
      if (error instanceof BpfError && error.errno === Errno.ENOENT) return found;
      throw error;
    }
  }
}

async function measure(name: string, kernel: Bpf, rounds: number): Promise<void> {
  for (let i = 0; i < WARM_UP; i++) await once(kernel);
  const before = await look();
  const started = performance.now();
  for (let i = 0; i < rounds; i++) await once(kernel);
  const seconds = (performance.now() - started) / 1000;
  const after = await look();
  if (process.env.SKEP_LEAK_REPORT) {
    const change = (key: keyof Figures) => `${key} ${before[key]} -> ${after[key]}`;
    console.log(
      `${name}: ${rounds} rounds of three loads (two of them refused) in ${seconds.toFixed(1)} s\n  ` +
        (['descriptors', 'heap', 'buffers', 'rss'] as const).map(change).join('\n  '),
    );
  }
  expect(after.descriptors).toBe(before.descriptors);
  expect(after.heap - before.heap).toBeLessThan(PER_LOAD * rounds + 1e6);
  expect(after.buffers - before.buffers).toBeLessThan(PER_LOAD * rounds + 1e6);
  // The C library and V8 keep some room that they have had.
  expect(after.rss - before.rss).toBeLessThan(PER_LOAD * rounds + 64e6);
}

test('the emulated kernel has after many loads what it had before', { timeout: 3600_000 }, async () => {
  const kernel = new EmulatedKernel();
  // It compiles each time, which takes longer.
  await measure('emulated', kernel, Math.ceil(LOADS / 10));
  expect(await ids((id) => kernel.progGetNextId(id))).toEqual(new Set());
  expect(await ids((id) => kernel.mapGetNextId(id))).toEqual(new Set());
  // The kernel's own types are always there.
  expect(await ids((id) => kernel.btfGetNextId(id))).toEqual(new Set([1]));
});

needs('the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('has after many loads what it had before', { timeout: 3600_000 }, async () => {
    using linux = new LinuxKernel();
    const { id: first } = await linux.progInfo(
      await linux.progLoad({
        type: ProgType.Xdp,
        instructions: encode(assemble('r0 = 2\nexit')),
        license: 'GPL',
        name: 'leak_begin',
      }),
    );
    await measure('linux', linux, LOADS);
    // Other processes load, too; none of theirs has our names.
    const ours: string[] = [];
    for (const id of await ids((id) => linux.progGetNextId(id))) {
      if (id <= first) continue;
      const fd = await linux.progGetFdById(id).catch(() => undefined);
      if (fd === undefined) continue;
      const { name, mapIds } = await linux.progInfo(fd);
      await linux.close(fd);
      if (name === 'hello' && mapIds.length === 2) ours.push(name);
    }
    expect(ours.length).toBeLessThan(10);
  });
});
