// What keeps an object and what does not: the same story in Linux and in the emulated kernel, told by ids.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bpf, Fd, MapCreateAttr, ProgLoadAttr } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { AttachType, MapFlag, MapType, ProgFlag, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { Mounts } from './mounts.js';
import { Network, run } from './netns.js';

const word = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** BTF of one integer of 4 bytes, type 1. */
function intBtf(): Uint8Array {
  const bytes = new Uint8Array(45);
  const view = new DataView(bytes.buffer);
  [0x0001eb9f, 24, 0, 16, 16, 5, 1, 1 << 24, 4, (1 << 24) | 32].forEach((value, i) => {
    view.setUint32(i * 4, value, true);
  });
  bytes.set(new TextEncoder().encode('\0int\0'), 40);
  return bytes;
}

type Kind = 'map' | 'prog' | 'btf' | 'link';

/** A kernel, and objects in it by name. */
class Story {
  readonly kernel: Bpf;
  readonly device: number;
  /** Takes the device away. */
  readonly remove: () => Promise<void>;
  /** What was alive when, so far. */
  readonly heard: string[] = [];
  /** The same as it is to be: what goes may take a while. */
  readonly #expected: readonly string[];
  readonly #fds = new Map<string, Fd>();
  readonly #ids = new Map<string, { kind: Kind; id: number }>();

  constructor(kernel: Bpf, device: number, remove: () => Promise<void>, expected: readonly string[]) {
    this.kernel = kernel;
    this.device = device;
    this.remove = remove;
    this.#expected = expected;
  }

  /** The descriptor of a name. */
  fd(name: string): Fd {
    const fd = this.#fds.get(name);
    if (fd === undefined) throw new Error(`${name} is closed`);
    return fd;
  }

  id(name: string): number {
    return this.#ids.get(name)?.id ?? 0;
  }

