// The way of packets through devices and their XDP programs: the emulated kernel's network against Linux's, by what the
// devices have counted.

import { expect, test } from 'vitest';
import type { Bpf, Fd, XdpMode } from '../../src/bpf/bpf.js';
import { AttachType, MapType, ProgType, XdpFlag } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { eventually, Network, run } from './netns.js';

// As Linux numbers them: of a pair, the peer comes first.
const VB = 2;
const VA = 3;
const VC = 4;
const VD = 5;
const NAMES = ['va', 'vb', 'vc', 'vd'];

/** Counters by device, without those that are 0. */
type Counts = Record<string, Record<string, number>>;

const TO_UNKNOWN_PROTOCOL = 0x88b5;
const PACKETS = 10;

const frames = Array.from({ length: PACKETS }, (_, i) => {
  const frame = new Uint8Array(100).fill(i);
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, TO_UNKNOWN_PROTOCOL >> 8, TO_UNKNOWN_PROTOCOL & 255]);
  return frame;
});

/** What a program does with every packet. */
const programs = {
  pass: 'r0 = 2\nexit',
  drop: 'r0 = 1\nexit',
  tx: 'r0 = 3\nexit',
  aborted: 'r0 = 0\nexit',
  unknown: 'r0 = 77\nexit',
  'redirect without a target': 'r0 = 4\nexit',
  'to a device': `r1 = ${VC}\nr2 = 0\ncall 23\nexit`,
  'to no device': 'r1 = 99\nr2 = 0\ncall 23\nexit',
  'to a device of a map': 'MAP\nr2 = 0\nr3 = 0\ncall 51\nexit',
  'to nothing of a map, else drop': 'MAP\nr2 = 1\nr3 = 1\ncall 51\nexit',
  'to all of a map': 'MAP\nr2 = 0\nr3 = 8\ncall 51\nexit',
  'to all of a map but where it came from': 'MAP\nr2 = 0\nr3 = 24\ncall 51\nexit',
  'a shorter packet': 'r6 = r1\nr2 = -20\ncall 65\nr0 = 2\nexit',
  'a longer head': 'r6 = r1\nr2 = -6\ncall 44\nr0 = 3\nexit',
} as const;

async function loadProgram(kernel: Bpf, text: string): Promise<Fd> {
  let prefix = new Uint8Array(0);
  let rest = text;
  if (text.startsWith('MAP\n')) {
    const map = await kernel.mapCreate({ type: MapType.Devmap, keySize: 4, valueSize: 4, maxEntries: 4 });
    const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
    await kernel.mapUpdateElem(map, word(0), word(VC));
    await kernel.mapUpdateElem(map, word(2), word(VB));
    prefix = Uint8Array.from([0x18, 0x11, 0, 0, map & 255, map >> 8, 0, 0, ...new Uint8Array(8)]);
    rest = text.slice(4);
  }
  const instructions = new Uint8Array([...prefix, ...encode(assemble(rest))]);
  return kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL', name: 'verdict' });
}

/** What a traffic control program does with every packet. */
const classifiers = {
  next: 'r0 = -1\nexit',
  ok: 'r0 = 0\nexit',
  reclassify: 'r0 = 1\nexit',
  shot: 'r0 = 2\nexit',
  pipe: 'r0 = 3\nexit',
  stolen: 'r0 = 4\nexit',
  'redirect without a target': 'r0 = 7\nexit',
  trap: 'r0 = 8\nexit',
  unknown: 'r0 = 77\nexit',
  'sent by another device': `r1 = ${VC}\nr2 = 0\ncall 23\nexit`,
  'come in at another device': `r1 = ${VC}\nr2 = 1\ncall 23\nexit`,
  'sent by no device': 'r1 = 99\nr2 = 0\ncall 23\nexit',
} as const;

const flagOf: Readonly<Record<Exclude<XdpMode, 'offload'>, number>> = {
  native: XdpFlag.DrvMode,
  generic: XdpFlag.SkbMode,
};

interface Case {
  text: string;
  mode: 'native' | 'generic' | undefined;
  /** A native program that lets everything pass on each of the other devices. */
  others: boolean;
  /** A traffic control program where packets come in, or where they are sent. */
  tc?: { text: string; direction: 'ingress' | 'egress' };
}

async function attach(kernel: Bpf, { text, mode, others, tc }: Case): Promise<void> {
  if (tc) {
    const instructions = encode(assemble(tc.text));
    const type = ProgType.SchedCls;
    const ingress = tc.direction === 'ingress';
    await kernel.linkCreate({
      prog: await kernel.progLoad({ type, instructions, license: 'GPL', name: 'verdict' }),
      attachType: ingress ? AttachType.TcxIngress : AttachType.TcxEgress,
      ifindex: ingress ? VB : VA,
    });
  }
  if (mode) await kernel.xdpSet({ ifindex: VB, prog: await loadProgram(kernel, text), flags: flagOf[mode] });
  if (!others) return;
  const pass = await loadProgram(kernel, programs.pass);
  for (const ifindex of [VA, VC, VD]) await kernel.xdpSet({ ifindex, prog: pass, flags: flagOf.native });
}

