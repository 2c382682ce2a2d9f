// Programs on devices of a network that the test makes, with packets sent through. Nothing else is ever attached to.

import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Bpf, LinkCreateAttr } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { AttachType, LinkType, MapType, ProgType, XdpFlag } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { attachLink, attachTc, attachXdp } from '../../src/loader/attach.js';
import { type Collection, load } from '../../src/loader/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { capture, contents, readObject } from './live.js';
import { eventually, Network, run } from './netns.js';

const code = (text: string): Uint8Array => encode(assemble(text));
const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** The error of a promise, which must fail with one of Linux's. */
async function refusal(promise: Promise<unknown>): Promise<BpfError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  const cause = error instanceof BpfError ? error : (error as Error | undefined)?.cause;
  if (cause instanceof BpfError) return cause;
  throw error ?? new Error('it did not fail');
}

/** A program that counts in the first value of an array and answers `verdict`. */
async function counter(kernel: Bpf, type: ProgType, verdict: number, name = 'counts') {
  const map = await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 1 });
  const [low, high] = [0x18, 0x21];
  const address = Uint8Array.from([low, high, 0, 0, map & 255, map >> 8, 0, 0, ...new Uint8Array(8)]);
  const rest = code(`r2 = 1\nlock *(u64 *)(r1 + 0) += r2\nr0 = ${verdict}\nexit`);
  const instructions = new Uint8Array([...address, ...rest]);
  const fd = await kernel.progLoad({ type, instructions, license: 'GPL', name });
  const { id } = await kernel.progInfo(fd);
  const count = async () =>
    Number(new BigUint64Array((await kernel.mapLookupElem(map, word(0))).slice().buffer)[0]);
  return { name, fd, id, count };
}

const frames = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => {
    const frame = new Uint8Array(60).fill(i);
    frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
    return frame;
  });

/** Sums up per-CPU values: which CPU receives a packet is the kernel's choice. */
const summed = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).map(([key, hex]) => {
      const words = new BigUint64Array(Uint8Array.from(Buffer.from(hex, 'hex')).buffer);
      const sums = [0n, 0n];
      for (const [i, value] of words.entries()) sums[i % 2] = (sums[i % 2] ?? 0n) + value;
      return [key, sums.join()];
    }),
  );

