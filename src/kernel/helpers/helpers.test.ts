// The table of helpers against what Linux says of them (test/kernel/record/helpers.py).

import { describe, expect, test } from 'vitest';
import golden from '../../../test/kernel/goldens/helpers.json' with { type: 'json' };
import { helperName, helperNames } from '../../bpf/helpers.js';
import { KernelMemory } from '../memory/memory.js';
import { helperById, helpers, missingHelper, packedArgs } from './index.js';

const { runtime } = new KernelMemory({ callHost() {}, now: () => 0 });

test(`helpers have the numbers and names of ${golden.kernel}`, () => {
  expect(golden.rows.map(({ id }) => helperName(id))).toEqual(golden.rows.map(({ name }) => name));
  expect(helperNames.length).toBe(golden.rows.length + 1);
  expect([helperName(0), helperName(golden.rows.length + 1)]).toEqual([undefined, undefined]);
});

describe('each helper', () => {
  for (const row of helpers) {
    test(`${row.name}: name and licence are those of Linux`, () => {
      const linux = golden.rows.find(({ id }) => id === row.id);
      expect({ name: row.name, gplOnly: row.gplOnly }).toEqual({
        name: linux?.name,
        gplOnly: linux?.gplOnly,
      });
    });

    if (row.runs === 'runtime') {
      test(`${row.name}: the runtime has it, with the CPU and as many arguments`, () => {
        const body = (runtime as Record<string, unknown>)[`bpf_${row.name}`];
        expect(body).toBeInstanceOf(Function);
        expect((body as (...args: never[]) => unknown).length).toBe(row.args.length + 1);
      });
    }
  }
});

test('helpers are found by number, and a missing one is named', () => {
  expect(helperById(28)?.name).toBe('csum_diff');
  expect(helperById(20)).toBeUndefined();
  expect(missingHelper(20)).toBe(
    'helper bpf_skb_get_tunnel_key#20 is not available in this emulated kernel yet',
  );
  expect(missingHelper(5000)).toBe('there is no helper number 5000');
});

test('argument kinds are packed 5 bits each', () => {
  const kinds = helpers.map((row) => [row.name, packedArgs(row).toString(16)]);
  expect(Object.fromEntries(kinds)).toMatchObject({
    map_lookup_elem: '62',
    map_update_elem: '1062',
    tail_call: '101',
    xdp_load_bytes: '1801',
    csum_diff: '1c07',
    ktime_get_ns: '0',
  });
});
