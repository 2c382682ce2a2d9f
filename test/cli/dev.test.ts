// skep dev: devices of the kernel that stays, from the shell.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceState } from '../../src/bpf/machine.js';
import { type PacketBlock, readPackets } from '../../src/pcap/index.js';
import { Background, finished, main, root, until } from '../remote/background.js';

let background: Background;
beforeEach(() => {
  background = new Background();
});
afterEach(() => background[Symbol.asyncDispose]());

const CAPTURE = 'examples/traffic.pcapng';
const PACKETS = 2477;

const devices = async (...args: string[]): Promise<(DeviceState & { xdp: unknown[] })[]> =>
  JSON.parse(await background.output('dev', 'list', ...args, '--json'));

const counters = async (name: string) => (await devices(name))[0]?.counters;

async function blocks(file: string): Promise<PacketBlock[]> {
  const all: PacketBlock[] = [];
  for await (const block of readPackets([readFileSync(file)])) all.push(block);
  return all;
}

describe('devices', () => {
  test('are made, listed and removed; a pair goes together', async () => {
    expect(JSON.parse(await background.output('dev', 'add', 'eth0', '--json'))).toEqual({
      name: 'eth0',
      ifindex: 2,
    });
    await background.output('dev', 'add', 'veth0', 'peer', 'veth1', '--mtu', '9000', '--queues', '4');
    const list = await devices();
    expect(
      list.map(({ name, kind, mtu, queues, peer }) => [name, kind, mtu, queues.length, peer?.name]),
    ).toEqual([
      ['lo', 'loopback', 65536, 1, undefined],
      ['eth0', 'ethernet', 1500, 1, undefined],
      ['veth1', 'veth', 9000, 4, 'veth0'],
      ['veth0', 'veth', 9000, 4, 'veth1'],
    ]);
    await background.output('dev', 'del', 'veth1');
    expect((await devices()).map(({ name }) => name)).toEqual(['lo', 'eth0']);
  });

  test.each([
    [['add', 'lo'], /File exists \(EEXIST\).*\n +Choose another name/],
    [['add', 'much-too-long-a-name'], /1 to 15 bytes/],
    [['add', 'a/b'], /cannot be the name/],
    [['add', 'eth0', '--mac', '01:00:00:00:00:01'], /not the address of a device/],
    [['add', 'eth0', 'pear', 'eth1'], /what is pear eth1/],
    [['del', 'eth9'], /ENODEV.*\n +skep dev list/],
    [['del', 'lo'], /EOPNOTSUPP/],
    [['replay', 'eth9', CAPTURE], /ENODEV/],
    [['replay', 'lo', CAPTURE], /has no cable/],
    [['replay', 'lo', 'nowhere.pcap'], /nowhere\.pcap/],
    [['capture', 'eth9', '-w', '/dev/null'], /ENODEV/],
    [['list', 'eth9'], /ENODEV/],
    [['list', '--kernel', 'linux'], /not made by Skep/],
  ])('%j is refused, and says what to do', async (args, message) => {
    await background.start();
    const { status, stdout, stderr } = await background.skep(['dev', ...args]);
    expect(stderr).toMatch(message);
    expect([status === 0, stdout]).toEqual([false, '']);
  });
});

describe('a capture', () => {
  test('goes through the program of a device, and another shell sees the counters move', async () => {
    await background.start();
    await background.output('dev', 'add', 'eth0');
    await background.output('prog', 'load', 'examples/firewall.bpf.o', '/sys/fs/bpf/firewall');
    await background.output('net', 'attach', 'xdp', 'pinned', '/sys/fs/bpf/firewall', 'dev', 'eth0');
    expect((await devices('eth0'))[0]?.xdp).toEqual([{ mode: 'native', progId: expect.any(Number) }]);
    const replayed = JSON.parse(await background.output('dev', 'replay', 'eth0', CAPTURE, '--json'));
    expect(replayed).toMatchObject({ received: PACKETS, refused: 0, rounds: 1 });
    const [state] = await devices('eth0');
    expect(state?.counters).toMatchObject({ rxPackets: PACKETS, rxBytes: 720690 });
    const [queue] = state?.queues ?? [];
    expect(queue?.xdpPackets).toBe(PACKETS);
    expect((queue?.xdpPass ?? 0) + (queue?.xdpDrops ?? 0)).toBe(PACKETS);
    expect(queue?.xdpPass).toBe(replayed.passed);
    expect(await background.output('dev', 'list', 'eth0')).toMatch(
      /mtu 1500 xdp qdisc .*\n.*\n +prog\/xdp id \d+\n/,
    );
  });

  test('is replayed at a rate, in rounds, up to a number of packets', async () => {
    await background.start();
    await background.output('dev', 'add', 'eth0');
    const args = [
      'dev',
      'replay',
      'eth0',
      CAPTURE,
      '--rate',
      '100000',
      '--loop',
      '--count',
      '5000',
      '--json',
    ];
    expect(JSON.parse(await background.output(...args))).toMatchObject({ received: 5000, rounds: 3 });
    expect((await counters('eth0'))?.rxPackets).toBe(5000);
  });

  test('is replayed until it is interrupted', async () => {
    await background.start();
    await background.output('dev', 'add', 'eth0');
    const child = background.spawn([
      main,
      'dev',
      'replay',
      'eth0',
      CAPTURE,
      '--rate',
      '1000',
      '--loop',
      '--json',
    ]);
    const outcome = finished(child);
    await until(async () => ((await counters('eth0'))?.rxPackets ?? 0) > 0);
    child.kill('SIGINT');
    const { status, stdout } = await outcome;
    expect(status).toBe(0);
    expect((await counters('eth0'))?.rxPackets).toBe(JSON.parse(stdout).received);
  });

  test.each([
    ['cable', PACKETS],
    ['stack', PACKETS],
  ])('is recorded at the %s as it came in', async (point, packets) => {
    await background.start();
    await background.output('dev', 'add', 'eth0');
    const file = path.join(background.directory, 'out.pcapng');
    const args = ['dev', 'capture', 'eth0', '-w', file, '--at', point, '--count', String(packets)];
    const recorder = background.spawn([main, ...args]);
    const outcome = finished(recorder);
    await new Promise<void>((resolve) => {
      recorder.stderr?.on('data', (text: string) => {
        if (text.startsWith('Recording')) resolve();
      });
    });
    await background.output('dev', 'replay', 'eth0', CAPTURE);
    expect(await outcome).toMatchObject({ status: 0, stdout: '' });
    const [was, is] = [await blocks(path.join(root, CAPTURE)), await blocks(file)];
    const bytes = (all: PacketBlock[]) => Buffer.concat(all.map(({ data }) => data)).toString('hex');
    expect(bytes(is)).toBe(bytes(was));
  });
});
