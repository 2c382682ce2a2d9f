// BPF_PROG_TEST_RUN of the program types that see no socket buffer, case by case against the kernel of this machine, on both
// engines; and what it answers for types that it does not run.

import { expect, test } from 'vitest';
import type { Bpf, ProgTestRunAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { AttachType, ProgFlag, ProgType, progTypeName } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { packets } from './skb-packets.js';

interface TypeCase {
  readonly type: ProgType;
  readonly attach?: AttachType;
  readonly flags?: number;
  readonly programs: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, ProgTestRunAttr>>;
}

const fieldLoads = (size: number, prefix = ''): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: size / 4 }, (_, i) => [
      `${prefix}u32 at ${4 * i}`,
      `r0 = *(u32 *)(r1 + ${4 * i})\nexit`,
    ]),
  );

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.of(...values).buffer);
const data = Object.fromEntries(Object.entries(packets).map(([name, dataIn]) => [name, { dataIn }]));
const tcp = packets['TCP over IPv4'] as Uint8Array;

/** struct bpf_sk_lookup, in words. */
const lookup = (fields: Record<number, number>): Uint8Array => {
  const all = new Uint32Array(18);
  for (const [at, value] of Object.entries(fields)) all[Number(at) / 4] = value;
  return new Uint8Array(all.buffer);
};
const ofKeys = (fields: Record<number, number>): Uint8Array => {
  const all = new Uint32Array(14);
  for (const [at, value] of Object.entries(fields)) all[Number(at) / 4] = value;
  return new Uint8Array(all.buffer);
};

/** What all types say of arguments that they do not have. */
const odd: Readonly<Record<string, ProgTestRunAttr>> = {
  'flags 1': { flags: 1 },
  'flags 2': { flags: 2 },
  'cpu 1': { cpu: 1 },
  'a batch': { batchSize: 1 },
  'repeat 2': { repeat: 2 },
  data: { dataIn: tcp },
  'no arguments': {},
};
const withArguments = (base: ProgTestRunAttr): Record<string, ProgTestRunAttr> =>
  Object.fromEntries(
    Object.entries(odd).map(([name, more]) => [`beside what is needed: ${name}`, { ...base, ...more }]),
  );

