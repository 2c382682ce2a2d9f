// Tail calls: chains of programs give the same on both engines as in a model of a few lines, and every program knows
// its own maps.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Fd } from '../../src/bpf/bpf.js';
import { MapType } from '../../src/bpf/types.js';
import { ENGINES, kernels, load, MASK, PACKET, pointer, RUNS, u32 } from './programs.js';

/** A tail call to a slot of the program array, in the program itself or in a subprogram of it. */
interface Attempt {
  readonly slot: number;
  readonly inSubprogram: boolean;
}

const PROGRAMS = 4;
/** Slots 0 to 3 hold the programs, 4 is empty, 5 is out of range. */
const SLOTS = 5;
const MAX_TAIL_CALLS = 33;

/**
 * A program of the chain. It counts its runs in a map of its own (index `id + 1`), also after its calls have come
 * back: then it must be the running program again, whatever ran in between.
 */
function chained(id: number, attempts: readonly Attempt[]): string {
  const count = (label: string, by: number): string[] => [
    '*(u32 *)(r10 - 4) = 0',
    ...pointer('r2', 4),
    `r1 = map ${id + 1}`,
    ...(by === 1 ? [] : ['r1 ^= 0']),
    'call 1',
    `if r0 == 0 goto ${label}`,
    'r1 = *(u64 *)(r0 + 0)',
    `r1 += ${by}`,
    '*(u64 *)(r0 + 0) = r1',
    `${label}:`,
  ];
  const main = attempts.flatMap(({ slot, inSubprogram }, i) =>
    inSubprogram
      ? ['r1 = r6', `r2 = ${slot}`, 'call sub', 'r9 *= 3', 'r9 += r0', ...count(`after_${i}`, 1000)]
      : ['r1 = r6', 'r2 = map 0', `r3 = ${slot}`, 'call 12', 'r9 += 5'],
  );
  return [
    'r6 = r1',
    `r9 = ${id + 1}`,
    ...count('counted', 1),
    ...main,
    'r0 = r9',
    'exit',
    ...(attempts.some((a) => a.inSubprogram)
      ? ['sub:', 'r3 = r2', 'r2 = map 0', 'call 12', 'r0 = 77', 'exit']
      : []),
  ].join('\n');
}

/** What the programs answer, and how their counters stand. */
function follow(programs: readonly (readonly Attempt[])[]): { retval: number; counts: number[] } {
  const counts = programs.map(() => 0);
  let calls = 0;
  const take = (slot: number): boolean => slot < programs.length && calls < MAX_TAIL_CALLS && ++calls > 0;
  const run = (id: number): bigint => {
    const add = (by: number) => {
      counts[id] = (counts[id] ?? 0) + by;
    };
    add(1);
    let r9 = BigInt(id + 1);
    for (const { slot, inSubprogram } of programs[id] ?? []) {
      if (inSubprogram) {
        r9 = (r9 * 3n + (take(slot) ? run(slot) : 77n)) & MASK;
        add(1000);
      } else {
        if (take(slot)) return run(slot);
        r9 += 5n;
      }
    }
    return r9 & MASK;
  };
  return { retval: Number(run(0) & 0xffffffffn), counts };
}

/** Runs the programs on all engines and compares with the model. */
async function compareChain(programs: readonly (readonly Attempt[])[]): Promise<void> {
  const expected = follow(programs);
  for (const [i, kernel] of kernels.entries()) {
    const fds = [
      await kernel.mapCreate({ type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: SLOTS }),
    ];
    for (let id = 0; id < programs.length; id++) {
      fds.push(await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1 }));
    }
    const loaded: Fd[] = [];
    const texts = programs.map((attempts, id) => chained(id, attempts));
    for (const [id, text] of texts.entries()) {
      const prog = await load(kernel, text, fds);
      loaded.push(prog);
      await kernel.mapUpdateElem(fds[0] ?? -1, u32(id), u32(prog));
    }
    const note = `${ENGINES[i]}\n${texts.join('\n\n')}`;
    const { retval } = await kernel
      .progTestRun(loaded[0] ?? -1, { dataIn: new Uint8Array(PACKET) })
      .catch((error) => {
        throw new Error(`${error}: ${note}`, { cause: error });
      });
    const counts: number[] = [];
    for (let id = 0; id < programs.length; id++) {
      const value = await kernel.mapLookupElem(fds[id + 1] ?? -1, u32(0));
      counts.push(new DataView(value.buffer, value.byteOffset).getUint32(0, true));
    }
    expect({ retval, counts }, note).toEqual(expected);
    for (let id = 0; id < programs.length; id++) await kernel.mapDeleteElem(fds[0] ?? -1, u32(id));
    for (const fd of [...loaded, ...fds]) await kernel.close(fd);
  }
}

describe('tail calls', () => {
  const to = (slot: number, inSubprogram = false): Attempt => ({ slot, inSubprogram });

  test.each([
    ['a program that calls itself, to the limit', [[to(0)]]],
    ['two that call each other, to the limit', [[to(1)], [to(0)]]],
    ['an empty slot, then one out of range', [[to(4), to(5), to(200)]]],
    ['from a subprogram, which comes back with its answer', [[to(1, true)], []]],
    ['from subprograms, to the limit', [[to(0, true)]]],
    ['from a subprogram into a chain', [[to(1, true), to(2)], [to(2)], [to(4), to(3, true)], []]],
  ] as const)('%s', async (_, programs) => {
    await compareChain(programs);
  });

  test(`${Math.ceil(RUNS / 4)} random chains give what the model says`, { timeout: 600_000 }, async () => {
    const attempt = fc.record({ slot: fc.constantFrom(0, 1, 2, 3, 3, 4, 5), inSubprogram: fc.boolean() });
    const program = fc.array(attempt, { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.array(program, { minLength: PROGRAMS, maxLength: PROGRAMS }), compareChain),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });
});
