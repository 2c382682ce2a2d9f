// Damaged objects: a spec or a SkepError, soon, and nothing out of proportion. scripts/fuzz.mjs runs this for longer.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { SkepError } from '../../src/base/error.js';
import { parseObject } from '../../src/elf/index.js';
import { mutate, seededRandom } from '../fuzz/mutate.js';

const folder = path.join(import.meta.dirname, 'objects');
const inputs = readdirSync(folder).map((file) => new Uint8Array(readFileSync(path.join(folder, file))));

/** What a parse may take: milliseconds, and bytes of contents. Inputs have at most 8 KB. */
const SLOW = 1000;
const LARGE = 64 * 1024 * 1024;

test('an object with damaged bytes is read or refused, never worse', () => {
  const start = performance.now();
  const outcomes = { read: 0, refused: 0 };
  const messages = new Set<string>();
  let slowest = 0;
  for (let seed = 1; performance.now() - start < 2500; seed++) {
    const bytes = mutate(inputs, seededRandom(seed));
    const before = performance.now();
    try {
      const spec = parseObject(bytes);
      outcomes.read++;
      const size = spec.maps.reduce((sum, { section }) => sum + (section?.contents.length ?? 0), 0);
      expect(size, `seed ${seed}`).toBeLessThanOrEqual(LARGE + bytes.length);
      const slots = spec.programs.reduce((sum, { instructions }) => sum + instructions.length, 0);
      expect(slots, `seed ${seed}`).toBeLessThan(65_536 + 32 * bytes.length);
    } catch (error) {
      if (!(error instanceof SkepError)) throw new Error(`seed ${seed}`, { cause: error });
      outcomes.refused++;
      messages.add(error.message.replace(/\d+|'[^']*'/g, '#'));
    }
    slowest = Math.max(slowest, performance.now() - before);
  }
  expect(slowest).toBeLessThan(SLOW);
  // The mutations reach past the first checks, and some are harmless.
  expect(outcomes.read).toBeGreaterThan(50);
  expect(messages.size).toBeGreaterThan(30);
});
