// Which program may call which helper: the table against a recording and against the kernel of this machine.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { helperNames } from '../../src/bpf/helpers.js';
import { helpersFor, optionalHelpers } from '../../src/kernel/verifier/tables/helper-availability.js';
import { missingKernel, needs } from '../require.js';
import { btfCases, type LoadCase, plainCases } from './cases.js';
import { observeHelpers } from './observe.js';

interface Recording {
  kernel: string;
  cases: (LoadCase & { helpers: number[] })[];
}

const recording = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'goldens/helper-availability.json'), 'utf8'),
) as Recording;

const sorted = (names: Iterable<string>) =>
  [...names].sort((a, b) => helperNames.indexOf(a) - helperNames.indexOf(b));

/** What the table says, without optional helpers that this kernel does not have. */
const expected = (one: LoadCase, observed: readonly string[]) =>
  sorted([...helpersFor(one.type, one)].filter((name) => !optionalHelpers[name] || observed.includes(name)));

describe(`the recording of Linux ${recording.kernel}`, () => {
  test.each(recording.cases)('$label', (one) => {
    const names = one.helpers.map((id) => helperNames[id] ?? '');
    expect(expected(one, names)).toEqual(names);
  });
});

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each([...plainCases, ...btfCases()])('$label', (one) => {
    const observed = observeHelpers(one);
    expect(observed.length).toBeLessThan(211);
    expect(expected(one, observed)).toEqual(observed);
  });
});
