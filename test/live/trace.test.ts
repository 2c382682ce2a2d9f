// What programs print in the kernel of this machine: every line reaches every listener, also where nobody has mounted
// tracefs, and nothing of it stays behind.

import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TraceEvent } from '../../src/bpf/bpf.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { tracefs } from '../../src/linux/tracefs.js';
import { load } from '../../src/loader/index.js';
import { missingKernel, needs } from '../require.js';
import { readObject } from './live.js';

const data = new Uint8Array(64);
const ours = ({ pid }: TraceEvent): boolean => pid === process.pid;

needs('the trace of the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  // First, since each process sweeps once.
  test('removes what a process that was killed has left behind, and nothing else', async () => {
    const place = `${tracefs()}/instances`;
    // No process has this number; ours has its own.
    const [left, ours] = ['skep-999999999-1', `skep-${process.pid}-999`];
    for (const name of [left, ours]) mkdirSync(`${place}/${name}`);
    try {
      using kernel = new LinuxKernel();
      using _ = await kernel.trace(() => {});
      expect(readdirSync(place)).not.toContain(left);
      expect(readdirSync(place)).toContain(ours);
    } finally {
      rmdirSync(`${place}/${ours}`);
    }
  });

  test('reaches two listeners in whole, up to the moment at which they go', async () => {
    using one = new LinuxKernel();
    using two = new LinuxKernel();
    const heard: Record<string, string[]> = { one: [], two: [], late: [] };
    const listen = (kernel: LinuxKernel, name: string) =>
      kernel.trace((event) => {
        if (ours(event)) heard[name]?.push(event.text);
      });
    await using collection = await load(readObject('examples/hello.bpf.o'), one);
    const program = collection.program('hello');
    await program.run({ data });
    const first = await listen(one, 'one');
    const second = await listen(two, 'two');
    await program.run({ data, repeat: 3 });
    const third = await listen(one, 'late');
    await program.run({ data });
    for (const listener of [first, second, third]) listener[Symbol.dispose]();
    await program.run({ data });
    const line = (count: number) => `Hello, packet ${count} of 64 bytes`;
    expect(heard.one).toEqual([2, 3, 4, 5].map(line));
    expect(heard.two).toEqual([2, 3, 4, 5].map(line));
    expect(heard.late).toEqual([line(5)]);
  });

  test('says how many lines were overwritten before they were read', async () => {
    using kernel = new LinuxKernel();
    await using collection = await load(readObject('examples/hello.bpf.o'), kernel);
    const events: TraceEvent[] = [];
    const listener = await kernel.trace((event) => events.push(event));
    // More than the buffer of a CPU holds, without a look meanwhile.
    const runs = 100_000;
    await collection.program('hello').run({ data, repeat: runs });
    listener[Symbol.dispose]();
    const mine = events.filter(ours);
    const lost = events.reduce((sum, event) => sum + (event.lost ?? 0), 0);
    expect(mine.length).toBeLessThan(runs);
    // Others may print too.
    expect(mine.length + lost).toBeGreaterThanOrEqual(runs);
    expect(mine.at(-1)?.text).toBe(`Hello, packet ${runs} of 64 bytes`);
  });

  test('tells who printed, where and when', async () => {
    using kernel = new LinuxKernel();
    const events: TraceEvent[] = [];
    await using collection = await load(readObject('examples/hello.bpf.o'), kernel);
    {
      using _ = await kernel.trace((event) => events.push(event));
      await collection.program('hello').run({ data });
    }
    const [event] = events.filter(ours);
    const cpus = await kernel.possibleCpus();
    expect(event?.task).not.toBe('');
    expect(event?.cpu).toBeLessThan(cpus);
    expect(event?.timestamp).toBeGreaterThan(0n);
  });

  test('leaves no trace buffer behind', async () => {
    const buffers = () =>
      readdirSync(`${tracefs()}/instances`).filter((name) => name.startsWith(`skep-${process.pid}-`));
    {
      using kernel = new LinuxKernel();
      using _ = await kernel.trace(() => {});
      expect(buffers()).toHaveLength(1);
    }
    expect(buffers()).toEqual([]);
  });
});