const counted = (counts: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0));

function linuxCounts(): Counts {
  const devices = JSON.parse(run('ip', '-j', '-s', 'link', 'show')) as {
    ifname: string;
    stats64: Record<'rx' | 'tx', Record<string, number>>;
  }[];
  const counts: Counts = {};
  for (const { ifname, stats64 } of devices) {
    if (!NAMES.includes(ifname)) continue;
    counts[ifname] = counted({
      rxPackets: stats64.rx.packets ?? 0,
      rxBytes: stats64.rx.bytes ?? 0,
      rxDropped: stats64.rx.dropped ?? 0,
      txPackets: stats64.tx.packets ?? 0,
      txBytes: stats64.tx.bytes ?? 0,
      txDropped: stats64.tx.dropped ?? 0,
    });
  }
  return counts;
}

async function inLinux(given: Case, packets = frames): Promise<Counts> {
  using network = new Network();
  network.pair('va', 'vb');
  network.pair('vd', 'vc');
  using kernel = new LinuxKernel();
  await attach(kernel, given);
  network.send(VA, packets);
  // Nothing tells when the last packet is where it goes: the counters stand still.
  let last = '';
  let still = 0;
  await eventually(async () => {
    await new Promise((done) => setTimeout(done, 30));
    const now = JSON.stringify(linuxCounts());
    still = now === last ? still + 1 : 0;
    last = now;
    return still === 2;
  });
  return JSON.parse(last);
}

async function inEmulated(given: Case, packets = frames): Promise<Counts> {
  const kernel = new EmulatedKernel();
  const { surroundings } = kernel;
  await surroundings.deviceAdd({ name: 'va', peer: { name: 'vb' }, mtu: 3000 });
  await surroundings.deviceAdd({ name: 'vd', peer: { name: 'vc' }, mtu: 3000 });
  await attach(kernel, given);
  const offsets = Uint32Array.from({ length: PACKETS + 1 }, (_, i) => i * 100);
  const data = Uint8Array.from(packets.flatMap((frame) => [...frame]));
  const { received } = await surroundings.deviceReceive('vb', { count: PACKETS, data, offsets });
  expect(received).toBe(packets.length);
  const counts: Counts = {};
  for (const { name, counters } of await surroundings.deviceList()) {
    if (NAMES.includes(name)) counts[name] = counted({ ...counters });
  }
  return counts;
}

/** What follows the addresses. */
const protocols: Readonly<Record<string, readonly number[]>> = {
  IPv4: [0x08, 0x00, 0x45],
  ARP: [0x08, 0x06],
  IPv6: [0x86, 0xdd, 0x60],
  'a VLAN tag, then IPv4': [0x81, 0x00, 0x00, 0x05, 0x08, 0x00, 0x45],
  'a VLAN tag, then LLDP': [0x81, 0x00, 0x00, 0x05, 0x88, 0xcc],
  'two VLAN tags, then IPv4': [0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06, 0x08, 0x00, 0x45],
  'a VLAN tag of number 0, then IPv4': [0x81, 0x00, 0x00, 0x00, 0x08, 0x00, 0x45],
  LLDP: [0x88, 0xcc],
  MPLS: [0x88, 0x47],
  'PPPoE session': [0x88, 0x64],
  'an 802.3 length': [0x00, 0x26, 0x42, 0x42, 0x03],
};

const framesOf = (protocol: readonly number[]): Uint8Array<ArrayBuffer>[] =>
  frames.map((frame) => {
    const own = frame.slice();
    own.fill(0, 12);
    own.set(protocol, 12);
    return own;
  });

const cases: [name: string, given: Case][] = [
  ['no program', { text: '', mode: undefined, others: false }],
  ...(['native', 'generic'] as const).flatMap((mode) =>
    Object.entries(programs).flatMap(([name, text]) =>
      [false, true].map((others): [string, Case] => [
        `${name}, ${mode}${others ? ', programs on the other devices' : ''}`,
        { text, mode, others },
      ]),
    ),
  ),
  ...(['ingress', 'egress'] as const).flatMap((direction) =>
    Object.entries(classifiers).map(([name, text]): [string, Case] => [
      `${name}, tcx ${direction}`,
      { text: '', mode: undefined, others: false, tc: { text, direction } },
    ]),
  ),
];

needs('packets through devices', missingKernel() ?? missingTool('ip'), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(Object.entries(protocols))('%s: taken or dropped as in Linux', async (_name, protocol) => {
    const given: Case = { text: '', mode: undefined, others: false };
    const packets = framesOf(protocol);
    expect(await inEmulated(given, packets)).toEqual(await inLinux(given, packets));
  });

  test.each(cases)('%s: every device counts as in Linux', async (_name, given) => {
    expect(await inEmulated(given)).toEqual(await inLinux(given));
  });
});
