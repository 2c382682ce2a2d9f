// What the interpreter has in its registers is in what the verifier claimed, instruction by instruction.
// `node scripts/differential.mjs --soundness` goes on for as long as one likes.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseObject } from '../../src/elf/index.js';
import { readPackets } from '../../src/pcap/index.js';
import { objectSoundness, randomSoundness, xdpSoundness } from './soundness-run.js';

async function capture(most: number) {
  for await (const { count, data, offsets } of readPackets([readFileSync('examples/traffic.pcapng')])) {
    const taken = Math.min(count, most);
    return { count: taken, data: data.slice(0, offsets[taken]), offsets: offsets.slice(0, taken + 1) };
  }
  throw new Error('the capture is empty');
}

test('of random programs', async () => {
  const { run, steps, violations } = await randomSoundness(Date.now() & 0x7fff_ffff, 300);
  expect(violations).toEqual([]);
  expect(run).toBeGreaterThan(50);
  expect(steps).toBeGreaterThan(run);
}, 60_000);

test('of programs that are accepted by construction', async () => {
  const { run, steps, violations } = await xdpSoundness(Date.now() & 0x7fff_ffff, 20);
  expect(violations).toEqual([]);
  expect(run).toBeGreaterThan(2);
  expect(steps).toBeGreaterThan(run);
}, 60_000);

describe('of objects', () => {
  const files = ['examples', 'bench/programs'].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.bpf.o'))
      .map((file) => `${folder}/${file}`),
  );
  test.each(files)(
    '%s',
    async (file) => {
      const spec = parseObject(readFileSync(file), { name: file });
      const { violations } = await objectSoundness(spec, await capture(8));
      expect(violations).toEqual([]);
    },
    60_000,
  );
});
