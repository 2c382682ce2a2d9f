// BPF_PROG_TEST_RUN of an XDP program, case by case against the kernel of this machine: the same errno, or the same
// return value, packet and context.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Bpf, ProgTestRunAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';

/** Programs whose answer shows their context. */
const programs = {
  length: `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r3 -= r2
    r0 = r3
    exit`,
  meta: `
    r2 = *(u32 *)(r1 + 8)
    r3 = *(u32 *)(r1 + 0)
    r3 -= r2
    r0 = r3
    exit`,
  ingress: `
    r0 = *(u32 *)(r1 + 12)
    exit`,
  queue: `
    r0 = *(u32 *)(r1 + 16)
    exit`,
  /** Counts up in the first byte of the packet. */
  count: `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 1
    r0 = 0
    if r4 > r3 goto out
    r0 = *(u8 *)(r2 + 0)
    r0 += 1
    *(u8 *)(r2 + 0) = r0
  out:
    exit`,
  /** Takes 8 bytes away in front. */
  shrink: `
    r2 = 8
    call 44
    exit`,
  /** Adds 8 bytes in front. */
  grow: `
    r2 = -8
    call 44
    exit`,
  /** Adds 16 bytes of metadata. */
  addMeta: `
    r2 = -16
    call 54
    exit`,
  /** Takes 4 bytes away at the end. */
  cut: `
    r2 = -4
    call 65
    exit`,
  /** Adds 8 bytes at the end. */
  extend: `
    r2 = 8
    call 65
    exit`,
  negative: `
    r0 = -1
    exit`,
} as const;
type ProgramName = keyof typeof programs;

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => 7 * i + 3);

/** struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. */
const context = (...fields: number[]): Uint8Array => {
  const words = new Uint32Array(6);
  words.set(fields);
  return new Uint8Array(words.buffer);
};

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(parts.flatMap((part) => [...part]));

interface Case {
  title: string;
  attr: ProgTestRunAttr;
  /** All of them unless told otherwise. */
  program?: ProgramName;
}

const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 64, 3519, 3520];

const cases: readonly Case[] = [
  { title: 'no data', attr: {} },
  ...sizes.map((size) => ({ title: `${size} bytes`, attr: { dataIn: bytes(size) } })),
  { title: 'room for exactly the packet', attr: { dataIn: bytes(64), dataSizeOut: 64 } },
  { title: 'room for less', attr: { dataIn: bytes(64), dataSizeOut: 63 } },
  { title: 'room for one byte', attr: { dataIn: bytes(64), dataSizeOut: 1 } },
  { title: 'room for more', attr: { dataIn: bytes(64), dataSizeOut: 1000 } },
  { title: 'room of 0 is no limit', attr: { dataIn: bytes(64), dataSizeOut: 0 } },
  ...[0, 1, 2, 3, 200].map((repeat) => ({
    title: `repeat ${repeat}`,
    attr: { dataIn: bytes(64), repeat },
    program: 'count' as const,
  })),
  ...[1, 4, 8, 0x80000000].map((flags) => ({
    title: `flags 0x${flags.toString(16)}`,
    attr: { dataIn: bytes(64), flags },
    program: 'length' as const,
  })),
  ...[1, 7].map((cpu) => ({ title: `cpu ${cpu}`, attr: { dataIn: bytes(64), cpu } })),
  ...(
    [
      ['data_end alone', [0, 64]],
      ['data_end too large', [0, 65]],
      ['metadata of 4', [4, 64]],
      ['metadata of 8', [8, 64]],
      ['metadata of 2', [2, 64]],
      ['metadata of 5', [5, 64]],
      ['metadata of 32', [32, 64]],
      ['metadata of 36', [36, 64]],
      ['metadata that leaves 16 bytes', [48, 64]],
      ['metadata that leaves 12 bytes', [52, 64]],
      ['metadata only', [64, 64]],
      ['data beyond data_end', [68, 64]],
      ['huge data', [0xfffffffc, 64]],
      ['data_meta not zero', [4, 64, 4]],
      ['data_meta without metadata', [0, 64, 1]],
      ['ingress_ifindex 1', [0, 64, 0, 1]],
      ['ingress_ifindex that does not exist', [0, 64, 0, 999999]],
      ['rx_queue_index 0 of device 1', [0, 64, 0, 1, 0]],
      ['rx_queue_index 1 of device 1', [0, 64, 0, 1, 1]],
      ['rx_queue_index without ingress_ifindex', [0, 64, 0, 0, 1]],
      ['egress_ifindex', [0, 64, 0, 0, 0, 1]],
    ] as const
  ).map(([title, fields]) => ({
    title: `context: ${title}`,
    attr: { dataIn: bytes(64), ctxIn: context(...fields) },
  })),
  { title: 'context shorter than xdp_md', attr: { dataIn: bytes(64), ctxIn: context(0, 64).slice(0, 8) } },
  { title: 'empty context', attr: { dataIn: bytes(64), ctxIn: new Uint8Array(0) } },
  {
    title: 'context longer, zero behind',
    attr: { dataIn: bytes(64), ctxIn: join(context(0, 64), new Uint8Array(8)) },
  },
  {
    title: 'context longer, not zero behind',
    attr: { dataIn: bytes(64), ctxIn: join(context(0, 64), Uint8Array.of(0, 1)) },
  },
  { title: 'context without data', attr: { ctxIn: context(0, 0) } },
  { title: 'context and 14 bytes', attr: { dataIn: bytes(14), ctxIn: context(0, 14) } },
  { title: 'context with metadata and 18 bytes', attr: { dataIn: bytes(18), ctxIn: context(4, 18) } },
  { title: 'context with metadata and 14 bytes', attr: { dataIn: bytes(14), ctxIn: context(4, 14) } },
  { title: 'context and 3520 bytes', attr: { dataIn: bytes(3520), ctxIn: context(0, 3520) } },
  { title: 'context with metadata and 3520 bytes', attr: { dataIn: bytes(3520), ctxIn: context(32, 3520) } },
  ...[208, 212, 216, 220, 252, 256].map((meta) => ({
    title: `metadata of ${meta} and 512 bytes`,
    attr: { dataIn: bytes(512), ctxIn: context(meta, 512) },
  })),
  { title: 'context with metadata and 3521 bytes', attr: { dataIn: bytes(3521), ctxIn: context(32, 3521) } },
  ...[0, 1, 8, 23, 24, 32].map((ctxSizeOut) => ({
    title: `room for ${ctxSizeOut} bytes of context`,
    attr: { dataIn: bytes(64), ctxIn: context(0, 64), ctxSizeOut },
  })),
  {
    title: 'too little room for the packet and for the context',
    attr: { dataIn: bytes(64), dataSizeOut: 8, ctxIn: context(0, 64), ctxSizeOut: 8 },
  },
  ...[1, 2, 30, 31, 32, 33, 34].map((repeat) => ({
    title: `head room, ${repeat} times`,
    attr: { dataIn: bytes(64), repeat },
    program: 'grow' as const,
  })),
  ...[1, 6, 7, 8].map((repeat) => ({
    title: `head taken away, ${repeat} times`,
    attr: { dataIn: bytes(64), repeat },
    program: 'shrink' as const,
  })),
  ...[1, 12, 13, 20].map((repeat) => ({
    title: `tail taken away, ${repeat} times`,
    attr: { dataIn: bytes(64), repeat },
    program: 'cut' as const,
  })),
  ...[1, 2, 400, 432, 433].map((repeat) => ({
    title: `tail added, ${repeat} times`,
    attr: { dataIn: bytes(64), repeat },
    program: 'extend' as const,
  })),
  ...[1, 2].map((repeat) => ({
    title: `metadata added, ${repeat} times`,
    attr: { dataIn: bytes(64), ctxIn: context(0, 64), repeat },
    program: 'addMeta' as const,
  })),
];

