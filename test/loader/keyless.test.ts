// Maps without keys, as a loaded collection gives them.

import { expect, test } from 'vitest';
import { MapType, UpdateFlag } from '../../src/bpf/types.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LoadedMap } from '../../src/loader/map.js';

async function open(type: MapType, maxEntries: number): Promise<LoadedMap> {
  const kernel = new EmulatedKernel();
  const shape = { type, keySize: 0, valueSize: 2, maxEntries };
  const fd = await kernel.mapCreate(shape);
  const spec = { ...shape, name: 'some', flags: 0, mapExtra: 0, pinning: 0, keyTypeId: 0, valueTypeId: 0 };
  return new LoadedMap(kernel, spec, fd, undefined, 1);
}

const two = (value: number): Uint8Array => Uint8Array.of(value, value + 1);

test('a queue gives back what was pushed, oldest first', async () => {
  const map = await open(MapType.Queue, 2);
  expect([await map.peek(), await map.pop()]).toEqual([undefined, undefined]);
  await map.push(two(1));
  await map.push(two(2));
  await expect(map.push(two(3))).rejects.toThrow('E2BIG');
  await map.push(two(3), UpdateFlag.Exist);
  expect([await map.peek(), await map.pop(), await map.pop(), await map.pop()]).toEqual([
    two(2),
    two(2),
    two(3),
    undefined,
  ]);
});

test('a stack gives back what was pushed, newest first', async () => {
  const map = await open(MapType.Stack, 3);
  for (const value of [1, 2, 3]) await map.push(two(value));
  expect([await map.peek(), await map.pop(), await map.pop(), await map.pop()]).toEqual(
    [3, 3, 2, 1].map(two),
  );
});

test('a Bloom filter has what was pushed, and little else', async () => {
  const map = await open(MapType.BloomFilter, 50);
  for (let value = 0; value < 50; value++) await map.push(two(value));
  const has: boolean[] = [];
  for (let value = 0; value < 200; value++) has.push(await map.mayHave(two(value)));
  expect(has.slice(0, 50)).not.toContain(false);
  expect(has.slice(50).filter(Boolean).length).toBeLessThan(30);
});
