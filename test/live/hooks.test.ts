// Programs on a device: the same commands, one after the other, in Linux and in the emulated kernel.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { AttachFlag, AttachType, MapType, ProgFlag, ProgType, XdpFlag } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { Network, run } from './netns.js';

const LO = 1;

/** A kernel with two devices, `left` and `right`, and programs by name. */
class Side {
  readonly kernel: Bpf;
  readonly left: number;
  readonly right: number;
  readonly #remove: () => Promise<void>;
  readonly #fds = new Map<string, Fd>();
  /** What ids stand for. */
  readonly #names = new Map<string, string>();

  constructor(kernel: Bpf, devices: { left: number; right: number; remove(): Promise<void> }) {
    this.kernel = kernel;
    this.left = devices.left;
    this.right = devices.right;
    this.#remove = devices.remove;
  }

  async load(
    name: string,
    type: ProgType,
    attr: { attach?: AttachType; flags?: number } = {},
  ): Promise<void> {
    const instructions = encode(assemble(`r0 = ${this.#fds.size % 2}\nexit`));
    const fd = await this.kernel.progLoad({
      type,
      instructions,
      license: 'GPL',
      ...(attr.attach === undefined ? {} : { expectedAttachType: attr.attach }),
      ...(attr.flags === undefined ? {} : { flags: attr.flags }),
    });
    this.#names.set(`prog ${(await this.kernel.progInfo(fd)).id}`, name);
    this.#fds.set(name, fd);
  }

  /** The descriptor of a program or link; one that is not open for what there is not. */
  fd(name: string): Fd {
    return this.#fds.get(name) ?? 1000;
  }

  has(name: string): boolean {
    return this.#fds.has(name);
  }

  keep(name: string, fd: Fd): void {
    this.#fds.set(name, fd);
  }

  async keepLink(name: string, made: Promise<Fd>): Promise<void> {
    const fd = await made;
    this.#names.set(`link ${(await this.kernel.linkInfo(fd)).id}`, name);
    this.#fds.set(name, fd);
  }

  async close(name: string): Promise<void> {
    const fd = this.fd(name);
    this.#fds.delete(name);
    await this.kernel.close(fd);
  }

  async progId(name: string): Promise<number> {
    return (await this.kernel.progInfo(this.fd(name))).id;
  }

  async linkId(name: string): Promise<number> {
    return (await this.kernel.linkInfo(this.fd(name))).id;
  }

  name(kind: 'prog' | 'link', id: number): string | number {
    return this.#names.get(`${kind} ${id}`) ?? id;
  }

  removeLeft(): Promise<void> {
    return this.#remove();
  }

  /** Everything that is on the devices. */
  async state(): Promise<unknown> {
    const devices = (await this.kernel.netDevices()).map(({ name, xdp }) => ({
      name,
      xdp: xdp.map(({ mode, progId }) => `${mode} ${this.name('prog', progId)}`),
    }));
    const queries: Record<string, unknown> = {};
    for (const { ifindex, name } of await this.kernel.netDevices()) {
      for (const attachType of [AttachType.TcxIngress, AttachType.TcxEgress]) {
        const { programs, revision } = await this.kernel.progQuery({ ifindex, attachType });
        queries[`${name} ${attachType}`] = [
          revision,
          ...programs.map(({ progId, linkId }) => [
            this.name('prog', progId),
            linkId && this.name('link', linkId),
          ]),
        ];
      }
    }
    return { devices, queries };
  }

  async info(name: string): Promise<unknown> {
    const { id, progId, ...rest } = await this.kernel.linkInfo(this.fd(name));
    return { ...rest, link: this.name('link', id), prog: this.name('prog', progId) };
  }
}

async function prepare(side: Side): Promise<Side> {
  await side.load('xdp', ProgType.Xdp);
  await side.load('xdp2', ProgType.Xdp);
  await side.load('said', ProgType.Xdp, { attach: AttachType.Xdp });
  await side.load('devmap', ProgType.Xdp, { attach: AttachType.XdpDevmap });
  await side.load('frags', ProgType.Xdp, { flags: ProgFlag.XdpHasFrags });
  for (const name of ['a', 'b', 'c', 'd']) await side.load(name, ProgType.SchedCls);
  await side.load('filter', ProgType.SocketFilter);
  const map = await side.kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
  side.keep('map', map);
  return side;
}