/** Where Linux (since 6.18 also on demand) keeps a part of the packet in fragments, which the emulated kernel lacks. */
const inFragments: readonly Case[] = [
  ...[3521, 4096, 5000].map((size) => ({ title: `${size} bytes`, attr: { dataIn: bytes(size) } })),
  { title: 'data_end is less than the data', attr: { dataIn: bytes(64), ctxIn: context(0, 63) } },
  { title: 'context of 4 bytes', attr: { dataIn: bytes(64), ctxIn: context(0, 64).slice(0, 4) } },
  { title: 'context of one byte', attr: { dataIn: bytes(64), ctxIn: new Uint8Array(1) } },
  { title: 'data_end is 0', attr: { dataIn: bytes(64), ctxIn: context() } },
];

const load = (kernel: Bpf, name: ProgramName): Promise<number> =>
  kernel.progLoad({
    type: ProgType.Xdp,
    instructions: encode(assemble(programs[name])),
    license: 'GPL',
  });

/** Long packets are told apart by their length and digest. */
const summary = (data: Uint8Array): string =>
  data.length <= 96
    ? Buffer.from(data).toString('hex')
    : `${data.length} bytes, SHA-256 ${createHash('sha256').update(data).digest('hex').slice(0, 16)}`;

/** What a caller sees of a run. */
async function outcome(kernel: Bpf, fd: number, attr: ProgTestRunAttr) {
  try {
    const { retval, dataOut, ctxOut } = await kernel.progTestRun(fd, attr);
    return {
      retval,
      data: summary(dataOut),
      ctx: Buffer.from(ctxOut).toString('hex'),
    };
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

needs('BPF_PROG_TEST_RUN', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(Object.keys(programs) as ProgramName[])('answers as Linux does: %s', async (name) => {
    using linux = new LinuxKernel();
    const emulated = new EmulatedKernel();
    const there = await load(linux, name);
    const here = await load(emulated, name);
    const seen: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const { title, attr, program } of cases) {
      if (program !== undefined && program !== name) continue;
      expected[title] = await outcome(linux, there, attr);
      seen[title] = await outcome(emulated, here, attr);
    }
    expect(seen).toEqual(expected);
  });

  test.each(inFragments)(
    'is refused, not answered wrongly, where fragments are needed: $title',
    async ({ attr }) => {
      const emulated = new EmulatedKernel();
      const fd = await load(emulated, 'length');
      await expect(emulated.progTestRun(fd, attr)).rejects.toThrow(/EINVAL.*fragments are not available yet/);
    },
  );
});
