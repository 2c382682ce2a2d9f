// Names in a bpf file system: the same operations, one after the other, in Linux and in the emulated kernel.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { BpfError, Errno, errnoName } from '../../src/bpf/errno.js';
import { MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { Mounts } from './mounts.js';

const TOP = '/sys/fs/bpf';
const NOBODY = 65534;
const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A kernel with a map and a program, and the same kernel as another user has it. */
interface Side {
  kernel: Bpf;
  map: Fd;
  prog: Fd;
  /** Runs `body` as a user without rights. */
  asNobody<T>(body: (kernel: Bpf) => Promise<T>): Promise<T>;
}

async function side(kernel: Bpf, asNobody: Side['asNobody']): Promise<Side> {
  const map = await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
  const instructions = encode(assemble('r0 = 2\nexit'));
  const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' });
  return { kernel, map, prog, asNobody };
}

/** `ok`, what was answered, or the name of the error. */
async function said(step: Promise<unknown>): Promise<unknown> {
  try {
    return (await step) ?? 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

/** Everything below a directory, but what every new bpf file system of Linux has. */
async function tree(kernel: Bpf, path = TOP): Promise<unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, kind } of await kernel.fileList(path)) {
    if (name.endsWith('.debug')) continue;
    const { mode, uid } = await kernel.fileStat(`${path}/${name}`);
    const inside = kind === 'directory' ? await tree(kernel, `${path}/${name}`) : undefined;
    found[name] = [kind, mode.toString(8), uid, ...(inside ? [inside] : [])];
  }
  return found;
}

type Step = (side: Side) => Promise<unknown>;

/** Tells whether an object lives by its id. */
async function lives(kernel: Bpf, id: number): Promise<boolean> {
  try {
    await kernel.close(await kernel.mapGetFdById(id));
    return true;
  } catch {
    return false;
  }
}

/** Gets a pin, does something with what it is and closes it. */
async function got(kernel: Bpf, path: string, flags = 0): Promise<unknown> {
  const fd = await kernel.objGet(path, flags);
  try {
    if ((await kernel.objKind(fd)) !== 'map') return await kernel.objKind(fd);
    const write = await said(kernel.mapUpdateElem(fd, word(0), word(1)));
    const read = await said(kernel.mapLookupElem(fd, word(0)).then(() => 'ok'));
    return { write, read };
  } finally {
    await kernel.close(fd);
  }
}

const at = (path: string): string => `${TOP}/${path}`;