const cases: readonly TypeCase[] = [
  {
    type: ProgType.FlowDissector,
    programs: {
      zero: 'r0 = 0\nexit',
      one: 'r0 = 1\nexit',
      negative: 'r0 = -1\nexit',
      'keys as they are':
        'r2 = *(u64 *)(r1 + 144)\nr0 = *(u32 *)(r2 + 0)\nr3 = *(u32 *)(r2 + 8)\nr0 += r3\nr3 = *(u32 *)(r2 + 48)\nr0 += r3\nexit',
      'the packet':
        'r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr0 = r3\nr0 -= r2\nr4 = r2\nr4 += 16\nif r4 > r3 goto out\nr0 = *(u16 *)(r2 + 14)\nout:\nexit',
      ...Object.fromEntries(
        [
          [0, 0],
          [14, 34],
          [34, 14],
          [20, 2000],
          [2000, 20],
          [0xffff, 0xffff],
        ].map(([nhoff, thoff]) => [
          `says ${nhoff} and ${thoff}`,
          `r2 = *(u64 *)(r1 + 144)\nr3 = ${nhoff}\n*(u16 *)(r2 + 0) = r3\nr3 = ${thoff}\n*(u16 *)(r2 + 2) = r3\nr3 = 0x1122\n*(u16 *)(r2 + 12) = r3\nr0 = 0\nexit`,
        ]),
      ),
      load_bytes: `r2 = 14\nr3 = r10\nr3 += -8\nr4 = 8\ncall 26\nr1 = *(u8 *)(r10 - 8)\nr0 <<= 8\nr0 |= r1\nexit`,
    },
    attributes: {
      ...data,
      ...withArguments({ dataIn: tcp }),
      'keys with flags': { dataIn: tcp, ctxIn: ofKeys({ 48: 5 }) },
      'keys with a port': { dataIn: tcp, ctxIn: ofKeys({ 12: 5 }) },
      'keys with a label': { dataIn: tcp, ctxIn: ofKeys({ 52: 5 }) },
      'little room': { dataIn: tcp, dataSizeOut: 20 },
      'little room for the context': { dataIn: tcp, ctxIn: ofKeys({ 48: 5 }), ctxSizeOut: 20 },
    },
  },
  {
    type: ProgType.SkLookup,
    attach: AttachType.SkLookup,
    programs: {
      drop: 'r0 = 0\nexit',
      pass: 'r0 = 1\nexit',
      ...Object.fromEntries(
        Object.entries(fieldLoads(72)).map(([name, text]) => [
          name,
          text.replace('exit', 'r1 = r0\nr1 >>= 7\nr0 ^= r1\nr0 &= 1\nexit'),
        ]),
      ),
      'no socket': 'r0 = *(u64 *)(r1 + 0)\nif r0 == 0 goto none\nr0 = 1\nnone:\nexit',
    },
    attributes: {
      IPv4: { ctxIn: lookup({ 8: 2, 12: 6, 16: 0x0100007f, 36: 0x3930, 40: 0x0200007f, 60: 80 }) },
      IPv6: {
        ctxIn: lookup({ 8: 10, 12: 17, 20: 1, 24: 2, 28: 3, 32: 4, 36: 0x3930, 44: 5, 56: 6, 60: 443 }),
      },
      'both families': { ctxIn: lookup({ 8: 2, 12: 6, 16: 1, 20: 1, 40: 1, 44: 1, 60: 80 }) },
      'a wide family': { ctxIn: lookup({ 8: 0x10002, 12: 0x10006, 60: 80 }) },
      'no family': { ctxIn: lookup({}) },
      'a socket': { ctxIn: lookup({ 0: 1, 8: 2 }) },
      'a large port': { ctxIn: lookup({ 8: 2, 60: 65536 }) },
      'a device': { ctxIn: lookup({ 8: 2, 64: 1 }) },
      'a short context': { ctxIn: lookup({ 8: 2 }).slice(0, 12) },
      'little room': { ctxIn: lookup({ 8: 2 }), ctxSizeOut: 8 },
      ...withArguments({ ctxIn: lookup({ 8: 2 }) }),
      ...withArguments({}),
    },
  },
  {
    type: ProgType.Netfilter,
    attach: AttachType.Netfilter,
    programs: {
      drop: 'r0 = 0\nexit',
      accept: 'r0 = 1\nexit',
      hook: 'r2 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nr0 &= 1\nexit',
      'the second bit of the hook': 'r2 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nr0 >>= 1\nr0 &= 1\nexit',
      pf: 'r2 = *(u64 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 1)\nr0 >>= 3\nr0 &= 1\nexit',
    },
    attributes: {
      ...data,
      ...withArguments({ dataIn: tcp }),
      ...Object.fromEntries(
        [
          [0, 2],
          [1, 2],
          [2, 2],
          [3, 2],
          [4, 2],
          [5, 2],
          [0, 10],
          [3, 10],
          [0, 7],
          [0, 0],
        ].flatMap(([hook, pf]) =>
          ['TCP over IPv4', 'TCP over IPv6', 'broadcast'].map((name) => {
            const state = new Uint8Array(48);
            state[0] = hook as number;
            state[1] = pf as number;
            return [`hook ${hook}, pf ${pf}, ${name}`, { dataIn: packets[name] as Uint8Array, ctxIn: state }];
          }),
        ),
      ),
      'a device in the state': { dataIn: tcp, ctxIn: new Uint8Array(48).fill(1, 8, 9) },
    },
  },
  {
    type: ProgType.Syscall,
    flags: ProgFlag.Sleepable,
    programs: {
      zero: 'r0 = 0\nexit',
      negative: 'r0 = -5\nexit',
      'u32 at 8': 'r0 = *(u32 *)(r1 + 8)\nexit',
      'u64 at 0': 'r0 = *(u64 *)(r1 + 0)\nexit',
      'writes at 4': 'r2 = 0x55\n*(u32 *)(r1 + 4) = r2\nr0 = *(u8 *)(r1 + 0)\nexit',
    },
    attributes: {
      ...Object.fromEntries(
        [1, 4, 8, 11, 12, 16, 4096].map((size) => [
          `${size} bytes`,
          { ctxIn: Uint8Array.from({ length: size }, (_, i) => i + 1) },
        ]),
      ),
      'too many bytes': { ctxIn: new Uint8Array(65536) },
      'as many as there can be': { ctxIn: new Uint8Array(65535) },
      ...withArguments({ ctxIn: words(1, 2, 3, 4) }),
      ...withArguments({}),
    },
  },
  {
    type: ProgType.RawTracepoint,
    programs: {
      zero: 'r0 = 0\nexit',
      negative: 'r0 = -5\nexit',
      'first argument': 'r0 = *(u64 *)(r1 + 0)\nexit',
      'second argument': 'r0 = *(u64 *)(r1 + 8)\nexit',
      'twelfth argument': 'r0 = *(u64 *)(r1 + 88)\nexit',
    },
    attributes: {
      ...Object.fromEntries(
        [8, 15, 16, 96, 97, 104].map((size) => [
          `${size} bytes`,
          { ctxIn: Uint8Array.from({ length: size }, (_, i) => i + 1) },
        ]),
      ),
      'on CPU 0': { ctxIn: words(1, 2, 3, 4), flags: 1, cpu: 0 },
      'on a CPU that there is not': { ctxIn: words(1, 2, 3, 4), flags: 1, cpu: 4000 },
      ...withArguments({ ctxIn: words(1, 2, 3, 4) }),
      ...withArguments({}),
    },
  },
  ...(
    [
      [ProgType.Kprobe],
      [ProgType.Tracepoint],
      [ProgType.PerfEvent],
      [ProgType.RawTracepointWritable],
      [ProgType.CgroupSock, AttachType.CgroupInetSockCreate],
      [ProgType.CgroupSockAddr, AttachType.CgroupInet4Bind],
      [ProgType.CgroupDevice, AttachType.CgroupDevice],
      [ProgType.CgroupSysctl, AttachType.CgroupSysctl],
      [ProgType.CgroupSockopt, AttachType.CgroupGetsockopt],
      [ProgType.SockOps, AttachType.CgroupSockOps],
      [ProgType.SkSkb],
      [ProgType.SkMsg],
      [ProgType.SkReuseport],
    ] as const
  ).map(([type, attach]) => ({
    type,
    ...(attach === undefined ? {} : { attach }),
    programs: { zero: 'r0 = 0\nexit', one: 'r0 = 1\nexit' },
    attributes: { data: { dataIn: tcp }, nothing: {}, context: { ctxIn: words(1, 2) } },
  })),
];

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const load = (kernel: Bpf, { type, attach, flags }: TypeCase, text: string): Promise<unknown> =>
  outcome(() =>
    kernel.progLoad({
      type,
      instructions: encode(assemble(text)),
      license: 'GPL',
      ...(attach === undefined ? {} : { expectedAttachType: attach }),
      ...(flags === undefined ? {} : { flags }),
    }),
  );