async function said(step: Promise<unknown>): Promise<unknown> {
  try {
    return (await step) ?? 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

/** What both kernels say to the same. */
async function both(ask: (side: Side) => Promise<unknown>): Promise<[linux: unknown, emulated: unknown]> {
  let expected: unknown;
  {
    using network = new Network();
    using linux = new LinuxKernel();
    const [left, right] = network.pair('left', 'right');
    const remove = async () => void run('ip', 'link', 'del', 'left');
    expected = await ask(await prepare(new Side(linux, { left, right, remove })));
  }
  const kernel = new EmulatedKernel();
  const { surroundings } = kernel;
  const left = await surroundings.deviceAdd({ name: 'left', mtu: 3000, peer: { name: 'right' } });
  const right = (await kernel.netDevices()).find(({ name }) => name === 'right')?.ifindex ?? 0;
  const remove = () => surroundings.deviceRemove('left');
  return [expected, await ask(await prepare(new Side(kernel, { left, right, remove })))];
}

type Step = (side: Side) => Promise<unknown>;

const set =
  (name: string | null, flags = 0, expected?: string): Step =>
  ({ kernel, left, fd }) =>
    kernel.xdpSet({
      ifindex: left,
      prog: name === null ? null : fd(name),
      flags,
      ...(expected === undefined ? {} : { expectedProg: fd(expected) }),
    });

/** A link, which is kept by the name of what it is for. */
const link =
  (kept: string, prog: string, attachType: AttachType, more: object = {}): Step =>
  (side) =>
    side.keepLink(
      kept,
      side.kernel.linkCreate({ prog: side.fd(prog), attachType, ifindex: side.left, ...more }),
    );

const { Xdp, TcxIngress, TcxEgress, NetkitPrimary } = AttachType;
const { Before, After, Replace, Id, Link } = AttachFlag;

const attach =
  (prog: string, flags = 0, more: (side: Side) => object | Promise<object> = () => ({})): Step =>
  async (side) =>
    side.kernel.progAttach({
      prog: side.fd(prog),
      attachType: TcxIngress,
      ifindex: side.left,
      flags,
      ...(await more(side)),
    });

const detach =
  (prog: string | undefined, flags = 0, more: (side: Side) => object | Promise<object> = () => ({})): Step =>
  async (side) =>
    side.kernel.progDetach({
      ...(prog === undefined ? {} : { prog: side.fd(prog) }),
      attachType: TcxIngress,
      ifindex: side.left,
      flags,
      ...(await more(side)),
    });

const beside =
  (name: string) =>
  (side: Side): object => ({ anchor: { relativeFd: side.fd(name) } });

const xdpSteps: [string, Step][] = [
  ['nothing away', set(null)],
  ['a program', set('xdp')],
  ['the same again', set('xdp')],
  ['another', set('xdp2')],
  ['if there is none', set('xdp', XdpFlag.UpdateIfNoexist)],
  ['in place of the wrong one', set('xdp', 0, 'xdp')],
  ['in place of the right one', set('xdp', 0, 'xdp2')],
  ['replacing without saying what', set('xdp', XdpFlag.Replace)],
  ['in place of what is no program', set('xdp', 0, 'map')],
  ['generic beside native', set('xdp', XdpFlag.SkbMode)],
  ['two modes', set('xdp', XdpFlag.SkbMode | XdpFlag.DrvMode)],
  ['unknown flags', set('xdp', 1 << 10)],
  ['on the card', set('xdp', XdpFlag.HwMode)],
  ['for maps', set('devmap')],
  ['of another type', set('a')],
  ['a map', set('map')],
  ['a link over it', link('l', 'xdp', Xdp)],
  ['a generic link beside it', link('l', 'xdp', Xdp, { flags: XdpFlag.SkbMode })],
  ['the wrong mode away', set(null, XdpFlag.SkbMode)],
  ['away', set(null)],
  ['generic', set('xdp', XdpFlag.SkbMode)],
  ['native beside generic', set('xdp', XdpFlag.DrvMode)],
  ['by default beside generic', set('xdp')],
  ['generic away', set(null, XdpFlag.SkbMode)],
  ['a link', link('l', 'xdp', Xdp)],
  ['a second link', link('m', 'xdp', Xdp)],
  ['a second link in another mode', link('m', 'xdp', Xdp, { flags: XdpFlag.SkbMode })],
  ['netlink over a link', set('xdp2')],
  ['netlink away from a link', set(null)],
  ['a link with more flags', link('m', 'xdp', Xdp, { flags: XdpFlag.UpdateIfNoexist })],
  ['a link with two modes', link('m', 'xdp', Xdp, { flags: XdpFlag.SkbMode | XdpFlag.DrvMode })],
  ['what the link is', (side) => side.info('l')],
  ['updated', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp2') })],
  ['updated to the same', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp2') })],
  [
    'updated in place of the wrong one',
    ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp'), oldProg: fd('xdp') }),
  ],
  [
    'updated in place of the right one',
    ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp'), oldProg: fd('xdp2') }),
  ],
  ['updated to another type', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('a') })],
  ['updated to one that says more', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('said') })],
  ['updated to a map', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('map') })],
  [
    'updated with flags',
    ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp'), flags: Before }),
  ],
  ['a program updated', ({ kernel, fd }) => kernel.linkUpdate(fd('xdp'), { newProg: fd('xdp') })],
  ['what the link is now', (side) => side.info('l')],
  ['how it is then', (side) => side.state()],
  ['detached', ({ kernel, fd }) => kernel.linkDetach(fd('l'))],
  ['detached again', ({ kernel, fd }) => kernel.linkDetach(fd('l'))],
  ['a program detached', ({ kernel, fd }) => kernel.linkDetach(fd('xdp'))],
  ['what the link is after that', (side) => side.info('l')],
  ['updated after that', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp2') })],
  ['netlink after that', set('xdp2')],
  ['away after that', set(null)],
  ['the second link then', link('m', 'xdp2', Xdp)],
  ['closing the first', (side) => side.close('l')],
  ['netlink with the second', set('xdp')],
  ['closing the second', (side) => side.close('m')],
  ['netlink after the links', set('xdp')],
  [
    'on lo in its driver',
    ({ kernel, fd }) => kernel.xdpSet({ ifindex: LO, prog: fd('xdp'), flags: XdpFlag.DrvMode }),
  ],
  ['on lo', ({ kernel, fd }) => kernel.xdpSet({ ifindex: LO, prog: fd('xdp') })],
  [
    'on lo on the card',
    ({ kernel, fd }) => kernel.xdpSet({ ifindex: LO, prog: fd('xdp'), flags: XdpFlag.HwMode }),
  ],
  ['on no device', ({ kernel, fd }) => kernel.xdpSet({ ifindex: 77, prog: fd('xdp') })],
  ['a link on no device', link('m', 'xdp', Xdp, { ifindex: 77 })],
  ['a link for maps', link('m', 'devmap', Xdp, { ifindex: 2 })],
  ['a link of another type', link('m', 'a', Xdp)],
  ['a link of a map', link('m', 'map', Xdp)],
  ['a link of nothing', link('m', 'nothing', Xdp)],
  ['a link where it was not loaded for', link('m', 'xdp', AttachType.XdpDevmap)],
  ['a link to a cgroup', link('m', 'xdp', AttachType.CgroupInetIngress)],
  [
    'attaching',
    ({ kernel, left, fd }) => kernel.progAttach({ prog: fd('xdp'), attachType: Xdp, ifindex: left }),
  ],
  [
    'detaching',
    ({ kernel, left, fd }) => kernel.progDetach({ prog: fd('xdp'), attachType: Xdp, ifindex: left }),
  ],
  ['asking', ({ kernel, left }) => kernel.progQuery({ attachType: Xdp, ifindex: left })],
  ['iterating over a link', ({ kernel, fd }) => kernel.iterCreate(fd('xdp'))],
  ['how it is in the end', (side) => side.state()],
];

