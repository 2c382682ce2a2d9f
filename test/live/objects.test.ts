// The same objects and inputs in the emulated kernel and in the one of this machine: the same return value, the same
// packet, the same maps. Time is the one input that cannot be the same: the rate limiter runs with no tokens coming
// back and the times that it notes are left out of the comparison.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { PacketBatchResult } from '../../src/bpf/bpf.js';
import type { CollectionSpec } from '../../src/elf/index.js';
import { setVariable } from '../../src/loader/index.js';
import { missingKernel, needs } from '../require.js';
import { capture, contents, loadBoth, onFirstCpu } from './live.js';

interface BenchProgram {
  name: string;
  object: string;
  program: string;
  packet: string;
  returns: number;
}

const folder = path.join(import.meta.dirname, '../../bench/programs');
const { programs } = JSON.parse(readFileSync(path.join(folder, 'programs.json'), 'utf8')) as {
  programs: BenchProgram[];
};
const { packets } = (await import(new URL('../../bench/programs/packets.mjs', import.meta.url).href)) as {
  packets: Record<string, Uint8Array>;
};

const engines = ['jit', 'interpreter'] as const;

interface Example {
  object: string;
  program: string;
  change?: (spec: CollectionSpec) => void;
  mask?: Record<string, readonly [number, number]>;
}

const examples: readonly Example[] = [
  { object: 'hello.bpf.o', program: 'hello' },
  { object: 'firewall.bpf.o', program: 'firewall' },
  {
    object: 'firewall.bpf.o',
    program: 'firewall',
    change: (spec) => setVariable(spec, 'blocked_port', 443),
  },
  {
    object: 'ratelimit.bpf.o',
    program: 'ratelimit',
    change: (spec) => setVariable(spec, 'packets_per_second', 0),
    // bucket.refilled_at
    mask: { buckets: [8, 16] },
  },
  { object: 'loadbalancer.bpf.o', program: 'loadbalancer' },
  { object: 'loadbalancer.bpf.o', program: 'loadbalancer_tunnel' },
];

/** The packets afterwards, one string each, so that a difference names the packet. */
const each = ({ data, offsets, retvals, faults }: PacketBatchResult): string[] =>
  Array.from(retvals, (retval, i) => {
    const packet = Buffer.from(data?.subarray(offsets?.[i], offsets?.[i + 1]) ?? []).toString('hex');
    return faults.some(({ index }) => index === i) ? `fault ${packet}` : `${retval} ${packet}`;
  });

needs('the live kernel and the emulated one', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(engines.flatMap((engine) => programs.map((program) => ({ ...program, engine }))))(
    'agree on the benchmark program $name ($engine)',
    async ({ object, program, packet, returns, engine }) => {
      using _ = onFirstCpu();
      await using both = await loadBoth(`bench/programs/${object}`, engine);
      const data = packets[packet];
      if (!data) throw new Error(`there is no packet ${packet}`);
      // Twice in one call and once more: a program that changes the packet or a map goes on from there.
      for (const repeat of [1, 2, 1]) {
        const linux = await both.linux.program(program).run({ data, repeat });
        const emulated = await both.emulated.program(program).run({ data, repeat });
        expect(emulated.retval).toBe(linux.retval);
        expect(Buffer.from(emulated.dataOut).equals(linux.dataOut)).toBe(true);
        if (repeat === 1) expect(linux.retval).toBe(returns);
      }
      expect(await contents(both.emulated)).toEqual(await contents(both.linux));
    },
  );

  test.each(engines.flatMap((engine) => examples.map((example) => ({ ...example, engine }))))(
    'agree on $object, $program, on every packet of the capture ($engine)',
    async ({ object, program, engine, change, mask }) => {
      using _ = onFirstCpu();
      // What BPF_PROG_TEST_RUN takes; each is run by both kernels.
      const traffic = await capture(({ length }) => length >= 14 && length <= 3520);
      expect(traffic.count).toBeGreaterThan(2000);
      await using both = await loadBoth(`examples/${object}`, engine, change);
      const batch = { ...traffic, wantData: true };
      const linux = await both.linux.program(program).runBatch(batch);
      const emulated = await both.emulated.program(program).runBatch(batch);
      expect(linux.faults).toEqual([]);
      expect(emulated.faults).toEqual([]);
      expect(each(emulated)).toEqual(each(linux));
      expect(await contents(both.emulated, mask)).toEqual(await contents(both.linux, mask));
    },
  );

  test('agree on what an object is once it is loaded: tags, maps, frozen constants', async () => {
    const objects = [...new Set([...examples.map(({ object }) => `examples/${object}`)])];
    objects.push(...programs.map(({ object }) => `bench/programs/${object}`));
    for (const object of objects) {
      await using both = await loadBoth(object, 'jit');
      for (const [name, program] of both.linux.programs) {
        const { tag, type, name: known, gplCompatible, mapIds } = await program.info();
        const emulated = await both.emulated.program(name).info();
        expect({ object, name, tag: emulated.tag, type: emulated.type }).toEqual({ object, name, tag, type });
        expect([emulated.name, emulated.gplCompatible]).toEqual([known, gplCompatible]);
        expect(emulated.mapIds.length, `${object} ${name}: maps`).toBe(mapIds.length);
      }
      for (const [name, map] of both.linux.maps) {
        const { id, btfId, memlock, ...linux } = await map.info();
        const { id: _id, btfId: _btf, memlock: _memlock, ...emulated } = await both.emulated.map(name).info();
        expect({ object, ...emulated }).toEqual({ object, ...linux });
        expect(linux.frozen, `${object} ${name}`).toBe(map.spec.section?.kind === 'rodata');
        expect(btfId > 0).toBe(_btf > 0);
        expect(id > 0 && _id > 0 && memlock > 0 && _memlock > 0).toBe(true);
      }
    }
  });
});
