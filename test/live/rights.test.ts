// What users may do who are not root: the same commands in Linux, as such a user, and in the emulated kernel.

import { expect, test } from 'vitest';
import type { Bpf } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';

const NOBODY = 65534;
const SETTING = '/proc/sys/kernel/unprivileged_bpf_disabled';

async function said(step: Promise<unknown>): Promise<unknown> {
  try {
    await step;
    return 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const map = (kernel: Bpf, type: MapType) => {
  const ring = type === MapType.Ringbuf || type === MapType.UserRingbuf;
  const size = ring ? 0 : 4;
  return kernel.mapCreate({ type, keySize: size, valueSize: size, maxEntries: ring ? 4096 : 1 });
};

const prog = (kernel: Bpf, type: ProgType, insns = 2) => {
  const text = `${'r0 = 0\n'.repeat(insns - 1)}exit`;
  return kernel.progLoad({ type, instructions: encode(assemble(text)), license: 'GPL' });
};

const steps: Record<string, (kernel: Bpf) => Promise<unknown>> = {
  'an array': (kernel) => map(kernel, MapType.Array),
  'a hash': (kernel) => map(kernel, MapType.Hash),
  'a ring buffer': (kernel) => map(kernel, MapType.Ringbuf),
  'an LRU hash': (kernel) => map(kernel, MapType.LruHash),
  'a devmap': (kernel) => map(kernel, MapType.Devmap),
  'a socket filter': (kernel) => prog(kernel, ProgType.SocketFilter),
  'a long socket filter': (kernel) => prog(kernel, ProgType.SocketFilter, 4097),
  'a cgroup program': (kernel) => prog(kernel, ProgType.CgroupSkb),
  'an XDP program': (kernel) => prog(kernel, ProgType.Xdp),
  BTF: (kernel) => kernel.btfLoad(new Uint8Array(24)),
  'the ids of maps': (kernel) => kernel.mapGetNextId(0),
  'the ids of programs': (kernel) => kernel.progGetNextId(0),
  'the ids of BTF': (kernel) => kernel.btfGetNextId(0),
  'the ids of links': (kernel) => kernel.linkGetNextId(0),
  'a map by its id': (kernel) => kernel.mapGetFdById(1),
  'a program by its id': (kernel) => kernel.progGetFdById(1),
  'BTF by its id': (kernel) => kernel.btfGetFdById(1),
  'a link by its id': (kernel) => kernel.linkGetFdById(1),
  statistics: (kernel) => kernel.enableStats(0),
  'an XDP program on a device': (kernel) => kernel.xdpSet({ ifindex: 1, prog: null }),
};

async function answers(kernel: Bpf): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const [name, step] of Object.entries(steps)) found[name] = await said(step(kernel));
  return found;
}

test('where root lets them use BPF they may make what does no harm', async () => {
  const kernel = new EmulatedKernel();
  await kernel.writeFile(SETTING, new TextEncoder().encode('0'));
  const allowed = Object.entries(await answers(kernel.process({ name: 'nobody', pid: 2, uid: NOBODY })));
  expect(allowed.filter(([, answer]) => answer !== 'EPERM')).toEqual([
    ['an array', 'ok'],
    ['a hash', 'ok'],
    ['a ring buffer', 'ok'],
    ['a socket filter', 'ok'],
    ['a long socket filter', 'E2BIG'],
    ['a cgroup program', 'ok'],
  ]);
});

needs('users who are not root', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('are refused by both kernels', async () => {
    using linux = new LinuxKernel();
    const setting = await linux.readFile(SETTING);
    const kernel = new EmulatedKernel();
    await kernel.writeFile(SETTING, setting);
    let expected: unknown;
    process.seteuid?.(NOBODY);
    try {
      expected = await answers(linux);
    } finally {
      process.seteuid?.(0);
    }
    expect(await answers(kernel.process({ name: 'nobody', pid: 2, uid: NOBODY }))).toEqual(expected);
  });
});