  async keep(name: string, made: Promise<Fd>): Promise<void> {
    const { kernel } = this;
    const fd = await made;
    const kind = await kernel.objKind(fd);
    const infos = {
      map: () => kernel.mapInfo(fd),
      prog: () => kernel.progInfo(fd),
      btf: () => kernel.btfInfo(fd),
      link: () => kernel.linkInfo(fd),
    };
    if (this.#fds.has(name)) await this.close(name);
    this.#fds.set(name, fd);
    this.#ids.set(name, { kind, id: (await infos[kind]()).id });
  }

  async close(...names: string[]): Promise<void> {
    for (const name of names) {
      await this.kernel.close(this.fd(name));
      this.#fds.delete(name);
    }
  }

  /** Closes what is still open. */
  async end(): Promise<void> {
    await this.close(...this.#fds.keys());
  }

  map(name: string, type: MapType = MapType.Array, more: Partial<MapCreateAttr> = {}): Promise<void> {
    const attr = { type, keySize: 4, valueSize: 4, maxEntries: 2, ...more };
    return this.keep(name, this.kernel.mapCreate(attr));
  }

  prog(name: string, text = 'r0 = 2\nexit', more: Partial<ProgLoadAttr> = {}): Promise<void> {
    const instructions = encode(assemble(text || 'exit'));
    const attr = { type: ProgType.Xdp, instructions, license: 'GPL', ...more };
    return this.keep(name, this.kernel.progLoad(attr));
  }

  /** A program that refers to a map. */
  using(name: string, map: string): Promise<void> {
    const insns = [loadPseudo(1, PseudoSource.MAP_FD, this.fd(map)), ...assemble('r0 = 2\nexit')];
    return this.prog(name, '', { instructions: encode(insns) });
  }

  put(map: string, key: number, object: string): Promise<void> {
    return this.kernel.mapUpdateElem(this.fd(map), word(key), word(this.fd(object)));
  }

  async #there({ kind, id }: { kind: Kind; id: number }): Promise<boolean> {
    const { kernel } = this;
    const open = {
      map: () => kernel.mapGetFdById(id),
      prog: () => kernel.progGetFdById(id),
      btf: () => kernel.btfGetFdById(id),
      link: () => kernel.linkGetFdById(id),
    };
    const next = {
      map: () => kernel.mapGetNextId(id - 1),
      prog: () => kernel.progGetNextId(id - 1),
      btf: () => kernel.btfGetNextId(id - 1),
      link: () => kernel.linkGetNextId(id - 1),
    };
    // Whoever opens a program array and closes it again and again may leave it behind in Linux: so the walk is asked first.
    const found = await next[kind]().catch(() => 0);
    if (found === id) return true;
    const gone = await said(open[kind]());
    expect(gone).toBe('ENOENT');
    return false;
  }

  /** Which of these there are. What goes may take a while in Linux. */
  async alive(...names: string[]): Promise<string> {
    const expected = this.#expected[this.heard.length];
    const until = performance.now() + (expected === undefined ? 0 : 3000);
    let left = await this.#left(names);
    while (left !== expected && performance.now() < until) {
      await new Promise((done) => setTimeout(done, 5));
      left = await this.#left(names);
    }
    this.heard.push(left);
    return left;
  }

  async #left(names: readonly string[]): Promise<string> {
    const left: string[] = [];
    for (const name of names) {
      const object = this.#ids.get(name);
      if (!object) throw new Error(`there was never a ${name}`);
      if (await this.#there(object)) left.push(name);
    }
    return left.join(' ');
  }
}

async function said(step: Promise<unknown>): Promise<unknown> {
  try {
    return (await step) ?? 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const PIN = '/sys/fs/bpf';

/** Each tells what is alive when, and what is answered on the way. */
const stories: Record<string, (story: Story) => Promise<unknown[]>> = {
  'a map lives by its descriptors': async (s) => {
    await s.map('map');
    const again = await s.kernel.mapGetFdById(s.id('map'));
    await s.close('map');
    const heard = [await s.alive('map')];
    await s.kernel.close(again);
    return [...heard, await s.alive('map')];
  },

  'a program keeps its maps': async (s) => {
    await s.map('map');
    await s.using('prog', 'map');
    await s.close('map');
    const heard = [await s.alive('map', 'prog')];
    await s.close('prog');
    return [...heard, await s.alive('map', 'prog')];
  },

  'a program keeps a map that it was bound to': async (s) => {
    await s.map('map');
    await s.prog('prog');
    const heard: unknown[] = [
      await said(s.kernel.progBindMap(s.fd('prog'), s.fd('map'))),
      await said(s.kernel.progBindMap(s.fd('prog'), s.fd('map'))),
      (await s.kernel.progInfo(s.fd('prog'))).mapIds.length,
      await said(s.kernel.progBindMap(s.fd('map'), s.fd('map'))),
      await said(s.kernel.progBindMap(s.fd('prog'), s.fd('prog'))),
    ];
    await s.close('map');
    heard.push(await s.alive('map'));
    await s.close('prog');
    return [...heard, await s.alive('map')];
  },

  'a program keeps the maps of its array of descriptors when it is told to': async (s) => {
    await s.map('map');
    await s.map('other');
    await s.prog('prog', 'r0 = 2\nexit', { fdArray: [s.fd('map'), s.fd('map')], fdArrayBind: true });
    await s.prog('free', 'r0 = 2\nexit', { fdArray: [s.fd('other')] });
    const heard: unknown[] = [(await s.kernel.progInfo(s.fd('prog'))).mapIds.length];
    await s.close('map', 'other');
    heard.push(await s.alive('map', 'other'));
    await s.close('prog');
    return [...heard, await s.alive('map')];
  },

  'BTF is kept by maps and programs': async (s) => {
    await s.keep('btf', s.kernel.btfLoad(intBtf()));
    const btf = { btfFd: s.fd('btf'), btfKeyTypeId: 1, btfValueTypeId: 1 };
    await s.map('map', MapType.Array, btf);
    await s.prog('prog', 'r0 = 2\nexit', { progBtfFd: s.fd('btf') });
    await s.close('btf');
    const heard = [await s.alive('btf')];
    await s.close('map');
    heard.push(await s.alive('btf', 'map'));
    await s.close('prog');
    return [...heard, await s.alive('btf', 'prog')];
  },

  "the kernel's own types are there, and nobody's": async (s) => {
    const btf = await s.kernel.btfGetFdById(1);
    const { name, kernelBtf, id } = await s.kernel.btfInfo(btf);
    const types = { btfFd: btf, btfKeyTypeId: 1, btfValueTypeId: 1 };
    const heard = [
      name,
      kernelBtf,
      id,
      await said(s.map('map', MapType.Array, types)),
      await said(s.prog('prog', 'r0 = 2\nexit', { progBtfFd: btf, funcInfo: word(0, 1) })),
      await said(s.kernel.objPin(btf, `${PIN}/types`)),
    ];
    await s.kernel.close(btf);
    return [...heard, await said(s.kernel.btfGetFdById(1).then((fd) => s.kernel.close(fd)))];
  },

  'a program array keeps programs as long as somebody uses it': async (s) => {
    await s.map('array', MapType.ProgArray);
    await s.prog('target');
    await s.put('array', 0, 'target');
    await s.using('caller', 'array');
    await s.close('target');
    const heard = [await s.alive('target')];
    await s.close('array');
    heard.push(await s.alive('array', 'target', 'caller'));
    await s.close('caller');
    return [...heard, await s.alive('array', 'caller')];
  },

  'a pin is a use of a program array': async (s) => {
    await s.map('array', MapType.ProgArray);
    await s.prog('target');
    await s.put('array', 0, 'target');
    await s.using('caller', 'array');
    await s.kernel.objPin(s.fd('array'), `${PIN}/array`);
    await s.close('target', 'array');
    const heard = [await s.alive('array', 'target')];
    await s.kernel.unlink(`${PIN}/array`);
    heard.push(await s.alive('array', 'target'));
    // It is there still, and may be used again.
    await s.keep('array', s.kernel.mapGetFdById(s.id('array')));
    return [...heard, await said(s.kernel.mapLookupElem(s.fd('array'), word(0)))];
  },

  'what is replaced or deleted in a program array goes': async (s) => {
    await s.map('array', MapType.ProgArray);
    for (const name of ['a', 'b', 'c']) await s.prog(name);
    await s.put('array', 0, 'a');
    await s.put('array', 1, 'b');
    await s.put('array', 0, 'c');
    await s.close('a', 'b', 'c');
    const heard = [await s.alive('a', 'b', 'c')];
    await s.kernel.mapDeleteElem(s.fd('array'), word(1));
    return [...heard, await s.alive('a', 'b', 'c')];
  },

  'a program in an array that refers to that array goes with it': async (s) => {
    await s.map('array', MapType.ProgArray);
    await s.using('loop', 'array');
    await s.put('array', 0, 'loop');
    await s.close('loop');
    const heard = [await s.alive('array', 'loop')];
    await s.close('array');
    return [...heard, await s.alive('array', 'loop')];
  },

  'a map of maps keeps maps': async (s) => {
    await s.map('model');
    await s.map('inner');
    await s.map('outer', MapType.ArrayOfMaps, { innerMapFd: s.fd('model') });
    await s.put('outer', 0, 'inner');
    await s.close('model', 'inner');
    const heard = [await s.alive('model', 'inner')];
    await s.using('prog', 'outer');
    await s.close('outer');
    heard.push(await s.alive('outer', 'inner'));
    await s.close('prog');
    return [...heard, await s.alive('outer', 'inner')];
  },

  'a hash of maps keeps maps': async (s) => {
    await s.map('inner');
    await s.map('other');
    await s.map('outer', MapType.HashOfMaps, { innerMapFd: s.fd('inner') });
    await s.put('outer', 7, 'inner');
    await s.put('outer', 8, 'inner');
    await s.close('inner');
    await s.put('outer', 7, 'other');
    const heard = [await s.alive('inner')];
    await s.kernel.mapDeleteElem(s.fd('outer'), word(8));
    heard.push(await s.alive('inner'));
    await s.close('other', 'outer');
    return [...heard, await s.alive('other', 'outer')];
  },

  'a program array in use by a map of maps loses its programs': async (s) => {
    await s.map('inner', MapType.Array);
    const outer = s.map('outer', MapType.ArrayOfMaps, { innerMapFd: s.fd('inner') });
    await outer;
    await s.map('array', MapType.ProgArray);
    return [await said(s.put('outer', 0, 'array'))];
  },

  'events go with the descriptor that put them in': async (s) => {
    const attr = { type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 2 };
    await s.keep('events', s.kernel.mapCreate(attr));
    const other = await s.kernel.mapGetFdById(s.id('events'));
    const buffers = [await s.kernel.perfBufferOpen(0, 4096), await s.kernel.perfBufferOpen(0, 4096)];
    await s.kernel.mapUpdateElem(s.fd('events'), word(0), word(buffers[0] as Fd));
    await s.kernel.mapUpdateElem(other, word(1), word(buffers[1] as Fd));
    await s.kernel.close(other);
    // A slot that is empty cannot be deleted.
    const heard = [
      await said(s.kernel.mapDeleteElem(s.fd('events'), word(0))),
      await said(s.kernel.mapDeleteElem(s.fd('events'), word(1))),
    ];
    for (const fd of buffers) await s.kernel.close(fd);
    return heard;
  },

  'events stay in a map that is told to keep them': async (s) => {
    const flags = MapFlag.PreserveElems;
    const attr = { type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 2, flags };
    await s.keep('events', s.kernel.mapCreate(attr));
    const other = await s.kernel.mapGetFdById(s.id('events'));
    const buffer = await s.kernel.perfBufferOpen(0, 4096);
    await s.kernel.mapUpdateElem(other, word(1), word(buffer));
    await s.kernel.close(other);
    const heard = [await said(s.kernel.mapDeleteElem(s.fd('events'), word(1)))];
    await s.kernel.close(buffer);
    return heard;
  },

  'programs of elements live as long as their elements': async (s) => {
    await s.map('devices', MapType.Devmap, { valueSize: 8 });
    await s.prog('prog', 'r0 = 2\nexit', { expectedAttachType: AttachType.XdpDevmap });
    await s.kernel.mapUpdateElem(s.fd('devices'), word(0), word(s.device, s.fd('prog')));
    await s.close('prog');
    const heard = [await s.alive('prog')];
    await s.kernel.mapUpdateElem(s.fd('devices'), word(0), word(s.device, 0));
    return [...heard, await s.alive('prog')];
  },

  'a link keeps its program, and goes with its descriptor': async (s) => {
    await s.prog('prog');
    const attr = { prog: s.fd('prog'), attachType: AttachType.Xdp, ifindex: s.device };
    await s.keep('link', s.kernel.linkCreate(attr));
    await s.close('prog');
    const heard = [await s.alive('prog', 'link')];
    await s.prog('next');
    await s.kernel.linkUpdate(s.fd('link'), { newProg: s.fd('next') });
    await s.close('next');
    heard.push(await s.alive('prog', 'next', 'link'));
    await s.close('link');
    return [...heard, await s.alive('next', 'link')];
  },

  'a pinned link stays': async (s) => {
    await s.prog('prog');
    const attr = { prog: s.fd('prog'), attachType: AttachType.Xdp, ifindex: s.device };
    await s.keep('link', s.kernel.linkCreate(attr));
    await s.kernel.objPin(s.fd('link'), `${PIN}/link`);
    await s.close('prog', 'link');
    const heard: unknown[] = [await s.alive('prog', 'link')];
    await s.keep('again', s.kernel.objGet(`${PIN}/link`));
    heard.push(await said(s.kernel.objGet(`${PIN}/link`, MapFlag.Rdonly)));
    heard.push((await s.kernel.fileStat(`${PIN}/link`)).kind);
    await s.kernel.linkDetach(s.fd('again'));
    heard.push(await s.alive('prog', 'link'));
    await s.close('again');
    await s.kernel.unlink(`${PIN}/link`);
    return [...heard, await s.alive('prog', 'link')];
  },

  'a device keeps what is attached without a link': async (s) => {
    await s.prog('prog');
    await s.prog('traffic', 'r0 = 0\nexit', { type: ProgType.SchedCls });
    const tcx = { attachType: AttachType.TcxIngress, ifindex: s.device };
    await s.kernel.xdpSet({ ifindex: s.device, prog: s.fd('prog') });
    await s.kernel.progAttach({ prog: s.fd('traffic'), ...tcx });
    await s.close('prog', 'traffic');
    const heard = [await s.alive('prog', 'traffic')];
    await s.kernel.xdpSet({ ifindex: s.device, prog: null });
    await s.kernel.progDetach(tcx);
    return [...heard, await s.alive('prog', 'traffic')];
  },

  'what is attached goes with the device, links stay': async (s) => {
    for (const name of ['held', 'linked', 'first']) {
      await s.prog(name, 'r0 = 0\nexit', { type: ProgType.SchedCls });
    }
    await s.prog('prog');
    const tcx = { attachType: AttachType.TcxEgress, ifindex: s.device };
    await s.kernel.xdpSet({ ifindex: s.device, prog: s.fd('prog') });
    await s.kernel.progAttach({ prog: s.fd('held'), ...tcx });
    await s.keep('link', s.kernel.linkCreate({ prog: s.fd('linked'), ...tcx }));
    await s.close('prog', 'held', 'linked', 'first');
    const heard = [await s.alive('prog', 'held', 'linked', 'first', 'link')];
    await s.remove();
    heard.push(await s.alive('prog', 'held', 'linked', 'link'));
    await s.close('link');
    return [...heard, await s.alive('linked', 'link')];
  },

  'a program that is bound to a device runs only there': async (s) => {
    const bound = { flags: ProgFlag.XdpDevBoundOnly, ifindex: s.device };
    await s.prog('prog', 'r0 = 2\nexit', bound);
    const { id, ifindex } = await s.kernel.progInfo(s.fd('prog'));
    const heard: unknown[] = [
      id === s.id('prog'),
      ifindex === s.device,
      await said(s.kernel.xdpSet({ ifindex: 1, prog: s.fd('prog') })),
      await said(s.kernel.xdpSet({ ifindex: s.device, prog: s.fd('prog'), flags: 2 })),
      await said(s.kernel.xdpSet({ ifindex: s.device, prog: s.fd('prog') })),
      await said(s.prog('nowhere', 'r0 = 2\nexit', { ...bound, ifindex: 999 })),
      await said(s.prog('loopback', 'r0 = 2\nexit', { ...bound, ifindex: 1 })),
      await said(s.prog('offloaded', 'r0 = 2\nexit', { ifindex: s.device })),
      await said(s.prog('filter', 'r0 = 0\nexit', { ...bound, type: ProgType.SocketFilter })),
      await said(s.prog('traffic', 'r0 = 0\nexit', { ...bound, type: ProgType.SchedCls })),
      await said(s.prog('free', 'r0 = 2\nexit', { flags: ProgFlag.XdpDevBoundOnly })),
      await said(s.prog('strict', 'r0 = 2\nexit', { ...bound, flags: bound.flags | ProgFlag.TestStateFreq })),
    ];
    await s.remove();
    const { ifindex: none } = await s.kernel.progInfo(s.fd('prog'));
    return [...heard, none, await s.alive('prog')];
  },

  'programs of one map have much in common': async (s) => {
    const pass = 'r0 = 2\nexit';
    await s.prog('plain', pass);
    await s.prog('said', pass, { expectedAttachType: AttachType.Xdp });
    await s.prog('fragments', pass, { flags: ProgFlag.XdpHasFrags });
    await s.prog('bound', pass, { flags: ProgFlag.XdpDevBoundOnly, ifindex: s.device });
    await s.prog('traffic', pass, { type: ProgType.SchedCls });
    const devices = { expectedAttachType: AttachType.XdpDevmap };
    await s.prog('devices', pass, devices);
    await s.prog('devices with fragments', pass, { ...devices, flags: ProgFlag.XdpHasFrags });
    const heard: unknown[] = [];
    for (const first of ['bound', 'plain', 'said', 'fragments', 'traffic']) {
      await s.map('array', MapType.ProgArray);
      for (const name of [first, 'plain', 'said', 'fragments', 'bound', 'traffic']) {
        heard.push(`${first}, then ${name}`, await said(s.put('array', 1, name)));
      }
      heard.push(await said(s.using('caller', 'array')));
      const { ownerProgType, ownerJited } = await s.kernel.mapInfo(s.fd('array'));
      heard.push(ownerProgType, ownerJited);
      await s.close('array');
    }
    await s.map('map', MapType.Devmap, { valueSize: 8 });
    await s.using('user', 'map');
    const put = (name: string) =>
      said(s.kernel.mapUpdateElem(s.fd('map'), word(0), word(s.device, s.fd(name))));
    for (const name of ['devices', 'devices with fragments', 'plain']) heard.push(name, await put(name));
    const load = (more: Partial<ProgLoadAttr>) => {
      const insns = [loadPseudo(1, PseudoSource.MAP_FD, s.fd('map')), ...assemble(pass)];
      return said(s.prog('another', '', { instructions: encode(insns), ...more }));
    };
    heard.push(await load({ flags: ProgFlag.XdpHasFrags }), await load({ type: ProgType.SchedCls }));
    return heard;
  },

  'a frozen map is written by programs only': async (s) => {
    await s.map('map');
    const write = () => said(s.kernel.mapUpdateElem(s.fd('map'), word(0), word(1)));
    const heard = [
      await write(),
      await said(s.kernel.mapFreeze(s.fd('map'))),
      await write(),
      await said(s.kernel.mapFreeze(s.fd('map'))),
      await said(s.kernel.mapDeleteElem(s.fd('map'), word(0))),
      await said(s.kernel.mapLookupElem(s.fd('map'), word(0)).then(() => 'read')),
    ];
    const readOnly = await s.kernel.mapGetFdById(s.id('map'), MapFlag.Rdonly);
    heard.push(await said(s.kernel.mapFreeze(readOnly)));
    await s.kernel.close(readOnly);
    const { frozen } = await s.kernel.mapInfo(s.fd('map'));
    return [...heard, frozen];
  },

  'only a descriptor that may write freezes': async (s) => {
    await s.map('map');
    const readOnly = await s.kernel.mapGetFdById(s.id('map'), MapFlag.Rdonly);
    const heard = [await said(s.kernel.mapFreeze(readOnly))];
    await s.kernel.close(readOnly);
    return heard;
  },
};

needs('what keeps an object', missingKernel() ?? missingTool('ip'), 'SKEP_REQUIRE_KERNEL', () => {
  let mounts: Mounts;
  beforeAll(() => {
    mounts = new Mounts();
  });
  afterAll(() => mounts[Symbol.dispose]());

  type Tell = (story: Story) => Promise<unknown>;

  async function inLinux(tell: Tell, expected: readonly string[]): Promise<unknown> {
    mounts.renew();
    using network = new Network();
    using linux = new LinuxKernel();
    const [left] = network.pair('left', 'right');
    return await tell(new Story(linux, left, async () => void run('ip', 'link', 'del', 'left'), expected));
  }

  async function emulated(tell: Tell): Promise<[told: unknown, heard: readonly string[]]> {
    const kernel = new EmulatedKernel();
    const { surroundings } = kernel;
    const left = await surroundings.deviceAdd({ name: 'left', mtu: 3000, peer: { name: 'right' } });
    const story = new Story(kernel, left, () => surroundings.deviceRemove('left'), []);
    const told = await tell(story);
    await story.end();
    // The kernel's own types are always there.
    expect([await kernel.btfGetNextId(0), await said(kernel.btfGetNextId(1))]).toEqual([1, 'ENOENT']);
    expect(await said(kernel.mapGetNextId(0))).toBe('ENOENT');
    return [told, story.heard];
  }

  test.each(Object.entries(stories))('%s', async (_, tell) => {
    const [told, heard] = await emulated(tell);
    expect(told).toEqual(await inLinux(tell, heard));
  });
});