const steps: Record<string, Step> = {
  'a pin': ({ kernel, map }) => kernel.objPin(map, at('map')),
  'a second pin of the same': ({ kernel, map }) => kernel.objPin(map, at('again')),
  'a pin where there is one': ({ kernel, prog }) => kernel.objPin(prog, at('map')),
  'a pin of a program': ({ kernel, prog }) => kernel.objPin(prog, at('prog')),
  'a name with a dot': ({ kernel, prog }) => kernel.objPin(prog, at('a.b')),
  'a look at a name with a dot': ({ kernel }) => kernel.fileStat(at('no.file')),
  'a directory with a dot': ({ kernel }) => kernel.mkdir(at('.hidden')),
  'a name that is too long': ({ kernel, map }) => kernel.objPin(map, at('x'.repeat(256))),
  'the longest name': ({ kernel, map }) => kernel.objPin(map, at('x'.repeat(255))),
  'a path that is too long': ({ kernel, map }) => kernel.objPin(map, at('y/'.repeat(2048))),
  'no path': ({ kernel, map }) => kernel.objPin(map, ''),
  'the root': ({ kernel, map }) => kernel.objPin(map, '/'),
  'the mount': ({ kernel, map }) => kernel.objPin(map, TOP),
  'the mount with a slash': ({ kernel, map }) => kernel.objPin(map, `${TOP}/`),
  'a pin in no directory': ({ kernel, map }) => kernel.objPin(map, at('none/map')),
  'a pin below a pin': ({ kernel, map }) => kernel.objPin(map, at('map/map')),
  'a pin with a slash': ({ kernel, map }) => kernel.objPin(map, at('slash/')),
  'a pin with a slash over one': ({ kernel, map }) => kernel.objPin(map, at('map/')),
  'a pin in sysfs': ({ kernel, map }) => kernel.objPin(map, '/sys/fs/pin'),
  'a pin in proc': ({ kernel, map }) => kernel.objPin(map, '/proc/sys/pin'),
  'a pin through dots': ({ kernel, map }) => kernel.objPin(map, at('../bpf/./dots')),
  'a pin by a way that is none': ({ kernel, map }) => kernel.objPin(map, at('none/../x')),
  'a pin of a perf event': async ({ kernel }) => {
    const fd = await kernel.perfBufferOpen(0, 4096);
    return said(kernel.objPin(fd, at('event'))).finally(() => kernel.close(fd));
  },
  'what there is then': ({ kernel }) => tree(kernel),
  'a map': ({ kernel }) => got(kernel, at('map')),
  'a map to read': ({ kernel }) => got(kernel, at('map'), MapFlag.Rdonly),
  'a map to write': ({ kernel }) => got(kernel, at('map'), MapFlag.Wronly),
  'a map for neither': ({ kernel }) => got(kernel, at('map'), MapFlag.Rdonly | MapFlag.Wronly),
  'a map with other flags': ({ kernel }) => got(kernel, at('map'), 1),
  'a program': ({ kernel }) => got(kernel, at('prog')),
  'a program to read': ({ kernel }) => got(kernel, at('prog'), MapFlag.Rdonly),
  nothing: ({ kernel }) => got(kernel, at('nothing')),
  'a directory as an object': ({ kernel }) => got(kernel, TOP),
  'an object with a slash': ({ kernel }) => got(kernel, at('map/')),
  'a file as an object': ({ kernel }) => got(kernel, '/proc/version'),
  'reading a program': ({ kernel }) => kernel.readFile(at('prog')),
  'reading a directory': ({ kernel }) => kernel.readFile(TOP),
  'reading nothing': ({ kernel }) => kernel.readFile(at('nothing')),
  'writing nothing': ({ kernel }) => kernel.writeFile(at('nothing'), word(1)),
  'writing what is only read': ({ kernel }) => kernel.writeFile('/proc/sys/kernel/osrelease', word(1)),
  'listing a pin': ({ kernel }) => kernel.fileList(at('map')),
  'listing nothing': ({ kernel }) => kernel.fileList(at('nothing')),
  'a directory': ({ kernel }) => kernel.mkdir(at('dir')),
  'a directory with a slash': ({ kernel }) => kernel.mkdir(at('slash/')),
  'a directory with bits': ({ kernel }) => kernel.mkdir(at('bits'), 0o7777),
  'a directory over a pin': ({ kernel }) => kernel.mkdir(at('map')),
  'a directory over itself': ({ kernel }) => kernel.mkdir(at('dir')),
  'a directory in sysfs': ({ kernel }) => kernel.mkdir('/sys/fs/dir'),
  'a directory in proc': ({ kernel }) => kernel.mkdir('/proc/sys/dir'),
  'the mount again': ({ kernel }) => kernel.mkdir(TOP),
  inside: ({ kernel }) => kernel.mkdir(at('dir/in')),
  'a pin inside': ({ kernel, map }) => kernel.objPin(map, at('dir/in/map')),
  'a full directory': ({ kernel }) => kernel.rmdir(at('dir')),
  'an empty one': ({ kernel }) => kernel.rmdir(at('bits')),
  'a pin as a directory': ({ kernel }) => kernel.rmdir(at('map')),
  'a dot': ({ kernel }) => kernel.rmdir(at('dir/.')),
  'two dots': ({ kernel }) => kernel.rmdir(at('dir/in/..')),
  'the root directory': ({ kernel }) => kernel.rmdir('/'),
  'the mount itself': ({ kernel }) => kernel.rmdir(TOP),
  'no directory': ({ kernel }) => kernel.rmdir(at('nothing')),
  'a directory as a name': ({ kernel }) => kernel.unlink(at('dir')),
  'a directory as a name with a slash': ({ kernel }) => kernel.unlink(at('dir/')),
  'a pin with a slash gone': ({ kernel }) => kernel.unlink(at('map/')),
  'a name in sysfs gone': ({ kernel }) => kernel.unlink('/sys/kernel/btf/vmlinux'),
  'nothing gone': ({ kernel }) => kernel.unlink(at('nothing')),
  'dots gone': ({ kernel }) => kernel.unlink(at('dir/..')),
  'moving a pin': ({ kernel }) => kernel.rename(at('again'), at('dir/moved')),
  'moving it to a name with a dot': ({ kernel }) => kernel.rename(at('dir/moved'), at('a.b')),
  'moving it over itself': ({ kernel }) => kernel.rename(at('dir/moved'), at('dir/moved')),
  'moving it over a directory': ({ kernel }) => kernel.rename(at('dir/moved'), at('slash')),
  'moving it over a program': ({ kernel }) => kernel.rename(at('dir/moved'), at('prog')),
  'moving it with a slash': ({ kernel }) => kernel.rename(at('prog'), at('prog2/')),
  'moving a directory over a pin': ({ kernel }) => kernel.rename(at('slash'), at('map')),
  'moving a directory into itself': ({ kernel }) => kernel.rename(at('dir'), at('dir/in/dir')),
  'moving a directory over its parent': ({ kernel }) => kernel.rename(at('dir/in'), at('dir')),
  'moving a directory over an empty one': ({ kernel }) => kernel.rename(at('dir/in'), at('slash')),
  'moving a directory over a full one': ({ kernel }) => kernel.rename(at('dir'), at('slash')),
  'moving a full one over an empty one': ({ kernel }) => kernel.rename(at('slash'), at('dir')),
  'moving nothing': ({ kernel }) => kernel.rename(at('nothing'), at('something')),
  'moving to nowhere': ({ kernel }) => kernel.rename(at('map'), at('nothing/map')),
  'moving out': ({ kernel }) => kernel.rename(at('map'), '/proc/sys/map'),
  'moving the mount': ({ kernel }) => kernel.rename(TOP, '/sys/fs/else'),
  'moving dots': ({ kernel }) => kernel.rename(at('dir/.'), at('else')),
  'a second name': ({ kernel }) => kernel.hardLink(at('map'), at('dir/other')),
  'a second name that is taken': ({ kernel }) => kernel.hardLink(at('map'), at('prog')),
  'a second name with a dot': ({ kernel }) => kernel.hardLink(at('map'), at('a.b')),
  'a second name of a directory': ({ kernel }) => kernel.hardLink(at('dir'), at('dir2')),
  'a second name of nothing': ({ kernel }) => kernel.hardLink(at('nothing'), at('dir2')),
  'a second name elsewhere': ({ kernel }) => kernel.hardLink(at('map'), '/sys/fs/map'),
  'a second name with a slash': ({ kernel }) => kernel.hardLink(at('map'), at('other/')),
  'a mode': ({ kernel }) => kernel.chmod(at('map'), 0o640),
  'a mode of the second name': ({ kernel }) => kernel.fileStat(at('dir/other')),
  'a mode of nothing': ({ kernel }) => kernel.chmod(at('nothing'), 0o640),
  'what there is in the end': ({ kernel }) => tree(kernel),
  'nobody gets a map': ({ asNobody }) => asNobody((kernel) => got(kernel, at('map'))),
  'nobody takes a map away': ({ asNobody }) => asNobody((kernel) => kernel.unlink(at('map'))),
  'nobody takes it from a directory': ({ asNobody }) => asNobody((kernel) => kernel.unlink(at('dir/other'))),
  'nobody moves a map': ({ asNobody }) => asNobody((kernel) => kernel.rename(at('map'), at('mine'))),
  'nobody makes a directory': ({ asNobody }) => asNobody((kernel) => kernel.mkdir(at('nobody'), 0o700)),
  'nobody moves into it': ({ asNobody }) => asNobody((kernel) => kernel.rename(at('map'), at('nobody/map'))),
  'nobody makes one in another': ({ asNobody }) => asNobody((kernel) => kernel.mkdir(at('dir/nobody'))),
  'nobody changes a mode': ({ asNobody }) => asNobody((kernel) => kernel.chmod(at('map'), 0o666)),
  'everybody may read a map': ({ kernel }) => kernel.chmod(at('map'), 0o644),
  'nobody gets it to read': ({ asNobody }) => asNobody((kernel) => got(kernel, at('map'), MapFlag.Rdonly)),
  'nobody gets it to write': ({ asNobody }) => asNobody((kernel) => got(kernel, at('map'), MapFlag.Wronly)),
  'nobody may come in': ({ kernel }) => kernel.chmod(at('dir'), 0o700),
  'nobody looks in': ({ asNobody }) => asNobody((kernel) => kernel.fileList(at('dir'))),
  'nobody looks at what is in': ({ asNobody }) => asNobody((kernel) => kernel.fileStat(at('dir/other'))),
  'nobody reads a setting': ({ asNobody }) =>
    asNobody((kernel) => kernel.readFile('/proc/sys/net/core/bpf_jit_harden')),
  'nobody writes a setting': ({ asNobody }) =>
    asNobody((kernel) => kernel.writeFile('/proc/sys/net/core/bpf_jit_enable', word(0))),
  'what nobody has done': ({ kernel }) => tree(kernel),
};

