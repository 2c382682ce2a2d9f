// Links, programs on devices and struct_ops of the real kernel, as the machine's bpftool and this tool list them. Devices are
// in a network that the test makes. The machine's bpftool is older than the one that is followed: what that one does not
// know yet is in `newer`, each with what it says instead.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AttachType, ProgType } from '../../src/bpf/types.js';
import { Btf } from '../../src/btf/index.js';
import { parseObject } from '../../src/elf/index.js';
import { assemble, encode } from '../../src/isa/index.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { type Collection, load } from '../../src/loader/index.js';
import { createStructOps } from '../../src/loader/struct-ops.js';
import { Network } from '../live/netns.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { runLine } from './memory-host.js';

const missing = missingKernel() ?? missingTool('bpftool') ?? missingTool('ip');

interface Answer {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** What bpftool 7.1 does not say, and how ours reads without it. */
const newer: readonly { since: string; without: (text: string) => string }[] = [
  {
    since: '7.2: devices of XDP links, links of netfilter, tcx and netkit by name',
    without: (text) =>
      text
        .replace(/(xdp {2}prog \d+ {2})\n\tifindex \S+ {2}/g, '$1')
        .replace(/("type": ?"xdp",\s*"prog_id": ?\d+),\s*"devname": ?"[^"]*",\s*"ifindex": ?\d+/g, '$1')
        .replace(/: tcx {2}(prog \d+ {2})\n\tifindex \S+ {2}attach_type \S+ {2}/g, ': type 11  $1')
        .replace(
          /("prog_id": ?\d+),\s*"devname": ?"[^"]*",\s*"ifindex": ?\d+,\s*"attach_type": ?"tcx[^"]*"/g,
          '$1',
        )
        .replace(/(?<="type": ?)"tcx"/g, '11'),
  },
  {
    since: '7.3: netfilter and tcx in `net`',
    without: (text) =>
      text
        .replace(/^netfilter:\n(?:\n\t.*)*\n/m, '')
        .replace(/^\S+ tcx\/.*\n/gm, '')
        .replace(/,?\s*"netfilter": ?\[[^\]]*\]/, '')
        .replace(/\{"devname":"[^"]*","ifindex":\d+,"kind":"tcx[^}]*\},?/g, ''),
  },
];
const asOlder = (text: string): string => newer.reduce((shown, { without }) => without(shown), text);

