// Reading what programs send, through a collection: records arrive once and in order, whoever waits is woken as Linux
// wakes it, and whoever stops waiting gets out. On both kernels, where there are two.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Bpf } from '../../src/bpf/bpf.js';
import { MapType } from '../../src/bpf/types.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import { assemble } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { type Collection, load } from '../../src/loader/index.js';
import { onFirstCpu } from '../live/live.js';
import { KernelNextDoor } from '../remote/pair.js';
import { missingKernel, needs } from '../require.js';

const file = path.join(import.meta.dirname, '../compare/objects/maps.bpf.o');

/** An object whose program sends four bytes of its packet, at `flags`, to the ring buffer `rb` or the perf events `pea`. */
function sender(flags: number): CollectionSpec {
  const spec = parseObject(readFileSync(file), { name: 'maps' });
  const touch = spec.programs.find(({ name }) => name === 'touch');
  if (!touch) throw new Error('the object has no program touch');
  const program = (name: string, map: string, text: string, slot: number) => {
    const instructions = assemble(text);
    const references = [{ kind: 'map' as const, slot, map }];
    return { ...touch, name, instructions, references, functions: [], lines: [], relocations: [] };
  };
  const data = 'r6 = r1\n r2 = *(u32 *)(r1 + 0)\n r3 = *(u32 *)(r1 + 4)\n r4 = r2\n r4 += 4\n r0 = 0';
  const copied = `${data}\n if r4 > r3 goto end\n r1 = *(u32 *)(r2 + 0)\n *(u32 *)(r10 - 4) = r1`;
  const ring = `${copied}\n r1 = 0 ll\n r2 = r10\n r2 += -4\n r3 = 4\n r4 = ${flags}\n call 130\nend:\n exit`;
  const perf = `${copied}\n r1 = r6\n r2 = 0 ll\n r3 = 0xffffffff ll\n r4 = r10\n r4 += -4\n r5 = 4\n call 25\nend:\n exit`;
  return { ...spec, programs: [program('ring', 'rb', ring, 9), program('perf', 'pea', perf, 10)] };
}

const packet = (n: number): Uint8Array => Uint8Array.of(n, ...new Array<number>(63).fill(0));
const numbers = (records: readonly Uint8Array[]): (number | undefined)[] => records.map(([first]) => first);

function readers(open: () => { kernel: Bpf } & Disposable): void {
  const loaded = async (flags: number, body: (collection: Collection, kernel: Bpf) => Promise<void>) => {
    using opened = open();
    await using collection = await load(sender(flags), opened.kernel);
    await body(collection, opened.kernel);
  };
  const send = async (collection: Collection, ...values: number[]) => {
    for (const value of values) await collection.program('ring').run({ data: packet(value) });
  };

  test('records come once and in order', async () => {
    await loaded(0, async (collection) => {
      const ring = collection.ringbuf('rb');
      await send(collection, 1, 2, 3);
      expect(numbers(await ring.consume())).toEqual([1, 2, 3]);
      expect(await ring.consume()).toEqual([]);
      await send(collection, 4);
      expect(numbers(await ring.consume())).toEqual([4]);
    });
  });

  test('a loop gets what was there and what comes', async () => {
    await loaded(0, async (collection) => {
      await send(collection, 1, 2);
      const seen: number[] = [];
      for await (const [first = -1] of collection.ringbuf('rb')) {
        seen.push(first);
        // The next is sent while the loop waits.
        if (first >= 2 && first < 5) setTimeout(() => void send(collection, first + 1), 5);
        if (first === 5) break;
      }
      expect(seen).toEqual([1, 2, 3, 4, 5]);
    });
  });

  test('a loop ends when its signal is aborted', async () => {
    await loaded(0, async (collection) => {
      await send(collection, 1);
      const controller = new AbortController();
      const seen: number[] = [];
      for await (const [first = -1] of collection.ringbuf('rb').records(controller.signal)) {
        seen.push(first);
        setTimeout(() => controller.abort(), 5);
      }
      expect(seen).toEqual([1]);
    });
  });

  test.each([
    [0, 'ends'],
    [1, 'does not end'],
    [2, 'ends'],
  ])('a record that is submitted with flags %i %s a wait', async (flags, what) => {
    await loaded(flags, async (collection, kernel) => {
      const { fd } = collection.map('rb');
      const timeout = what === 'ends' ? 5000 : 600;
      const began = performance.now();
      const wait = kernel.poll([fd], timeout);
      // By then the wait has begun.
      setTimeout(() => void send(collection, 7), 200);
      expect(await wait).toEqual([fd]);
      expect(performance.now() - began < timeout - 20 ? 'ends' : 'does not end').toBe(what);
      expect(numbers(await collection.ringbuf('rb').consume())).toEqual([7]);
    });
  });

  test('samples of perf events come with their CPU; what found no room is counted', async () => {
    await loaded(0, async (collection) => {
      await using buffer = await collection.perfBuffer('pea', 4096);
      const run = async (value: number) =>
        (await collection.program('perf').run({ data: packet(value) })).retval | 0;
      expect(await run(1)).toBe(0);
      expect(await run(2)).toBe(0);
      const samples = await buffer.consume();
      expect(samples.map((sample) => ['data' in sample && sample.data[0], sample.cpu])).toEqual([
        [1, 0],
        [2, 0],
      ]);
      let full = 0;
      for (let n = 0; n < 300; n++) if ((await run(n & 0xff)) === -28) full++;
      expect(full).toBe(45);
      expect((await buffer.consume()).length).toBe(255);
      await run(9);
      expect(await buffer.consume()).toMatchObject([{ lost: 45, cpu: 0 }, { cpu: 0 }]);
      await buffer.close();
      expect(await run(9)).toBe(-2);
    });
  });

  test('a user ring buffer takes records until it is full', async () => {
    await loaded(0, async (collection) => {
      const ring = collection.userRingbuf('urb');
      for (let n = 0; n < 4; n++) expect(await ring.produce(new Uint8Array(1000))).toBe(true);
      expect(await ring.produce(new Uint8Array(1000))).toBe(false);
      await expect(ring.produce(new Uint8Array(5000))).rejects.toThrow('E2BIG');
    });
  });

  test('a map of another type is refused by name', async () => {
    await loaded(0, async (collection) => {
      expect(() => collection.ringbuf('urb')).toThrow("map 'urb'");
      expect(() => collection.userRingbuf('rb')).toThrow("map 'rb'");
      await expect(collection.perfBuffer('rb')).rejects.toThrow('not a perf_event_array');
      expect(collection.map('rb').spec.type).toBe(MapType.Ringbuf);
    });
  });
}

describe.each(['jit', 'interpreter'] as const)('in the emulated kernel, with the %s', (engine) => {
  readers(() => ({ kernel: new EmulatedKernel({ engine }), [Symbol.dispose]() {} }));
});

describe('in an emulated kernel elsewhere', async () => {
  const { remote } = await new KernelNextDoor().connect();
  readers(() => ({ kernel: remote.bpf, [Symbol.dispose]() {} }));
});

needs('on this kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  readers(() => {
    const cpu = onFirstCpu();
    const kernel = new LinuxKernel();
    return {
      kernel,
      [Symbol.dispose]() {
        kernel[Symbol.dispose]();
        cpu[Symbol.dispose]();
      },
    };
  });
});
