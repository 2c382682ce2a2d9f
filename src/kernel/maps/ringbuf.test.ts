// Laws of ring buffers: any sequence of commands gives what a list of records gives, with Linux's rule of what fits.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MapType } from '../../bpf/types.js';
import { KernelMemory } from '../memory/memory.js';
import { KernelMap, putRecord, takeRecords } from './index.js';

const SIZE = 4096;
const memory = new KernelMemory({ callHost() {}, now: () => 0 });

/** What the helpers of programs do. */
const program = memory.runtime as unknown as {
  bpf_ringbuf_reserve(cpu: number, map: bigint, size: bigint, flags: bigint): bigint;
  bpf_ringbuf_submit(cpu: number, record: bigint, flags: bigint): bigint;
  bpf_ringbuf_discard(cpu: number, record: bigint, flags: bigint): bigint;
};

const ring = (type: MapType): KernelMap =>
  new KernelMap(memory, 1, { type, keySize: 0, valueSize: 0, maxEntries: SIZE }, 1);

const taken = (size: number): number => Math.ceil((size + 8) / 8) * 8;

interface Entry {
  readonly bytes: Uint8Array;
  readonly address: bigint;
  state: 'reserved' | 'submitted' | 'discarded';
}

interface Model {
  /** Not yet behind the reader; all behind a reserved one wait for it. */
  entries: Entry[];
  made: number;
}

type Step = fc.Command<Model, KernelMap>;
const always = () => true;
const used = ({ entries }: Model): number => entries.reduce((sum, { bytes }) => sum + taken(bytes.length), 0);

const reserve = (size: number): Step => ({
  check: always,
  run(model, map) {
    const record = program.bpf_ringbuf_reserve(0, BigInt(map.address), BigInt(size), 0n);
    // One byte always stays free.
    const fits = used(model) + taken(size) < SIZE;
    expect(record !== 0n).toBe(fits);
    if (!fits) return;
    const bytes = new Uint8Array(size).fill(++model.made);
    memory.write(Number(BigInt.asUintN(32, record)), bytes);
    model.entries.push({ bytes, address: record, state: 'reserved' });
  },
  toString: () => `reserve(${size})`,
});

const commit = (which: number, discard: boolean): Step => ({
  check: ({ entries }) => entries.some(({ state }) => state === 'reserved'),
  run(model) {
    const open = model.entries.filter(({ state }) => state === 'reserved');
    const entry = open[which % open.length] as Entry;
    program[discard ? 'bpf_ringbuf_discard' : 'bpf_ringbuf_submit'](0, entry.address, 0n);
    entry.state = discard ? 'discarded' : 'submitted';
  },
  toString: () => `${discard ? 'discard' : 'submit'}(${which})`,
});

const take: Step = {
  check: always,
  run(model, map) {
    const open = model.entries.findIndex(({ state }) => state === 'reserved');
    const done = model.entries.splice(0, open < 0 ? model.entries.length : open);
    const wanted = done.filter(({ state }) => state === 'submitted').map(({ bytes }) => bytes);
    expect(takeRecords(memory, map.address)).toEqual(wanted);
  },
  toString: () => 'take',
};

const sizes = fc.oneof(fc.nat(64), fc.nat(1500), fc.integer({ min: 4070, max: 4100 }));

describe('a ring buffer', () => {
  test('gives each record once, whole, and in the order of reservation', () => {
    const steps = fc.commands(
      [
        sizes.map(reserve),
        fc.tuple(fc.nat(9), fc.boolean()).map((args) => commit(...args)),
        fc.constant(take),
      ],
      { maxCommands: 200 },
    );
    fc.assert(
      fc.property(steps, (commands) => {
        const map = ring(MapType.Ringbuf);
        try {
          fc.modelRun(() => ({ model: { entries: [], made: 0 }, real: map }), commands);
        } finally {
          map.destroy();
        }
      }),
      { numRuns: 200 },
    );
  });

  test('of user space is filled to the last byte, and no further', () => {
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 40 }), (all) => {
        const map = ring(MapType.UserRingbuf);
        let free = SIZE;
        for (const size of all) {
          const length = taken(size);
          const want = length > SIZE ? -7 : length > free ? -28 : 0;
          expect(putRecord(memory, map.address, new Uint8Array(size))).toBe(want);
          if (want === 0) free -= length;
        }
        map.destroy();
      }),
      { numRuns: 50 },
    );
  });

  test('gives its memory back', () => {
    const small = new KernelMemory({ callHost() {}, now: () => 0 }, 4 * 1024 * 1024);
    const attr = { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 1 << 20 } as const;
    for (let n = 1; n < 50; n++) new KernelMap(small, n, attr, 1).destroy();
    expect(() => new KernelMap(small, 50, { ...attr, maxEntries: 1 << 21 }, 1)).toThrow('ENOMEM');
    expect(small.memory.buffer.byteLength).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});