needs('names in a bpf file system', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  let mounts: Mounts;
  beforeAll(() => {
    mounts = new Mounts();
  });
  afterAll(() => mounts[Symbol.dispose]());

  /** What both kernels say to the same steps. */
  async function both(run: (side: Side) => Promise<unknown>): Promise<[linux: unknown, emulated: unknown]> {
    mounts.renew();
    using linux = new LinuxKernel();
    const expected = await run(
      await side(linux, async (body) => {
        process.seteuid?.(NOBODY);
        try {
          return await body(linux);
        } finally {
          process.seteuid?.(0);
        }
      }),
    );
    const kernel = new EmulatedKernel();
    const nobody = kernel.process({ name: 'nobody', pid: 2, uid: NOBODY });
    return [expected, await run(await side(kernel, (body) => body(nobody)))];
  }

  test('every operation has the errno of Linux, and the same effect', async () => {
    const [linux, emulated] = await both(async (one) => {
      const answers: Record<string, unknown> = {};
      for (const [name, step] of Object.entries(steps)) answers[name] = await said(step(one));
      return answers;
    });
    expect(emulated).toEqual(linux);
  });

  test('so has any sequence of operations', async () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', 'c', '.', '..', 'x.y'), { minLength: 1, maxLength: 3 })
      .map((names) => at(names.join('/')))
      // Nothing outside the file system of the test.
      .filter((path) => !/\/\.\.(\/|$)/.test(path) || /bpf\/[abc]\/\.\.(\/[abc])?$/.test(path));
    const one = (name: string) => fc.tuple(fc.constant(name), path, fc.constant(''));
    const two = (name: string) => fc.tuple(fc.constant(name), path, path);
    const operation = fc.oneof(
      ...['pin', 'mkdir', 'mkdir', 'rmdir', 'unlink', 'get', 'list'].map(one),
      ...['rename', 'rename', 'link'].map(two),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 40 }), async (operations) => {
        const [linux, emulated] = await both(async ({ kernel, map }) => {
          const answers: unknown[] = [];
          for (const [name, a, b] of operations) {
            const done = {
              pin: () => kernel.objPin(map, a),
              mkdir: () => kernel.mkdir(a),
              rmdir: () => kernel.rmdir(a),
              unlink: () => kernel.unlink(a),
              get: () => got(kernel, a),
              list: async () => (await kernel.fileList(a)).filter(({ name }) => !name.endsWith('.debug')),
              rename: () => kernel.rename(a, b),
              link: () => kernel.hardLink(a, b),
            }[name];
            answers.push([name, a, b, done && (await said(done()))]);
          }
          return [answers, await tree(kernel)];
        });
        expect(emulated).toEqual(linux);
      }),
      { numRuns: 150 },
    );
  });

  test('a pin keeps its object until the last name is gone', async () => {
    const [linux, emulated] = await both(async ({ kernel, map }) => {
      const { id } = await kernel.mapInfo(map);
      await kernel.objPin(map, at('one'));
      await kernel.hardLink(at('one'), at('two'));
      await kernel.close(map);
      const alive = [await lives(kernel, id)];
      await kernel.unlink(at('one'));
      alive.push(await lives(kernel, id));
      await kernel.mkdir(at('dir'));
      await kernel.rename(at('two'), at('dir/two'));
      alive.push(await lives(kernel, id));
      const other = await kernel.mapCreate({ type: MapType.Hash, keySize: 4, valueSize: 4, maxEntries: 1 });
      await kernel.objPin(other, at('other'));
      await kernel.rename(at('other'), at('dir/two'));
      for (let tries = 0; tries < 100 && (await lives(kernel, id)); tries++) {
        await new Promise((done) => setTimeout(done, 5));
      }
      alive.push(await lives(kernel, id));
      return alive;
    });
    expect(linux).toEqual([true, true, true, false]);
    expect(emulated).toEqual(linux);
  });

  test('BTF cannot be pinned', async () => {
    const [linux, emulated] = await both(async ({ kernel }) => {
      const btf = await kernel.btfLoad(smallBtf());
      return said(kernel.objPin(btf, at('btf')));
    });
    expect(linux).toBe(errnoName(Errno.EINVAL));
    expect(emulated).toBe(linux);
  });
});

/** BTF of one integer. */
function smallBtf(): Uint8Array {
  const bytes = new Uint8Array(24 + 16 + 5);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  bytes[2] = 1;
  view.setUint32(4, 24, true);
  view.setUint32(12, 16, true);
  view.setUint32(16, 16, true);
  view.setUint32(20, 5, true);
  view.setUint32(24, 1, true);
  view.setUint32(28, 1 << 24, true);
  view.setUint32(32, 4, true);
  view.setUint32(36, (1 << 24) | 32, true);
  bytes.set(new TextEncoder().encode('\0int\0'), 40);
  return bytes;
}