const run = (kernel: Bpf, fd: unknown, attr: ProgTestRunAttr): Promise<unknown> =>
  typeof fd !== 'number'
    ? Promise.resolve(fd)
    : outcome(async () => {
        const { retval, dataOut, ctxOut } = await kernel.progTestRun(fd, attr);
        return `${retval} ${Buffer.from(dataOut).toString('hex')} ${Buffer.from(ctxOut).toString('hex')}`;
      });

needs('BPF_PROG_TEST_RUN by program type', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(cases.map((one) => [progTypeName(one.type), one] as const))(
    'answers as Linux does: %s',
    async (_, one) => {
      using linux = new LinuxKernel();
      const kernels = [new EmulatedKernel(), new EmulatedKernel({ engine: 'interpreter' })];
      const seen: Record<string, unknown> = {};
      const expected: Record<string, unknown> = {};
      for (const [name, text] of Object.entries(one.programs)) {
        const there = await load(linux, one, text);
        for (const kernel of kernels) {
          const here = await load(kernel, one, text);
          for (const [title, attr] of Object.entries(one.attributes)) {
            const key = `${name}: ${title}`;
            expected[key] ??= await run(linux, there, attr);
            const answer = await run(kernel, here, attr);
            if (seen[key] === undefined || answer !== expected[key]) seen[key] = answer;
          }
        }
      }
      expect(seen).toEqual(expected);
    },
  );
});