const tcxSteps: [string, Step][] = [
  ['nothing there', (side) => side.state()],
  ['nothing away', detach('a')],
  ['the last of nothing away', detach(undefined)],
  ['a', attach('a')],
  ['a again', attach('a')],
  ['b', attach('b')],
  ['c first', attach('c', Before)],
  ['d behind a', attach('d', After, beside('a'))],
  ['order', (side) => side.state()],
  ['d away', detach('d')],
  ['d before b', attach('d', Before, beside('b'))],
  ['order 2', (side) => side.state()],
  ['b before, which is not', detach('b', Before, beside('a'))],
  ['b behind d', detach('b', After, beside('d'))],
  ['b behind what is not there', attach('b', After, beside('b'))],
  ['b in between', attach('b', Before | After, beside('d'))],
  ['b without a side', attach('b', 0, beside('d'))],
  ['b by id without a side', attach('b', Id, beside('d'))],
  [
    'b before an id',
    attach('b', Before | Id, async (side) => ({ anchor: { relativeId: await side.progId('a') } })),
  ],
  ['b before no id', attach('b', Before | Id, () => ({ anchor: { relativeId: 0x7fffffff } }))],
  [
    'b away by id',
    detach('b', Before | Id, async (side) => ({ anchor: { relativeId: await side.progId('a') } })),
  ],
  ['beside one of another type', attach('b', Before, beside('xdp'))],
  ['beside a map', attach('b', Before, beside('map'))],
  ['beside a link that is none', attach('b', Before | Link, beside('a'))],
  ['beside no link', attach('b', Before | Link)],
  ['an old revision', attach('b', 0, () => ({ anchor: { expectedRevision: 1n } }))],
  ['replacing nothing', attach('b', Replace)],
  ['replacing what is not there', attach('b', Replace, (side) => ({ replaceProg: side.fd('b') }))],
  ['replacing by what is there', attach('a', Replace, (side) => ({ replaceProg: side.fd('d') }))],
  ['replacing', attach('b', Replace, (side) => ({ replaceProg: side.fd('d') }))],
  ['replacing one of another type', attach('d', Replace, (side) => ({ replaceProg: side.fd('xdp') }))],
  ['unknown flags', attach('d', AttachFlag.AllowMulti)],
  ['another type', attach('xdp')],
  ['a map', attach('map')],
  ['no device', attach('d', 0, () => ({ ifindex: 77 }))],
  ['order 3', (side) => side.state()],
  ['a link', link('l', 'd', TcxIngress)],
  ['a link of what is there', link('m', 'a', TcxIngress)],
  ['a second link first', link('m', 'xdp', TcxIngress, { flags: Before })],
  ['what the link is', (side) => side.info('l')],
  ['a link away as a program', detach('d')],
  ['the last away, which is a link', detach(undefined)],
  ['the first away', detach(undefined, Before)],
  ['behind a link', attach('c', After | Link, beside('l'))],
  ['c away behind a link', detach('c', After | Link, beside('l'))],
  [
    'c before a link',
    attach('c', Before | Link | Id, async (side) => ({ anchor: { relativeId: await side.linkId('l') } })),
  ],
  ['replacing a link', attach('xdp2', Replace, (side) => ({ replaceProg: side.fd('d') }))],
  ['order 4', (side) => side.state()],
  ['updated to what is there', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('c') })],
  ['updated to another type', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('xdp') })],
  ['c away', detach('c')],
  ['updated', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('c') })],
  ['updated to the same', ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('c') })],
  [
    'updated in place of the wrong one',
    ({ kernel, fd }) => kernel.linkUpdate(fd('l'), { newProg: fd('d'), oldProg: fd('a') }),
  ],
  ['order 5', (side) => side.state()],
  ['egress', link('e', 'a', TcxEgress)],
  ['netkit', link('m', 'a', NetkitPrimary)],
  [
    'netkit without a link',
    ({ kernel, left, fd }) => kernel.progAttach({ prog: fd('a'), attachType: NetkitPrimary, ifindex: left }),
  ],
  ['netkit asked', ({ kernel, left }) => kernel.progQuery({ attachType: NetkitPrimary, ifindex: left })],
  ['netkit on no device', link('m', 'a', NetkitPrimary, { ifindex: 77 })],
  ['a link on no device', link('m', 'b', TcxIngress, { ifindex: 77 })],
  ['a link of XDP', link('m', 'xdp', TcxIngress)],
  ['a link of a socket filter', link('m', 'filter', TcxIngress)],
  [
    'asked with flags',
    ({ kernel, left }) => kernel.progQuery({ attachType: TcxIngress, ifindex: left, flags: 1 }),
  ],
  ['asked of no device', ({ kernel }) => kernel.progQuery({ attachType: TcxIngress, ifindex: 77 })],
  ['detached', ({ kernel, fd }) => kernel.linkDetach(fd('l'))],
  ['what the link is after that', (side) => side.info('l')],
  ['order 6', (side) => side.state()],
  ['a program whose descriptor goes', (side) => side.close('b')],
  ['it stays', (side) => side.state()],
  ['XDP beside it', set('xdp')],
  [
    'XDP by a link on the other end',
    (side) =>
      side.keepLink(
        'x',
        side.kernel.linkCreate({ prog: side.fd('xdp'), attachType: Xdp, ifindex: side.right }),
      ),
  ],
  ['the device goes', (side) => side.removeLeft()],
  ['what the XDP link is', (side) => side.info('x')],
  ['what the egress link is', (side) => side.info('e')],
  ['updating the XDP link', ({ kernel, fd }) => kernel.linkUpdate(fd('x'), { newProg: fd('xdp2') })],
  ['updating the egress link', ({ kernel, fd }) => kernel.linkUpdate(fd('e'), { newProg: fd('d') })],
  ['detaching the egress link', ({ kernel, fd }) => kernel.linkDetach(fd('e'))],
  ['what is left', (side) => side.state()],
];

