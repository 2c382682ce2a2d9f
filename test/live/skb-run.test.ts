// BPF_PROG_TEST_RUN of programs that see socket buffers, case by case against the kernel of this machine: the same errno,
// or the same return value, packet and context, on both engines.

import { expect, test } from 'vitest';
import type { Bpf, ProgTestRunAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { ProgType, progTypeName } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { context, packets } from './skb-packets.js';

const types: readonly ProgType[] = [
  ProgType.SocketFilter,
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.CgroupSkb,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
  ProgType.LwtSeg6local,
];

/** r6 keeps the context; what is put on the stack goes through r10. */
const call = (id: number, ...args: (number | string)[]): string => `
    r6 = r1
    ${args.map((value, i) => `r${i + 2} = ${value}`).join('\n    ')}
    call ${id}
    exit`;

/** A call whose argument `register` is the address of 16 bytes with a pattern on the stack. */
const withBytes = (id: number, register: number, ...args: (number | string)[]): string => `
    r2 = 0x0807060504030201 ll
    *(u64 *)(r10 - 16) = r2
    *(u64 *)(r10 - 8) = r2
    ${args.map((value, i) => `r${i + 2} = ${i + 2 === register ? 'r10' : value}`).join('\n    ')}
    r${register} += -16
    call ${id}
    exit`;

/** A call that fills 16 bytes, and their sum. */
const filled = (id: number, ...args: (number | string)[]): string => `
    ${args.map((value, i) => `r${i + 2} = ${value}`).join('\n    ')}
    r3 = r10
    r3 += -16
    r7 = r3
    call ${id}
    r1 = *(u64 *)(r7 + 0)
    r2 = *(u64 *)(r7 + 8)
    r0 += r1
    r0 *= 31
    r0 ^= r2
    r1 = r0
    r1 >>= 32
    r0 ^= r1
    exit`;

/** Where packet pointers are, which are no numbers that can be compared. */
const pointers = [76, 80, 140];
const fields = Array.from({ length: 48 }, (_, i) => 4 * i).filter((at) => !pointers.includes(at));

const programs: Readonly<Record<string, string>> = {
  zero: 'r0 = 0\nexit',
  negative: 'r0 = -1\nexit',
  ...Object.fromEntries(fields.map((at) => [`u32 at ${at}`, `r0 = *(u32 *)(r1 + ${at})\nexit`])),
  ...Object.fromEntries(
    [0, 4, 16, 48, 92, 180].flatMap((at) => [
      [`u8 at ${at}`, `r0 = *(u8 *)(r1 + ${at})\nexit`],
      [`u16 at ${at + 2}`, `r0 = *(u16 *)(r1 + ${at + 2})\nexit`],
    ]),
  ),
  'u64 at 152': 'r0 = *(u64 *)(r1 + 152)\nexit',
  'u64 at 184': 'r0 = *(u64 *)(r1 + 184)\nexit',
  'the length that is seen': 'r2 = *(u32 *)(r1 + 76)\nr0 = *(u32 *)(r1 + 80)\nr0 -= r2\nexit',
  metadata: 'r2 = *(u32 *)(r1 + 140)\nr0 = *(u32 *)(r1 + 76)\nr0 -= r2\nexit',
  ...Object.fromEntries(
    [8, 32, 44, 48, 64, 72].map((at) => [
      `write at ${at}`,
      `r2 = 0x12345678\n*(u32 *)(r1 + ${at}) = r2\nr0 = *(u32 *)(r1 + ${at})\nexit`,
    ]),
  ),
  'write of queue_mapping': 'r2 = 0x1234\n*(u32 *)(r1 + 12) = r2\nr0 = *(u32 *)(r1 + 12)\nexit',
  'write of tstamp': 'r2 = 0x1122334455667788 ll\n*(u64 *)(r1 + 152) = r2\nr0 = *(u32 *)(r1 + 8)\nexit',
  'first byte of the packet': `
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r0 = -2
    r4 = r2
    r4 += 1
    if r4 > r3 goto out
    r0 = *(u8 *)(r2 + 0)
  out:
    exit`,
  'counts in the last byte of the link header': `
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r0 = -2
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r0 = *(u8 *)(r2 + 13)
    r0 += 1
    *(u8 *)(r2 + 13) = r0
  out:
    exit`,
  ...Object.fromEntries(
    [0, 1, 12, 49, 50, 63, 64, -0x100000, -0x100000 + 9, -0x200000, -0x200000 + 12, -0x1000, -1].map((at) => [
      `LD_ABS of ${at}`,
      `r6 = r1\nr0 = *(u8 *)skb[${at}]\nr0 += 1000\nexit`,
    ]),
  ),
  'LD_ABS of a half word': 'r6 = r1\nr0 = *(u16 *)skb[12]\nexit',
  'LD_IND of a word': 'r6 = r1\nr2 = 4\nr0 = *(u32 *)skb[r2 + 8]\nexit',
  'LD_IND before the packet': 'r6 = r1\nr2 = 1\nr0 = *(u32 *)skb[r2 + -2]\nexit',
  'LD_IND from the network header': `r6 = r1\nr2 = 3\nr0 = *(u8 *)skb[r2 + ${-0x100000}]\nexit`,
  ...Object.fromEntries(
    [0, 14, 38, 48, 60, 65, 0x7fffffff, -1].map((at) => [`load_bytes at ${at}`, filled(26, at, 0, 16)]),
  ),
  ...Object.fromEntries(
    [
      [0, 0],
      [0, 1],
      [20, 1],
      [12, 0],
      [50, 0],
      [0, 2],
      [0x10000, 1],
      [-14, 1],
    ].map(([at, from]) => [
      `load_bytes_relative at ${at} from header ${from}`,
      `r5 = ${from}\n${filled(68, at as number, 0, 16)}`,
    ]),
  ),
  ...Object.fromEntries(
    [0, 14, 40, 48, 49, 0x7fffffff, -1].map((at) => [`store_bytes at ${at}`, withBytes(9, 3, at, 0, 16, 0)]),
  ),
  ...Object.fromEntries(
    [1, 2, 3, 4].map((flags) => [`store_bytes with flags ${flags}`, withBytes(9, 3, 20, 0, 16, flags)]),
  ),
  ...Object.fromEntries([0, 1, 50, 64, 65, 2000].map((size) => [`pull_data of ${size}`, call(39, size)])),
  ...Object.fromEntries(
    [0, 13, 14, 15, 50, 64, 100, 4000, 16064, 16065].map((size) => [
      `change_tail to ${size}`,
      call(38, size, 0),
    ]),
  ),
  'change_tail with flags': call(38, 64, 1),
  ...Object.fromEntries(
    [0, 1, 14, 64, 78, 79, 200, 4000, 20000, -1].map((size) => [`change_head by ${size}`, call(43, size, 0)]),
  ),
  'change_head with flags': call(43, 14, 1),
  ...Object.fromEntries(
    [0, 1, 2, 3, 4].map((type) => [
      `change_type to ${type}`,
      `r2 = ${type}\nr7 = r1\ncall 32\nr1 = *(u32 *)(r7 + 4)\nr0 <<= 8\nr0 |= r1\nexit`,
    ]),
  ),
  ...Object.fromEntries(
    [0x86dd, 0x0800, 0x8100].map((proto) => [
      `change_proto to 0x${proto.toString(16)}`,
      call(31, ((proto & 0xff) << 8) | (proto >> 8), 0),
    ]),
  ),
  'change_proto with flags': call(31, 0xdd86, 1),
  ...Object.fromEntries(
    [
      [8, 0, 0],
      [8, 1, 0],
      [-8, 0, 0],
      [-8, 1, 0],
      [-20, 1, 0],
      [-40, 1, 0],
      [20, 1, 2],
      [40, 1, 4],
      [28, 1, 2 | 16],
      [24, 1, 2 | 8],
      [20, 1, 6],
      [28, 1, 2 | 24],
      [-20, 1, 128],
      [-20, 1, 256],
      [-20, 1, 384],
      [8, 1, 128],
      [8, 2, 0],
      [0x1000, 1, 0],
      [0xfff, 1, 0],
      [8, 1, 32],
      [8, 1, 1],
      [8, 1, 0x200],
      [0, 1, 0],
    ].map(([size, mode, flags]) => [
      `adjust_room by ${size}, mode ${mode}, flags ${flags}`,
      call(50, ...([size, mode, flags] as number[])),
    ]),
  ),
  vlan_push: call(18, 0x0081, 0x2007),
  'vlan_push of a service tag': call(18, 0xa888, 0xffff),
  'vlan_push of no tag': call(18, 0x1234, 5),
  'vlan_push twice':
    'r6 = r1\nr2 = 0x81\nr3 = 7\ncall 18\nr1 = r6\nr2 = 0xa888\nr3 = 9\ncall 18\nr0 = *(u32 *)(r6 + 24)\nr1 = *(u32 *)(r6 + 28)\nr0 <<= 16\nr0 |= r1\nexit',
  'vlan_push, protocol':
    'r6 = r1\nr2 = 0x81\nr3 = 7\ncall 18\nr1 = r6\nr2 = 0xa888\nr3 = 9\ncall 18\nr0 = *(u32 *)(r6 + 16)\nr1 = *(u32 *)(r6 + 20)\nr0 <<= 8\nr0 |= r1\nexit',
  vlan_pop: call(19),
  'vlan_pop twice': 'r6 = r1\ncall 19\nr1 = r6\ncall 19\nr0 = *(u32 *)(r6 + 16)\nexit',
  'what vlan_pop leaves':
    'r6 = r1\ncall 19\nr0 = *(u32 *)(r6 + 24)\nr1 = *(u32 *)(r6 + 28)\nr0 <<= 16\nr0 |= r1\nr1 = *(u32 *)(r6 + 20)\nr0 ^= r1\nexit',
  'push and pop': 'r6 = r1\nr2 = 0x81\nr3 = 7\ncall 18\nr1 = r6\ncall 19\nr0 = *(u32 *)(r6 + 0)\nexit',
  ...Object.fromEntries(
    [
      [24, 0x0a000001, 0x0b000001, 4],
      [24, 0x1234, 0x4321, 2],
      [24, 0, 0x12345678, 0],
      [24, 1, 2, 0],
      [24, 1, 2, 3],
      [25, 1, 2, 2],
      [63, 1, 2, 2],
      [64, 1, 2, 2],
      [24, 1, 2, 0x14],
    ].map((args) => [`l3_csum_replace ${args.join(' ')}`, call(10, ...args)]),
  ),
  ...Object.fromEntries(
    [
      [50, 0x0a000001, 0x0b000001, 4],
      [50, 0x0a000001, 0x0b000001, 0x14],
      [50, 0x1234, 0x4321, 2],
      [50, 0x1234, 0x4321, 0x22],
      [50, 0, 0x12345678, 0],
      [50, 5, 0x12345678, 0],
      [50, 1, 1, 0x22],
      [50, 1, 1, 0x62],
      [51, 1, 2, 2],
      [70, 1, 2, 2],
      [50, 1, 2, 0x92],
      [50, 1, 2, 0x102],
    ].map((args) => [`l4_csum_replace ${args.join(' ')}`, call(11, ...args)]),
  ),
  csum_update: call(40, 0x1234),
  ...Object.fromEntries([0, 1, 2, 3, 4].map((level) => [`csum_level ${level}`, call(135, level)])),
  'csum_level up and down':
    'r6 = r1\nr2 = 1\ncall 135\nr1 = r6\nr2 = 1\ncall 135\nr1 = r6\nr2 = 2\ncall 135\nr1 = r6\nr2 = 0\ncall 135\nexit',
  set_hash: 'r6 = r1\nr2 = 0x12345\ncall 48\nr1 = r6\ncall 34\nr1 = *(u32 *)(r6 + 68)\nr0 ^= r1\nexit',
  'set_hash and the field': 'r6 = r1\nr2 = 0x12345\ncall 48\nr0 = *(u32 *)(r6 + 68)\nexit',
  set_hash_invalid: 'r6 = r1\nr2 = 0x12345\ncall 48\nr1 = r6\ncall 41\nr0 = *(u32 *)(r6 + 68)\nexit',
  'get_hash_recalc is not 0': 'call 34\nif r0 == 0 goto none\nr0 = 1\nnone:\nexit',
  ecn_set_ce: call(97),
  ...Object.fromEntries(
    [
      [0, 0],
      [5, 0],
      [5, 1],
      [0, 1],
      [5, 2],
      [5, 3],
    ].map(([time, type]) => [
      `set_tstamp ${time} ${type}`,
      `r6 = r1\nr2 = ${time}\nr3 = ${type}\ncall 192\nr1 = *(u8 *)(r6 + 180)\nr0 <<= 8\nr0 |= r1\nexit`,
    ]),
  ),
  ...Object.fromEntries(
    [0, 1, 2].map((flags) => [`redirect, flags ${flags}`, `r1 = 1\nr2 = ${flags}\ncall 23\nexit`]),
  ),
  redirect_peer: 'r1 = 1\nr2 = 0\ncall 155\nexit',
  'redirect_peer with flags': 'r1 = 1\nr2 = 1\ncall 155\nexit',
  redirect_neigh: 'r1 = 1\nr2 = 0\nr3 = 0\nr4 = 0\ncall 152\nexit',
  get_socket_uid: 'call 47\nexit',
  'the same socket cookie twice': 'r6 = r1\ncall 46\nr7 = r0\nr1 = r6\ncall 46\nr0 -= r7\nexit',
  // The socket: bpf_sk_fullsock(skb->sk) and its fields.
  ...Object.fromEntries(
    [0, 4, 8, 12, 16, 20, 24, 28, 40, 44, 48, 52, 56, 68, 72, 76].map((at) => [
      `socket, u32 at ${at}`,
      `r1 = *(u64 *)(r1 + 168)\nif r1 == 0 goto none\ncall 95\nif r0 == 0 goto none\nr0 = *(u32 *)(r0 + ${at})\nexit\nnone:\nr0 = 77\nexit`,
    ]),
  ),
  'no TCP socket':
    'r1 = *(u64 *)(r1 + 168)\nif r1 == 0 goto none\ncall 96\nif r0 == 0 goto none\nr0 = 1\nexit\nnone:\nr0 = 77\nexit',
  'strtol of a packet': `r1 = 0x2034323031780a20 ll\n*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 105\nexit`,
};

const attributes: Readonly<Record<string, ProgTestRunAttr>> = Object.fromEntries(
  Object.entries(packets).map(([name, dataIn]) => [name, { dataIn }]),
);

const tcp = packets['TCP over IPv4'] as Uint8Array;
/** What is asked of a run, for a few programs. */
const contexts: Readonly<Record<string, ProgTestRunAttr>> = {
  'repeated 3 times': { dataIn: tcp, repeat: 3 },
  'repeat 0': { dataIn: tcp, repeat: 0 },
  'room for less': { dataIn: tcp, dataSizeOut: 20 },
  'room for all': { dataIn: tcp, dataSizeOut: tcp.length },
  'flags 1': { dataIn: tcp, flags: 1 },
  'flags 8': { dataIn: tcp, flags: 8 },
  'cpu 1': { dataIn: tcp, cpu: 1 },
  'a batch': { dataIn: tcp, batchSize: 1 },
  'no context': { dataIn: tcp, ctxIn: new Uint8Array(0) },
  'an empty context': { dataIn: tcp, ctxIn: context({}) },
  'no room for the context': { dataIn: tcp, ctxIn: context({}), ctxSizeOut: 0 },
  'little room for the context': { dataIn: tcp, ctxIn: context({}), ctxSizeOut: 191 },
  'a short context': { dataIn: tcp, ctxIn: context({ mark: 5 }, 12) },
  'a longer context': { dataIn: tcp, ctxIn: context({ mark: 5 }, 200) },
  'a longer context that is not zero': { dataIn: tcp, ctxIn: context({ mark: 5 }, 200).fill(1, 196) },
  ...Object.fromEntries(
    (
      [
        { mark: 42 },
        { queue_mapping: 3 },
        { priority: 7 },
        { ingress_ifindex: 1 },
        { ingress_ifindex: 12345 },
        { ifindex: 1 },
        { ifindex: 999999 },
        { cb: 0x11, cb4: 0x55 },
        { tstamp: 1000 },
        { hwtstamp: 1000 },
        { wire_len: 100 },
        { wire_len: 10 },
        { wire_len: 65536 },
        { wire_len: 65537 },
        { wire_len: 54 },
        { wire_len: 40 },
        { wire_len: 39 },
        { gso_segs: 8, gso_size: 10 },
        { gso_segs: 65535 },
        { gso_segs: 65536 },
        { gso_size: 70000 },
        { data: 1 },
        { data_meta: 1 },
        { data_end: 54 },
        { data_end: 55 },
        { len: 1 },
        { pkt_type: 1 },
        { protocol: 1 },
        { tc_index: 1 },
        { tc_classid: 1 },
        { hash: 1 },
      ] as const
    ).map((set) => [`context with ${JSON.stringify(set)}`, { dataIn: tcp, ctxIn: context(set) }]),
  ),
};
const withContexts = [
  'zero',
  'write at 8',
  'write of queue_mapping',
  'write at 32',
  'write at 48',
  'write of tstamp',
  'u32 at 8',
  'u32 at 12',
  'u32 at 36',
  'u32 at 40',
  'u32 at 64',
  'u32 at 160',
  'u32 at 164',
  'u32 at 176',
  'u64 at 152',
  'u64 at 184',
  'counts in the last byte of the link header',
  'change_tail to 100',
  'change_head by 14',
  'adjust_room by 8, mode 1, flags 0',
];

/** What cgroup programs may return has one bit. */
function sourceOf(type: ProgType, name: string): string {
  const source = programs[name] as string;
  return type === ProgType.CgroupSkb
    ? source.replaceAll('exit', 'r1 = r0\nr1 >>= 7\nr0 ^= r1\nr0 &= 1\nexit')
    : source;
}

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const load = (kernel: Bpf, type: ProgType, name: string): Promise<unknown> =>
  outcome(() =>
    kernel.progLoad({ type, instructions: encode(assemble(sourceOf(type, name))), license: 'GPL' }),
  );

const run = (kernel: Bpf, fd: unknown, attr: ProgTestRunAttr): Promise<unknown> =>
  typeof fd !== 'number'
    ? Promise.resolve(fd)
    : outcome(async () => {
        const { retval, dataOut, ctxOut } = await kernel.progTestRun(fd, attr);
        return `${retval} ${Buffer.from(dataOut).toString('hex')} ${Buffer.from(ctxOut).toString('hex')}`;
      });

needs('BPF_PROG_TEST_RUN of socket buffers', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(types.map((type) => [progTypeName(type), type] as const))(
    'answers as Linux does: %s',
    async (_, type) => {
      using linux = new LinuxKernel();
      const kernels = [new EmulatedKernel(), new EmulatedKernel({ engine: 'interpreter' })];
      const seen: Record<string, unknown> = {};
      const expected: Record<string, unknown> = {};
      for (const name of Object.keys(programs)) {
        const there = await load(linux, type, name);
        const asked = withContexts.includes(name) ? { ...attributes, ...contexts } : attributes;
        for (const kernel of kernels) {
          const here = await load(kernel, type, name);
          for (const [title, attr] of Object.entries(asked)) {
            const key = `${name}: ${title}`;
            expected[key] ??= await run(linux, there, attr);
            const answer = await run(kernel, here, attr);
            if (seen[key] === undefined || answer !== expected[key]) seen[key] = answer;
          }
          if (typeof here === 'number') await kernel.close(here);
        }
        if (typeof there === 'number') await linux.close(there);
      }
      expect(seen).toEqual(expected);
    },
  );
});
