// The emulated kernel and that of this machine agree on every example and on every object among the fixtures.

import { readdirSync } from 'node:fs';
import { release } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ProgType } from '../../src/bpf/types.js';
import { type CompareOptions, compare, type Difference } from '../../src/compare/index.js';
import type { CollectionSpec } from '../../src/elf/index.js';
import { missingKernel, needs } from '../require.js';
import { bothKernels, readObject, root, traffic } from './kernels.js';

interface Example extends CompareOptions {
  object: string;
  program: string;
}

const examples: readonly Example[] = [
  { object: 'hello.bpf.o', program: 'hello' },
  { object: 'firewall.bpf.o', program: 'firewall' },
  { object: 'firewall.bpf.o', program: 'firewall', variables: { blocked_port: 443, log_limit: 1000 } },
  {
    object: 'firewall.bpf.o',
    program: 'firewall',
    maps: {
      blocked_ports: [443, 53, 8080].flatMap((number) =>
        [6, 17].map((protocol) => [{ number, protocol }, 1] as const),
      ),
    },
  },
  // No tokens come back: the clocks differ.
  {
    object: 'ratelimit.bpf.o',
    program: 'ratelimit',
    variables: { packets_per_second: 0 },
    expected: [{ what: 'map', map: 'buckets', bytes: [8, 16], reason: 'refilled_at is the time' }],
  },
  { object: 'loadbalancer.bpf.o', program: 'loadbalancer' },
  { object: 'loadbalancer.bpf.o', program: 'loadbalancer_tunnel' },
];

const PACKETS = 2477;

/** Big-endian objects, and those that the object reader or the loader refuses before any kernel sees them. */
const UNREAD = /\.eb|^(pointers|static-program|early)\./;
/** Programs that the loader refuses before any kernel sees them. */
const UNLOADED = new Set(['bare', 'old', 'older', 'unknown', 'single']);

/** What the emulated kernel does not have yet: the only difference that such a program may show. */
const GAPS: readonly RegExp[] = [
  /program type \w+ is not available in the emulated kernel yet$/,
  /map type \w+ is not available in the emulated kernel yet$/,
  /helper \w+#\d+ is not available in this emulated kernel yet$/,
  /ld_imm64 with src_reg 3 is not supported by the emulated kernel yet$/,
  /kernel function \w+ is not available in this emulated kernel yet$/,
];

const folders = ['test/elf/objects', 'test/compare/objects', 'test/cli/fixtures', 'bench/programs'];
const objects = folders.flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.bpf.o') && !UNREAD.test(name))
    .map((name) => `${folder}/${name}`),
);
const cases = objects.flatMap((object) => {
  const spec = readObject(object);
  return spec.programs
    .filter(({ name }) => !UNLOADED.has(name))
    .map(({ name, type }) => ({ object, name, type, spec }));
});

/** The program, and those that slots of maps name: they are loaded together. */
const together = (spec: CollectionSpec, name: string): string[] => [
  ...new Set([
    name,
    ...spec.maps.flatMap(({ initialSlots = [] }) =>
      initialSlots.filter(({ kind }) => kind === 'program').map((slot) => slot.name),
    ),
  ]),
];

/** What a machine may refuse to everybody, by a policy of its own. */
const FORBIDDEN = /Operation not permitted \(EPERM\)/;
const guarded: ReadonlySet<ProgType> = new Set([ProgType.Tracing, ProgType.Lsm, ProgType.Ext]);

/** A difference that comes from what the emulated kernel does not have yet, or from what this machine does not allow. */
const isGap = (difference: Difference, type: ProgType): boolean =>
  difference.what === 'load' &&
  (GAPS.some((gap) => gap.test(String(difference.left))) ||
    (guarded.has(type) && FORBIDDEN.test(String(difference.right))));

needs('the emulated kernel and Linux', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(examples)('agree on $object, $program, on the whole capture', async (example) => {
    const { object, program, ...options } = example;
    using both = await bothKernels();
    const result = await compare(readObject(`examples/${object}`), both.emulated, both.linux, {
      program,
      ...options,
      inputs: await traffic(),
    });
    const { differences, inputs, runs, notRun, notCompared } = result;
    expect({ differences, inputs, runs, notRun, notCompared }).toEqual({
      differences: [],
      inputs: PACKETS,
      runs: PACKETS,
      notRun: [],
      notCompared: [],
    });
    for (const { count } of result.expected) expect(count).toBeGreaterThan(0);
  });

  test('agree on metadata before a packet, and on repeated runs', async () => {
    using both = await bothKernels();
    const data = Uint8Array.from({ length: 200 }, (_, i) => i);
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex.
    const inputs = [0, 4, 32, 252, 256].flatMap((meta) =>
      [0, 1].map((device) => ({
        data,
        ctx: new Uint8Array(Uint32Array.of(meta, data.length, 0, device, 0, 0).buffer),
        repeat: 3,
      })),
    );
    const spec = readObject('examples/firewall.bpf.o');
    const { differences, runs, notRun } = await compare(spec, both.emulated, both.linux, { inputs });
    expect(differences).toEqual([]);
    expect(runs).toBeGreaterThanOrEqual(6);
    expect(runs + notRun.reduce((sum, { count }) => sum + count, 0)).toBe(inputs.length);
  });

  test('agree on every record that a program sends', async () => {
    using both = await bothKernels();
    const spec = readObject('test/compare/objects/records.bpf.o');
    const result = await compare(spec, both.emulated, both.linux, { inputs: await traffic() });
    expect(result.differences).toEqual([]);
    expect(result.notCompared).toEqual([]);
    // One in four is discarded.
    const discarded = Math.ceil(PACKETS / 4);
    expect(Object.fromEntries(result.maps.map(({ name, elements }) => [name, elements]))).toEqual({
      '.bss': 1,
      reserved: PACKETS - discarded,
      copied: PACKETS,
      samples: PACKETS,
    });
    // Only what Linux pads differs.
    expect(result.expected.map(({ expected }) => expected.reason)).toEqual([
      expect.stringContaining('padding'),
    ]);
  });

  // Which kernel it is, and where its symbols are, is rightly another answer.
  const sameFacts = { kernelVersion: release(), kconfig: '', symbols: new Map<string, bigint>() };

  test.each(cases)('agree on $object, $name', async ({ name, type, spec }) => {
    using both = await bothKernels();
    const inputs = type === ProgType.Xdp ? (await traffic()).slice(0, 100) : [];
    const { differences, load, runs, notRun } = await compare(spec, both.emulated, both.linux, {
      ...sameFacts,
      programs: together(spec, name),
      program: name,
      inputs,
    });
    expect(differences.filter((difference) => !isGap(difference, type))).toEqual([]);
    if (!load.left.accepted || !load.right.accepted) return;
    expect(runs + (notRun[0]?.count ?? 0)).toBe(inputs.length);
    // Programs of a devmap are not test-run.
    expect(notRun.map(({ reason }) => reason)).toEqual(
      name === 'delta' ? ['both kernels refuse it: EINVAL'] : [],
    );
  });
});