needs('the same as the machine’s bpftool', missing, 'SKEP_REQUIRE_KERNEL', () => {
  let kernel: LinuxKernel;
  let network: Network;
  let hello: Collection;
  const file = (name: string): Uint8Array | undefined => {
    try {
      return new Uint8Array(readFileSync(path.join(import.meta.dirname, 'objects', name)));
    } catch {
      return undefined;
    }
  };

  beforeAll(async () => {
    network = new Network();
    network.pair('left', 'right');
    kernel = new LinuxKernel();
    hello = await load(parseObject(file('hello.bpf.o') ?? new Uint8Array()), kernel, { name: 'hello' });
  });
  afterAll(async () => {
    await hello?.close();
    kernel?.[Symbol.dispose]();
    network?.[Symbol.dispose]();
  });

  const theirs = (words: readonly string[]): Answer => {
    const { status, stdout, stderr } = spawnSync('bpftool', words, { encoding: 'utf8' });
    return { status, stdout, stderr: stderr.replace(/^libbpf: .*\n/gm, '') };
  };
  const ours = async (words: readonly string[]): Promise<Answer> => {
    const { status, stdout, stderr } = await runLine(words, { kernel, file });
    return { status, stdout: asOlder(stdout), stderr: stderr.replace(/^Kernel error message: .*\n/gm, '') };
  };
  const same = async (...words: string[]): Promise<Answer> => {
    const answer = await ours(words);
    expect(answer, words.join(' ')).toEqual(theirs(words));
    return answer;
  };
  const ifindex = async (name: string): Promise<number> =>
    (await kernel.netDevices()).find((device) => device.name === name)?.ifindex ?? 0;

  test('links', async () => {
    const { fd: prog } = hello.program('hello');
    const xdp = await kernel.linkCreate({ prog, attachType: AttachType.Xdp, ifindex: await ifindex('left') });
    const instructions = encode(assemble('r0 = 0\nexit'));
    const dissector = await kernel.progLoad({
      type: ProgType.FlowDissector,
      instructions,
      license: 'GPL',
      expectedAttachType: AttachType.FlowDissector,
    });
    const classifier = await kernel.progLoad({
      type: ProgType.SchedCls,
      instructions,
      license: 'GPL',
      name: 'pass',
    });
    const target = await kernel.open('/proc/thread-self/ns/net');
    const netns = await kernel.linkCreate({ prog: dissector, attachType: AttachType.FlowDissector, target });
    const tcx = await kernel.linkCreate({
      prog: classifier,
      attachType: AttachType.TcxIngress,
      ifindex: await ifindex('right'),
    });
    for (const link of [xdp, netns, tcx]) {
      const id = String((await kernel.linkInfo(link)).id);
      for (const form of [[], ['-j'], ['-p']]) await same(...form, 'link', 'show', 'id', id);
    }
    // In a form of its own, with the device's name.
    const shown = await runLine(['link', 'show', 'id', String((await kernel.linkInfo(tcx)).id)], { kernel });
    expect(shown.stdout).toMatch(
      /^\d+: tcx {2}prog \d+ {2}\n\tifindex right\(\d+\) {2}attach_type tcx_ingress {2}\n$/,
    );
    const { id } = await kernel.linkInfo(xdp);
    await same('link', 'detach', 'id', '1000000');
    expect(await ours(['link', 'detach', 'id', String(id)])).toEqual({ status: 0, stdout: '', stderr: '' });
    await same('-j', 'link', 'show', 'id', String(id));
    const detached = await runLine(['-j', 'link', 'show', 'id', String(id)], { kernel });
    expect(JSON.parse(detached.stdout)).toMatchObject({ devname: '(detached)', ifindex: 0 });
    for (const fd of [tcx, netns, xdp, target, classifier, dissector]) await kernel.close(fd);
  });

  test.each([
    ['link', 'show', 'id', 'abc'],
    ['link', 'show', 'id', '2000000000'],
    ['link', 'show', 'id'],
    ['link', 'show', 'foo', 'bar'],
    ['-j', 'link', 'show', 'id', '2000000000'],
    ['link', 'pin', 'id', '5'],
    ['link', 'pin', 'id', '2000000000', '/sys/fs/bpf/x'],
    ['link', 'detach'],
    ['net', 'attach', 'xdp', 'id', '2000000000', 'dev', 'left'],
    ['net', 'attach', 'foo', 'id', '1', 'dev', 'left'],
    ['net', 'attach', 'xdp', 'id', '1'],
    ['-j', 'net', 'detach', 'xdp'],
    ['net', 'detach', 'xdp', 'dev', 'nobody'],
    ['net', 'list', 'dev', 'nobody'],
    ['-j', 'net', 'list', 'dev', 'nobody'],
    ['net', 'list', 'foo', 'left'],
    ['cgroup', 'show'],
    ['cgroup', 'show', '/nowhere'],
    ['cgroup', 'show', '/proc'],
    ['cgroup', 'show', '/sys/fs/cgroup', 'foo'],
    ['cgroup', 'tree', '/nowhere'],
    ['-j', 'cgroup', 'tree', '/nowhere'],
    ['cgroup', 'attach', 'a', 'b', 'c'],
    ['cgroup', 'attach', '/nowhere', 'ingress', 'id', '3'],
    ['cgroup', 'detach', '/nowhere', 'ingress', 'id'],
    ['cgroup', 'tree'],
    ['-p', 'cgroup', 'tree'],
    ['perf'],
    ['-j', 'perf', 'list'],
    ['struct_ops', 'show', 'id', '0'],
    ['struct_ops', 'show', 'name', 'nobody'],
    ['-j', 'struct_ops', 'show', 'name', 'nobody'],
    ['struct_ops', 'dump', 'name', 'nobody'],
    ['struct_ops', 'unregister', 'id', '2000000000'],
    ['struct_ops', 'unregister', 'name', 'nobody'],
  ])('%s %s %s %s %s %s', async (...words) => {
    await same(...words.filter((word) => word !== undefined));
  });

  test('programs on devices: attach, list, detach', async () => {
    const id = String((await hello.program('hello').info()).id);
    const place = ['id', id, 'dev', 'left'];
    const listed = async (): Promise<void> => {
      for (const form of [[], ['-j'], ['-p']]) {
        await same(...form, 'net');
        await same(...form, 'net', 'list', 'dev', 'left');
      }
    };
    await listed();
    const silent = { status: 0, stdout: '', stderr: '' };
    expect(await ours(['net', 'attach', 'xdpgeneric', ...place])).toEqual(silent);
    await same('net', 'attach', 'xdpgeneric', ...place);
    expect(await ours(['net', 'attach', 'xdpg', ...place, 'overwrite'])).toEqual(silent);
    expect(await ours(['-j', 'net', 'attach', 'xdp', 'id', id, 'dev', 'right'])).toEqual({
      ...silent,
      stdout: 'null\n',
    });
    await listed();
    const attached = await runLine(['-j', 'net'], { kernel });
    expect(JSON.parse(attached.stdout)[0].xdp).toMatchObject([
      { devname: 'right', mode: 'driver', id: Number(id) },
      { devname: 'left', mode: 'generic', id: Number(id) },
    ]);
    for (const device of ['left', 'right']) {
      for (const mode of ['xdpgeneric', 'xdpdrv']) {
        await ours(['net', 'detach', mode, 'dev', device]);
      }
    }
    await listed();
  });

  test('filters of traffic control, and programs before them', async () => {
    const instructions = encode(assemble('r0 = 0\nexit'));
    const prog = await kernel.progLoad({
      type: ProgType.SchedCls,
      instructions,
      license: 'GPL',
      name: 'pass',
    });
    const { id } = await kernel.progInfo(prog);
    const device = await ifindex('left');
    await kernel.tcHookCreate(device);
    await kernel.tcFilterAdd({ ifindex: device, direction: 'ingress', prog, name: 'pass' });
    for (const form of [[], ['-j'], ['-p']]) await same(...form, 'net', 'list', 'dev', 'left');
    const place = ['id', String(id), 'dev', 'left'];
    expect((await ours(['net', 'attach', 'tcx_egress', ...place])).status).toBe(0);
    const text = await runLine(['net', 'list', 'dev', 'left'], { kernel });
    expect(text.stdout).toBe(
      `xdp:\n\ntc:\nleft(${device}) tcx/egress pass prog_id ${id} \nleft(${device}) clsact/ingress pass id ${id}\n\n` +
        'flow_dissector:\n\nnetfilter:\n\n',
    );
    const json = await runLine(['-j', 'net', 'list', 'dev', 'left'], { kernel });
    expect(JSON.parse(json.stdout)[0].tc).toEqual([
      {
        devname: 'left',
        ifindex: device,
        kind: 'tcx/egress',
        name: 'pass',
        prog_id: id,
        prog_flags: [],
        link_id: 0,
        link_flags: [],
      },
      { devname: 'left', ifindex: device, kind: 'clsact/ingress', name: 'pass', id },
    ]);
    const wrong = await runLine(['net', 'attach', 'tcx_egress', ...place, 'overwrite'], { kernel });
    expect(wrong).toMatchObject({
      status: 234,
      stderr: "Error: 'overwrite' is only supported for xdp types\n",
    });
    expect((await ours(['net', 'detach', 'tcx_egress', 'dev', 'left'])).status).toBe(0);
    const again = await runLine(['net', 'detach', 'tcx_egress', 'dev', 'left'], { kernel });
    expect(again).toMatchObject({
      status: 254,
      stderr: 'Error: interface tcx_egress detach failed: No such file or directory\n',
    });
    await kernel.tcHookDestroy(device);
    await kernel.close(prog);
  });

  test('struct_ops maps, which are made and never registered', async () => {
    if (missingTool('clang-19')) return;
    const folder = mkdtempSync(path.join(tmpdir(), 'skep-struct-ops-'));
    try {
      const [source, output] = [path.join(folder, 'demo.bpf.c'), path.join(folder, 'demo.bpf.o')];
      writeFileSync(source, DEMO);
      const clang = spawnSync('clang-19', ['-g', '-O2', '--target=bpf', '-c', source, '-o', output], {
        encoding: 'utf8',
      });
      expect(clang.stderr).toBe('');
      const spec = parseObject(new Uint8Array(readFileSync(output)));
      const kernelBtf = Btf.parse(new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux')));
      await using collection = await load(spec, kernel, { name: 'demo', kernelBtf });
      const [ops] = spec.structOps ?? [];
      const map = await createStructOps(kernel, collection, ops ?? expect.fail('there is none'), kernelBtf);
      const { id } = await kernel.mapInfo(map);
      await same('struct_ops', 'show', 'id', String(id));
      // One is in an array too, since 7.4.
      const one = ['-j', 'struct_ops', 'show', 'id', String(id)];
      expect((await ours(one)).stdout).toBe(`[${theirs(one).stdout.trim()}]\n`);
      await same('struct_ops', 'show', 'name', 'demo');
      await same('-j', 'struct_ops', 'show', 'name', 'demo');
      const dumped = await same('-j', 'struct_ops', 'dump', 'name', 'demo');
      await same('-p', 'struct_ops', 'dump', 'name', 'demo');
      expect(dumped.stdout).toMatch(/"ssthresh":"u32 \(struct sock \*\) half\/prog_id:\d+"/);
      await kernel.close(map);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Waits for a link that nobody makes: such a map is known to the kernel, and changes nothing. */
const DEMO = `
  #define SEC(name) __attribute__((section(name), used))
  struct sock;
  struct tcp_congestion_ops {
    char name[16];
    unsigned int (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
    unsigned int (*undo_cwnd)(struct sock *sk);
  };
  SEC("struct_ops") unsigned int half(unsigned long long *ctx) { return 2; }
  SEC("struct_ops") void avoid(unsigned long long *ctx) {}
  SEC("struct_ops") unsigned int undo(unsigned long long *ctx) { return 2; }
  SEC(".struct_ops.link") struct tcp_congestion_ops demo = {
    .name = "skep_demo", .ssthresh = (void *)half, .cong_avoid = (void *)avoid, .undo_cwnd = (void *)undo };
  SEC("license") char _license[] = "GPL";`;
