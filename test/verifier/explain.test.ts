// The explanations: every row of the table is reached by its message, and logs give the way and the origin.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { lineOf } from '../../src/cli/explanation-text.js';
import { parseObject } from '../../src/elf/object.js';
import { entries, explain } from '../../src/kernel/verifier/explain/index.js';
import { errorsPage } from '../../src/kernel/verifier/explain/page.js';
import { describeValue } from '../../src/kernel/verifier/explain/values.js';
import { VerifyingKernel } from '../../src/kernel/verifying.js';
import { load } from '../../src/loader/load.js';

const root = path.resolve(import.meta.dirname, '../..');

test.each(entries.map((entry) => [entry.example, entry] as const))('%s', (example, entry) => {
  // No row before it takes its message.
  expect(entries.find(({ pattern }) => pattern.test(example))).toBe(entry);
  const { title, required, found, mend, message } = explain(
    `0: R1=ctx() R10=fp0\n0: (95) exit\n${example}\n`,
  );
  expect(message).toBe(example);
  // Every name in braces is one that the pattern gives, in each of its alternatives.
  const names = `${entry.title}${entry.required}${entry.found ?? ''}${entry.mend}`.match(/\{\w+\}/g) ?? [];
  for (const name of names.map((braced) => braced.slice(1, -1))) {
    if (name !== 'was') expect(entry.pattern.source).toContain(`(?<${name}>`);
  }
  for (const words of [title, required, found, mend]) {
    expect(words).not.toBe('');
    expect(words).not.toMatch(/[{}]\w+[{}]|undefined/);
  }
});

test('the documentation has every message', () => {
  expect(readFileSync(path.join(root, 'docs/verifier-errors.md'), 'utf8')).toBe(errorsPage(entries));
});

/** Why a program of the object with programs that are refused is. */
async function explained(program: string, logLevel: number) {
  const spec = parseObject(readFileSync(path.join(root, 'test/cli/fixtures/rejected.bpf.o')), {
    name: 'rejected',
  });
  const kernel = new VerifyingKernel({ logLevel });
  await load(spec, kernel, { name: 'rejected', programs: [program] });
  const found = spec.programs.find(({ name }) => name === program);
  return explain(kernel.verdicts[0]?.log ?? '', found && lineOf(found));
}

// The path is the same whether the log has it alone or every path.
describe.each([1, 2])('a log of level %i', (level) => {
  test('gives the place, the way there and where the value came from', async () => {
    const found = await explained('nullable', level);
    expect(found.at?.line).toEqual({
      file: './rejected.bpf.c',
      line: 32,
      column: 10,
      text: '  *value += 1;',
    });
    expect(found.branches.map(({ line, next, taken }) => [line?.line, next?.line, taken])).toEqual([
      [30, 32, false],
    ]);
    expect(found.origin.map(({ line }) => line?.line)).toEqual([29]);
    expect(found.origin[0]?.words).toMatch(/^bpf_map_lookup_elem\(\) returned it: NULL or/);
    expect(found.found).toContain("NULL or a pointer to a value of map 'counts'");
  });

  test('gives the branches of the path that is refused, not of those before it', async () => {
    const found = await explained('unreleased', level);
    expect(found.title).toBe('what was acquired is not released on this path');
    expect(found.branches.map(({ line, next }) => [line?.line, next?.line])).toEqual([
      [47, 49],
      [50, 54],
    ]);
    expect(found.origin.map(({ line, words }) => [line?.line, words])).toEqual([
      [46, 'it was acquired here'],
    ]);
  });
});

test('what nothing is known of is told in the words of the verifier', () => {
  const { message, title, at } = explain(
    '0: (95) exit\nsomething quite new\nprocessed 1 insns (limit 1000000)\n',
  );
  expect([message, title, at?.slot]).toEqual(['something quite new', 'the verifier refuses the program', 0]);
  expect(explain('').message).toBe('');
});

test.each([
  ['scalar()', 'any number: nothing is known of it'],
  ['Pscalar(smin=0,smax=umax=255,var_off=(0x0; 0xff))', 'a number from 0 to 255'],
  ['scalar(smin=0xffffffffffffff80,smax=127)', 'a number from -128 to 127'],
  ['7', 'the number 7'],
  ['ctx()', 'the context'],
  ['fp-16', 'an address on the stack, 16 bytes below its top'],
  ['pkt(off=14,r=34)', 'a pointer 14 bytes into the packet, which is known to have 34 bytes'],
  ['map_value(map=counts,ks=4,vs=8,off=4)', "a pointer into a value of map 'counts' (8 bytes)"],
  ['trusted_ptr_task_struct()', 'a pointer to a task_struct of the kernel (trusted)'],
  [undefined, 'nothing: it was never set, or a call took it'],
])('%s in plain words', (known, words) => expect(describeValue(known)).toBe(words));