needs('programs on a device', missingKernel() ?? missingTool('ip'), 'SKEP_REQUIRE_KERNEL', () => {
  test.each([
    ['XDP', xdpSteps],
    ['tcx', tcxSteps],
  ])('%s: every command has the errno of Linux, and the same effect', async (_, steps) => {
    const [linux, emulated] = await both(async (side) => {
      const bound = bind(side);
      const answers: Record<string, unknown> = {};
      for (const [name, step] of steps) answers[name] = await said(step(bound));
      return answers;
    });
    expect(emulated).toEqual(linux);
  });
});

/** What the random commands are about. */
const names = fc.constantFrom('a', 'b', 'c', 'd');
const links = fc.constantFrom('k', 'l');
const flags = fc
  .subarray([Before, After, Replace, Id, Link], { maxLength: 3 })
  .map((bits) => bits.reduce((sum, bit) => sum | bit, 0));
const revision = fc.option(fc.bigInt(1n, 6n), { freq: 4 });

const anything = fc.record({
  what: fc.constantFrom('attach', 'attach', 'attach', 'detach', 'detach', 'link', 'link', 'update', 'close'),
  name: names,
  link: links,
  flags: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(0, Before, After) },
    { weight: 3, arbitrary: flags },
  ),
  /** A program, a link, or nothing to stand beside. */
  beside: fc.option(fc.oneof(names, links)),
  replaced: names,
  revision,
});

