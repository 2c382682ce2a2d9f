// One object with a map of nearly every type: loaded and run, its maps are the same in the emulated kernel as in
// Linux, byte for byte, and the program's record comes out of the ring buffer.

import { expect, test } from 'vitest';
import { BpfError } from '../../src/bpf/errno.js';
import { mapTypeName } from '../../src/bpf/types.js';
import type { Collection } from '../../src/loader/index.js';
import { loadBoth, onFirstCpu } from '../live/live.js';
import { missingKernel, needs } from '../require.js';

const object = 'test/compare/objects/maps.bpf.o';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Keys and values, or why there are none; the ids of programs and maps, which differ, as `id`. */
async function contents(collection: Collection, name: string): Promise<string[]> {
  const map = collection.map(name);
  const elements: string[] = [];
  const ids = ['prog_array', 'array_of_maps'].includes(mapTypeName(map.spec.type) ?? '');
  try {
    for await (const [key, value] of map.entriesBytes())
      elements.push(`${hex(key)} ${ids ? 'id' : hex(value)}`);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return [`errno ${error.errno}`];
  }
  return elements.toSorted();
}

/** What can be asked of every map. */
async function maps(collection: Collection): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const [name, map] of collection.maps) {
    const { id, btfId, ownerJited, ...info } = await map.info();
    all[name] = { info, typed: btfId !== 0, elements: await contents(collection, name) };
  }
  return all;
}

needs('an object with maps of nearly every type', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(['jit', 'interpreter'] as const)('is the same in both kernels, with the %s', async (engine) => {
    using _cpu = onFirstCpu();
    await using pair = await loadBoth(object, engine);
    const runs: Record<string, unknown>[] = [];
    for (const collection of [pair.linux, pair.emulated]) {
      const before = await maps(collection);
      const retvals: number[] = [];
      for (let n = 0; n < 3; n++) {
        retvals.push((await collection.program('touch').run({ data: new Uint8Array(64) })).retval);
      }
      const after = await maps(collection);
      runs.push({ before, retvals, after, records: (await collection.ringbuf('rb').consume()).map(hex) });
    }
    const [linux, emulated] = runs;
    expect(emulated).toEqual(linux);
    expect(linux?.retvals).toEqual([2, 2, 2]);
    // What the program writes: 0xdead, and the constant that is 42.
    expect(linux?.records).toEqual(Array(3).fill('adde00002a000000'));
  });

  test('the definition of a map of maps says what is in it', async () => {
    await using pair = await loadBoth(object, 'jit');
    for (const collection of [pair.linux, pair.emulated]) {
      const id = await collection.map('aom').getBytes(Uint8Array.of(1, 0, 0, 0));
      expect(id).toEqual(new Uint8Array(Uint32Array.of((await collection.map('in1').info()).id).buffer));
      expect(await collection.map('aom').getBytes(new Uint8Array(4))).toBeUndefined();
    }
  });
});