/** A kernel as it was before it had links: it knows none. */
const withoutLinks = (kernel: LinuxKernel): Bpf =>
  new Proxy(kernel, {
    get(target, name) {
      if (name === 'linkCreate') {
        return async (_attr: LinkCreateAttr) => {
          throw new BpfError('BPF_LINK_CREATE', Errno.EINVAL);
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

const missing = missingKernel() ?? missingTool('ip');

needs('attached to a device of its own', missing, 'SKEP_REQUIRE_KERNEL', () => {
  test.each(['native', 'generic'] as const)(
    'the firewall counts and drops real packets as the emulated kernel does (%s)',
    async (mode) => {
      const packets = await capture((packet) => packet.length >= 60 && packet.length <= 1514);
      const all = Array.from({ length: packets.count }, (_, i) =>
        packets.data.slice(packets.offsets[i], packets.offsets[i + 1]),
      );
      const configure = async (collection: Collection) => {
        const blocked = collection.map('blocked_ports');
        for (const port of [53, 443]) {
          const key = new Uint8Array(blocked.spec.keySize);
          new DataView(key.buffer).setUint16(0, port, false);
          key[2] = 17;
          await blocked.setBytes(key, Uint8Array.of(1));
        }
      };
      const counted = async (collection: Collection) => {
        const maps = await contents(collection);
        return { counters: summed(maps.counters ?? {}), drops: maps.drops };
      };

      using linux = new LinuxKernel();
      await using emulated = await load(readObject('examples/firewall.bpf.o'), new EmulatedKernel());
      await configure(emulated);
      await emulated.program('firewall').runBatch(packets);
      const expected = await counted(emulated);
      expect(Object.keys(expected.drops ?? {}).length).toBeGreaterThan(0);

      using network = new Network();
      const [left, right] = network.pair('left', 'right');
      await using firewall = await load(readObject('examples/firewall.bpf.o'), linux);
      await configure(firewall);
      const program = firewall.program('firewall');
      {
        await using link = await program.attachXdp({ ifindex: right, mode });
        const { id } = await program.info();
        expect(await link.info()).toEqual({
          type: LinkType.Xdp,
          id: expect.any(Number),
          progId: id,
          ifindex: right,
        });
        const device = (await linux.netDevices()).find(({ ifindex }) => ifindex === right);
        expect(device).toEqual({ ifindex: right, name: 'right', xdp: [{ mode, progId: id }] });
        network.send(left, all);
        await eventually(async () => {
          const { counters } = await counted(firewall);
          return JSON.stringify(counters) === JSON.stringify(expected.counters);
        }).catch(() => {});
        expect(await counted(firewall)).toEqual(expected);
      }
      // With the link went the program.
      expect((await linux.netDevices()).every(({ xdp }) => xdp.length === 0)).toBe(true);
      const before = await counted(firewall);
      network.send(left, all.slice(0, 10));
      expect(await counted(firewall)).toEqual(before);
    },
  );

  test('an XDP link holds its device, is found by its id, and changes its program without a gap', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [left, right] = network.pair('left', 'right');
    const [first, second] = [
      await counter(linux, ProgType.Xdp, 1, 'first'),
      await counter(linux, ProgType.Xdp, 1, 'second'),
    ];
    const link = await attachXdp(linux, first, { ifindex: right });
    const again = await attachXdp(linux, second, { ifindex: right }).catch((error: unknown) => error);
    expect(String(again)).toMatch(/program 'second'.*cannot be attached to device \d+, xdp.*busy/);
    expect((await refusal(attachXdp(linux, second, { ifindex: right, via: 'netlink' }))).errno).toBe(
      Errno.EBUSY,
    );
    expect((await refusal(linux.xdpSet({ ifindex: right, prog: null }))).errno).toBe(Errno.EBUSY);

    const { id } = await link.info();
    const byId = await linux.linkGetFdById(id);
    expect(await linux.objKind(byId)).toBe('link');
    expect(await linux.linkGetNextId(id - 1)).toBe(id);
    await linux.close(byId);

    network.send(left, frames(10));
    await eventually(async () => (await first.count()) === 10);
    await link.update(second);
    network.send(left, frames(7));
    await eventually(async () => (await second.count()) === 7);
    expect(await first.count()).toBe(10);
    // Not what is there now.
    const wrong = linux.linkUpdate(link.fd ?? -1, { newProg: first.fd, oldProg: first.fd });
    expect((await refusal(wrong)).errno).toBe(Errno.EPERM);
    await linux.linkUpdate(link.fd ?? -1, { newProg: first.fd, oldProg: second.fd });

    await link.detach();
    await link.detach();
    expect((await refusal(linux.linkGetFdById(id))).errno).toBe(Errno.ENOENT);
    await (await attachXdp(linux, second, { ifindex: right })).close();
  });

  test('a link that was detached stays, without effect, as long as somebody has it', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [, right] = network.pair('left', 'right');
    const program = await counter(linux, ProgType.Xdp, 2);
    const fd = await linux.linkCreate({ prog: program.fd, attachType: AttachType.Xdp, ifindex: right });
    await linux.linkDetach(fd);
    expect(await linux.linkInfo(fd)).toMatchObject({ type: LinkType.Xdp, ifindex: 0 });
    expect((await refusal(linux.linkDetach(program.fd))).errno).toBe(Errno.EINVAL);
  });

  test('without links, netlink puts an XDP program on a device and takes away only that one', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [left, right] = network.pair('left', 'right');
    const old = withoutLinks(linux);
    const [first, second] = [
      await counter(old, ProgType.Xdp, 1, 'first'),
      await counter(old, ProgType.Xdp, 1, 'second'),
    ];
    const link = await attachXdp(old, first, { ifindex: right, mode: 'native' });
    expect(link.fd).toBeUndefined();
    const programs = async () =>
      (await linux.netDevices()).find(({ ifindex }) => ifindex === right)?.xdp.map(({ progId }) => progId);
    expect(await programs()).toEqual([first.id]);
    network.send(left, frames(5));
    await eventually(async () => (await first.count()) === 5);

    expect((await refusal(attachXdp(old, second, { ifindex: right, mode: 'native' }))).errno).toBe(
      Errno.EBUSY,
    );
    const notThere = { ifindex: right, prog: second.fd, flags: XdpFlag.DrvMode, expectedProg: second.fd };
    expect((await refusal(linux.xdpSet(notThere))).errno).toBe(Errno.EEXIST);
    // A link cannot have what netlink has.
    expect((await refusal(attachXdp(linux, second, { ifindex: right, via: 'link' }))).errno).toBe(
      Errno.EBUSY,
    );
    await expect(link.pin('/sys/fs/bpf/no')).rejects.toThrow('without a link');

    await link.update(second);
    expect(await programs()).toEqual([second.id]);
    // Somebody puts another in its place: that one is not ours to take away.
    await linux.xdpSet({ ifindex: right, prog: first.fd, flags: XdpFlag.DrvMode });
    expect((await refusal(link.detach())).errno).toBe(Errno.EEXIST);
    await linux.xdpSet({ ifindex: right, prog: null, flags: XdpFlag.DrvMode });
    expect(await programs()).toEqual([]);
  });

  test('traffic control programs run one after the other, in the order that was asked for', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [left, right] = network.pair('left', 'right');
    const TCX_NEXT = -1;
    const [first, second, out] = [
      await counter(linux, ProgType.SchedCls, TCX_NEXT, 'first'),
      await counter(linux, ProgType.SchedCls, 2, 'second'),
      await counter(linux, ProgType.SchedCls, TCX_NEXT, 'out'),
    ];
    const hook = { ifindex: right, direction: 'ingress' } as const;
    await using last = await attachTc(linux, second, hook);
    await using begin = await attachTc(linux, first, { ...hook, before: second.id });
    await using leaving = await attachTc(linux, out, { ifindex: left, direction: 'egress' });
    expect(await begin.info()).toMatchObject({
      type: LinkType.Tcx,
      ifindex: right,
      attachType: AttachType.TcxIngress,
    });
    const query = { ifindex: right, attachType: AttachType.TcxIngress };
    const { programs, revision } = await linux.progQuery(query);
    expect(programs.map(({ progId }) => progId)).toEqual([first.id, second.id]);
    expect(programs.map(({ linkId }) => linkId)).toEqual([(await begin.info()).id, (await last.info()).id]);
    expect(revision).toBeGreaterThan(1n);
    network.send(left, frames(9));
    await eventually(async () => (await second.count()) === 9);
    expect([await out.count(), await first.count()]).toEqual([9, 9]);

    const stale = linux.linkCreate({
      prog: first.fd,
      attachType: AttachType.TcxIngress,
      ifindex: right,
      anchor: { expectedRevision: revision + 5n },
    });
    expect((await refusal(stale)).errno).toBe(Errno.ESTALE);
    await begin.detach();
    network.send(left, frames(3));
    await eventually(async () => (await second.count()) === 12);
    expect(await first.count()).toBe(9);
    await leaving.detach();
    expect((await linux.progQuery({ ifindex: left, attachType: AttachType.TcxEgress })).programs).toEqual([]);
  });

  test('tcx takes and gives back programs without links, too', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [left, right] = network.pair('left', 'right');
    const program = await counter(linux, ProgType.SchedCls, 0);
    const hook = { ifindex: right, attachType: AttachType.TcxIngress };
    await linux.progAttach({ prog: program.fd, ...hook });
    expect((await linux.progQuery(hook)).programs).toMatchObject([{ progId: program.id, linkId: 0 }]);
    expect((await refusal(linux.progAttach({ prog: program.fd, ...hook }))).errno).toBe(Errno.EEXIST);
    network.send(left, frames(4));
    await eventually(async () => (await program.count()) === 4);
    await linux.progDetach({ prog: program.fd, ...hook });
    expect((await refusal(linux.progDetach({ prog: program.fd, ...hook }))).errno).toBe(Errno.ENOENT);
    expect((await linux.progQuery(hook)).programs).toEqual([]);
  });

  test('without tcx, a filter does the same', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [left, right] = network.pair('left', 'right');
    const old = withoutLinks(linux);
    const [first, second] = [
      await counter(old, ProgType.SchedCls, -1, 'first'),
      await counter(old, ProgType.SchedCls, 2, 'second'),
    ];
    const hook = { ifindex: right, direction: 'ingress' } as const;
    const link = await attachTc(old, second, hook);
    const before = await attachTc(old, first, { ...hook, priority: 7 });
    expect(await linux.tcFilters(hook)).toEqual([
      { ...hook, priority: 7, handle: 1, progId: first.id, name: 'first', directAction: true },
      { ...hook, priority: 49152, handle: 1, progId: second.id, name: 'second', directAction: true },
    ]);
    expect(await linux.tcFilters({ ...hook, direction: 'egress' })).toEqual([]);
    const taken = linux.tcFilterAdd({ ...hook, prog: first.fd, priority: 7, handle: 1 });
    expect((await refusal(taken)).errno).toBe(Errno.EEXIST);
    network.send(left, frames(6));
    await eventually(async () => (await second.count()) === 6);
    expect(await first.count()).toBe(6);

    await before.detach();
    await link.update(first);
    network.send(left, frames(2));
    await eventually(async () => (await first.count()) === 8);
    expect(await second.count()).toBe(6);
    await link.detach();
    expect(await linux.tcFilters(hook)).toEqual([]);
    expect((await refusal(linux.tcFilterDelete({ ...hook, priority: 7, handle: 1 }))).errno).toBe(
      Errno.ENOENT,
    );
    expect((await refusal(linux.tcHookCreate(right))).errno).toBe(Errno.EEXIST);
    await linux.tcHookDestroy(right);
    expect((await refusal(linux.tcHookDestroy(right))).errno).not.toBe(Errno.EPROTO);
  });

  test('lists of filters are those of tc', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [, right] = network.pair('left', 'right');
    const program = await counter(linux, ProgType.SchedCls, 0, 'listed');
    await linux.tcHookCreate(right);
    for (const [priority, handle] of [
      [2, 0x30],
      [1, 0x20],
      [2, 0x10],
    ] as const) {
      await linux.tcFilterAdd({
        ifindex: right,
        direction: 'egress',
        prog: program.fd,
        priority,
        handle,
        name: 'listed',
      });
    }
    const listed = JSON.parse(run('tc', '-j', 'filter', 'show', 'dev', 'right', 'egress')) as {
      pref: number;
      options?: { handle: string; bpf_name: string; prog: { id: number } };
    }[];
    const theirs = listed.flatMap(({ pref, options }) =>
      options ? [[pref, Number(options.handle), options.bpf_name, options.prog.id]] : [],
    );
    const ours = await linux.tcFilters({ ifindex: right, direction: 'egress' });
    expect(ours.map(({ priority, handle, name, progId }) => [priority, handle, name, progId])).toEqual(
      theirs,
    );
    expect(theirs).toHaveLength(3);
  });

  test('devices and programs that do not fit are refused, with the word for it', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    const [, right] = network.pair('left', 'right');
    const xdp = await counter(linux, ProgType.Xdp, 2);
    const tc = await counter(linux, ProgType.SchedCls, 0);
    const nowhere = 0x7fff0000;
    const noDevice = await attachXdp(linux, xdp, { ifindex: nowhere }).catch((error: unknown) => error);
    expect(String(noDevice)).toContain('No such device');
    expect((await refusal(attachTc(linux, tc, { ifindex: nowhere, direction: 'ingress' }))).errno).toBe(
      Errno.ENODEV,
    );
    expect((await refusal(attachXdp(linux, tc, { ifindex: right }))).errno).toBe(Errno.EINVAL);
    expect((await refusal(attachXdp(linux, xdp, { ifindex: right, mode: 'offload' }))).errno).toBe(
      Errno.EINVAL,
    );
    // The kernel's own words come along: the loopback device of this network has no driver for it.
    const loopback = await refusal(linux.xdpSet({ ifindex: 1, prog: xdp.fd, flags: XdpFlag.DrvMode }));
    expect(loopback.errno).toBe(Errno.EOPNOTSUPP);
    expect(loopback.message).toMatch(/driver does not support XDP/);
    // There is no place for filters yet.
    const filter = { ifindex: right, direction: 'ingress' } as const;
    expect((await refusal(linux.tcFilterAdd({ ...filter, prog: tc.fd }))).errno).toBe(Errno.EINVAL);
    expect((await refusal(linux.tcFilterAdd({ ...filter, prog: 1 }))).errno).toBe(Errno.EBADF);
    expect((await refusal(linux.tcFilterAdd({ ...filter, prog: tc.fd, priority: 70000 }))).errno).toBe(
      Errno.EINVAL,
    );
  });

  test('a network namespace and its packet filter take links', async () => {
    using linux = new LinuxKernel();
    using network = new Network();
    network.pair('left', 'right');
    const namespace = await linux.open('/proc/thread-self/ns/net');
    const attr = { instructions: code('r0 = 1\nexit'), license: 'GPL' };
    const lookup = await linux.progLoad({
      ...attr,
      type: ProgType.SkLookup,
      expectedAttachType: AttachType.SkLookup,
    });
    const link = await attachLink(
      linux,
      { name: 'lookup', fd: lookup },
      { target: namespace, attachType: AttachType.SkLookup },
    );
    const info = await link.info();
    expect(info).toMatchObject({ type: LinkType.Netns, attachType: AttachType.SkLookup });
    const query = { target: namespace, attachType: AttachType.SkLookup };
    expect((await linux.progQuery(query)).programs.map(({ progId }) => progId)).toEqual([info.progId]);
    await link.detach();
    expect((await linux.progQuery(query)).programs).toEqual([]);

    const filter = await linux.progLoad({
      ...attr,
      type: ProgType.Netfilter,
      expectedAttachType: AttachType.Netfilter,
    });
    const netfilter = { pf: 2, hooknum: 1, priority: -5 };
    await using hooked = await attachLink(
      linux,
      { name: 'filter', fd: filter },
      { attachType: AttachType.Netfilter, netfilter },
    );
    expect(await hooked.info()).toMatchObject({ type: LinkType.Netfilter, ...netfilter, flags: 0 });

    const dissector = await linux.progLoad({ ...attr, type: ProgType.FlowDissector });
    const flow = { attachType: AttachType.FlowDissector };
    await linux.progAttach({ ...flow, prog: dissector });
    expect((await linux.progQuery({ ...flow, target: namespace })).programs).toHaveLength(1);
    await linux.progDetach({ ...flow, prog: dissector });
    expect((await linux.progQuery({ ...flow, target: namespace })).programs).toHaveLength(0);
  });

  test('nothing is left: no descriptor, and the host has not one program more', async () => {
    using linux = new LinuxKernel();
    const programs = JSON.stringify(await linux.netDevices());
    const descriptors = readdirSync('/proc/self/fd').length;
    {
      using inner = new LinuxKernel();
      using network = new Network();
      const [, right] = network.pair('left', 'right');
      const program = await counter(inner, ProgType.Xdp, 2);
      for (let i = 0; i < 20; i++) {
        await (await attachXdp(inner, program, { ifindex: right })).close();
        await (await attachXdp(inner, program, { ifindex: right, via: 'netlink' })).close();
        await refusal(attachXdp(inner, program, { ifindex: 0x7fff0000 }));
      }
    }
    expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
    expect(JSON.stringify(await linux.netDevices())).toBe(programs);
  });
});