/** An id that nothing has. */
const NOBODY = 0x7fffffff;

async function command(side: Side, given: Given): Promise<unknown> {
  const { kernel, left } = side;
  const { what, name, flags, beside, revision } = given;
  const isLink = beside === 'k' || beside === 'l';
  // By its id, what is not there is nothing; and what has a link's number among the programs is chance.
  const idOf = async (of: string): Promise<number> =>
    isLink !== ((flags & Link) !== 0)
      ? NOBODY
      : (isLink ? side.linkId(of) : side.progId(of)).catch(() => NOBODY);
  const relative = async () => {
    if (beside === null) return {};
    return flags & Id
      ? { relativeId: await idOf(beside) }
      : { relativeFd: side.fd(side.has(beside) ? beside : 'map') };
  };
  const expected = revision === null ? {} : { expectedRevision: revision };
  const place = {
    attachType: TcxIngress,
    ifindex: left,
    flags,
    anchor: { ...(await relative()), ...expected },
  };
  const replaceProg = side.fd(given.replaced);
  const link = side.has(given.link) ? side.fd(given.link) : side.fd('map');
  switch (what) {
    case 'attach':
      return kernel.progAttach({
        prog: side.fd(name),
        ...place,
        ...(flags & Replace ? { replaceProg } : {}),
      });
    case 'detach':
      return kernel.progDetach({ ...place, ...(given.replaced === name ? {} : { prog: side.fd(name) }) });
    case 'link':
      if (side.has(given.link)) return 'there';
      return side.keepLink(given.link, kernel.linkCreate({ prog: side.fd(name), ...place }));
    case 'update':
      return kernel.linkUpdate(link, { newProg: side.fd(name) });
    default:
      return side.has(given.link) ? side.close(given.link) : 'none';
  }
}

type Given = typeof anything extends fc.Arbitrary<infer T> ? T : never;

needs('many programs on one hook', missingKernel() ?? missingTool('ip'), 'SKEP_REQUIRE_KERNEL', () => {
  test('any sequence of commands gives the same order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 10, maxLength: 60 }), async (all) => {
        const [linux, emulated] = await both(async (side) => {
          const answers: unknown[] = [];
          for (const given of all) {
            const answer = await said(command(side, given));
            answers.push([given, answer, await side.state()]);
          }
          return answers;
        });
        expect(emulated).toEqual(linux);
      }),
      { numRuns: 40 },
    );
  });
});

/** Steps take methods off the side. */
function bind(side: Side): Side {
  side.fd = side.fd.bind(side);
  return side;
}
