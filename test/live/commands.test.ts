// Every bpf(2) command of the waist on the real kernel; where the emulated kernel has it too, both must answer alike.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Bpf, MapCreateAttr } from '../../src/bpf/bpf.js';
import { BatchError, BpfError, Errno } from '../../src/bpf/errno.js';
import { AttachType, MapFlag, MapType, ProgType, UpdateFlag } from '../../src/bpf/types.js';
import { Btf } from '../../src/btf/index.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel, readKernelBtf } from '../../src/linux/index.js';
import { load } from '../../src/loader/index.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { readObject } from './live.js';

const word = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const code = (text: string): Uint8Array => encode(assemble(text));
const pass = code('r0 = 2\nexit');

/** The result of a command, or its errno. */
async function answer<T>(promise: Promise<T>): Promise<T | { errno: number; count?: number }> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof BatchError) return { errno: error.errno, count: error.count };
    if (error instanceof BpfError) return { errno: error.errno };
    throw error;
  }
}

const errnoOf = async (promise: Promise<unknown>): Promise<number | undefined> => {
  const result = await answer(promise);
  return typeof result === 'object' && result !== null && 'errno' in result
    ? (result.errno as number)
    : undefined;
};

/** What both kernels say to the same questions. */
async function both(questions: (kernel: Bpf) => Promise<unknown>): Promise<unknown> {
  using linux = new LinuxKernel();
  const expected = await questions(linux);
  expect(await questions(new EmulatedKernel({ cpus: await linux.possibleCpus() }))).toEqual(expected);
  return expected;
}

const sorted = (keys: Uint8Array, values: Uint8Array, count: number): string[] =>
  Array.from({ length: count }, (_, i) => {
    const size = values.length / count;
    return `${keys.subarray(i * 4, i * 4 + 4)}=${values.subarray(i * size, (i + 1) * size)}`;
  }).sort();

const plain: MapCreateAttr = { type: MapType.Hash, keySize: 4, valueSize: 4, maxEntries: 8 };

needs('the commands of bpf(2)', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each([MapType.Hash, MapType.PercpuHash, MapType.LruHash, MapType.Array, MapType.PercpuArray])(
    'maps of type %i are read and written in batches',
    async (type) => {
      await both(async (kernel) => {
        const map = await kernel.mapCreate({ ...plain, type });
        const slots = type === MapType.PercpuHash || type === MapType.PercpuArray;
        const size = slots ? 8 * (await kernel.possibleCpus()) : 4;
        const keys = word(0, 1, 2, 3, 4);
        const values = new Uint8Array(size * 5);
        for (let i = 0; i < 5; i++) values[i * size] = i + 10;
        await kernel.mapUpdateBatch(map, { count: 5, keys, values });
        const all = await kernel.mapLookupBatch(map, null, 100);
        let walked = 0;
        for (let cursor: Uint8Array | null = null; ; ) {
          const part = await kernel.mapLookupBatch(map, cursor, 8);
          walked += part.count;
          cursor = part.cursor;
          if (part.done) break;
        }
        return {
          all: sorted(all.keys, all.values, all.count),
          done: all.done,
          walked,
          nothing: (await kernel.mapLookupBatch(map, null, 0)).count,
          everything: (await kernel.mapLookupBatch(map, null, 0xffffffff)).count,
          negative: await answer(kernel.mapLookupBatch(map, null, -1)),
          twice: await answer(
            kernel.mapUpdateBatch(
              map,
              { count: 2, keys: word(6, 0), values: values.slice(0, 2 * size) },
              { elemFlags: UpdateFlag.NoExist },
            ),
          ),
          full: await answer(
            kernel
              .mapUpdateBatch(map, {
                count: 5,
                keys: word(20, 21, 22, 23, 24),
                values: new Uint8Array(size * 5),
              })
              .then(() => type === MapType.LruHash),
          ),
          short: await answer(kernel.mapUpdateBatch(map, { count: 2, keys: word(1), values })),
          flags: await answer(kernel.mapLookupBatch(map, null, 1, { elemFlags: 1 })),
          lock: await answer(kernel.mapLookupBatch(map, null, 1, { elemFlags: UpdateFlag.Lock })),
          deleted: await answer(kernel.mapDeleteBatch(map, { count: 3, keys: word(1, 2, 99) })),
          taken: await answer(
            kernel
              .mapLookupAndDeleteBatch(map, null, 100)
              .then(({ count, done }) => [type === MapType.LruHash || count, done]),
          ),
          empty: await answer(kernel.mapLookupBatch(map, null, 8).then(({ done }) => done)),
        };
      });
    },
  );

  test('types without batches or without taking out refuse as in Linux', async () => {
    await both(async (kernel) => {
      const answers: unknown[] = [];
      const array = await kernel.mapCreate({ ...plain, type: MapType.Array });
      const programs = await kernel.mapCreate({ ...plain, type: MapType.ProgArray });
      const hash = await kernel.mapCreate(plain);
      for (const map of [array, programs]) {
        answers.push(await answer(kernel.mapLookupAndDeleteElem(map, word(0))));
        answers.push(await answer(kernel.mapLookupAndDeleteBatch(map, null, 1)));
        answers.push(await answer(kernel.mapDeleteBatch(map, { count: 1, keys: word(0) })));
      }
      answers.push(await answer(kernel.mapLookupBatch(programs, null, 1)));
      await kernel.mapUpdateElem(hash, word(7), word(70));
      answers.push(await kernel.mapLookupAndDeleteElem(hash, word(7)));
      answers.push(await answer(kernel.mapLookupAndDeleteElem(hash, word(7))));
      answers.push(await answer(kernel.mapLookupAndDeleteElem(hash, word(7), 99)));
      return answers;
    });
  });

  test('queues, stacks and Bloom filters have no keys', async () => {
    await both(async (kernel) => {
      const answers: unknown[] = [];
      for (const type of [MapType.Queue, MapType.Stack]) {
        const map = await kernel.mapCreate({ ...plain, type, keySize: 0 });
        for (const value of [1, 2, 3]) await kernel.mapUpdateElem(map, new Uint8Array(), word(value));
        answers.push(await kernel.mapLookupElem(map, new Uint8Array()));
        answers.push(await kernel.mapLookupAndDeleteElem(map, new Uint8Array()));
        answers.push(await kernel.mapLookupElem(map, new Uint8Array()));
      }
      const filter = await kernel.mapCreate({ ...plain, type: MapType.BloomFilter, keySize: 0 });
      await kernel.mapUpdateElem(filter, new Uint8Array(), word(5));
      answers.push(await kernel.mapLookupElem(filter, word(5)));
      answers.push(await answer(kernel.mapLookupElem(filter, word(6))));
      return answers;
    });
  });

  test('ids lead from one object to the next, and back to it', async () => {
    await both(async (kernel) => {
      const map = await kernel.mapCreate({ ...plain, name: 'by_id' });
      await kernel.mapUpdateElem(map, word(1), word(2));
      const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: pass, license: 'GPL' });
      const btf = await kernel.btfLoad(smallBtf());
      const { id: mapId } = await kernel.mapInfo(map);
      const { id: progId } = await kernel.progInfo(prog);
      const { id: btfId } = await kernel.btfInfo(btf);
      const again = await kernel.mapGetFdById(mapId);
      const readOnly = await kernel.mapGetFdById(mapId, MapFlag.Rdonly);
      const writeOnly = await kernel.mapGetFdById(mapId, MapFlag.Wronly);
      const program = await kernel.progGetFdById(progId);
      const types = await kernel.btfGetFdById(btfId);
      const answers = {
        value: await kernel.mapLookupElem(again, word(1)),
        mayRead: await kernel.mapLookupElem(readOnly, word(1)),
        mayNotWrite: await answer(kernel.mapUpdateElem(readOnly, word(1), word(3))),
        mayWrite: await answer(kernel.mapUpdateElem(writeOnly, word(1), word(3))),
        mayNotRead: await answer(kernel.mapLookupElem(writeOnly, word(1))),
        bothFlags: await answer(kernel.mapGetFdById(mapId, MapFlag.Rdonly | MapFlag.Wronly)),
        sameMap: (await kernel.mapInfo(readOnly)).id === mapId,
        sameProgram: (await kernel.progInfo(program)).id === progId,
        runs: (await kernel.progTestRun(program, { dataIn: new Uint8Array(14) })).retval,
        sameTypes: await kernel.btfData(types),
        kinds: await Promise.all([again, program, types].map((fd) => kernel.objKind(fd))),
        before: [
          await kernel.mapGetNextId(mapId - 1),
          await kernel.progGetNextId(progId - 1),
          await kernel.btfGetNextId(btfId - 1),
        ].map((id, i) => id - ([mapId, progId, btfId][i] ?? 0)),
        noMap: await answer(kernel.mapGetFdById(0x7ffffff0)),
        noProgram: await answer(kernel.progGetFdById(0x7ffffff0)),
        noBtf: await answer(kernel.btfGetFdById(0x7ffffff0)),
        noLink: await answer(kernel.linkGetFdById(0x7ffffff0)),
        end: await answer(kernel.mapGetNextId(0x7ffffff0)),
        linkEnd: await answer(kernel.linkGetNextId(0x7ffffff0)),
      };
      // The object lives as long as one descriptor.
      for (const fd of [map, again, writeOnly]) await kernel.close(fd);
      const kept = (await kernel.mapInfo(readOnly)).name;
      await kernel.close(readOnly);
      return { ...answers, kept, gone: await answer(kernel.mapGetFdById(mapId)) };
    });
  });

  test('every id of the machine can be walked, and every object says what it is', async () => {
    using linux = new LinuxKernel();
    const map = await linux.mapCreate({ ...plain, name: 'walked' });
    const names: string[] = [];
    for (let id = 0; ; ) {
      try {
        id = await linux.mapGetNextId(id);
        const fd = await linux.mapGetFdById(id);
        names.push((await linux.mapInfo(fd)).name);
        await linux.close(fd);
      } catch (error) {
        // Somebody else's may have gone in between.
        if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw error;
        if (error.command === 'BPF_MAP_GET_NEXT_ID') break;
      }
    }
    expect(names).toContain('walked');
    const vmlinux = await linux.btfGetFdById(await linux.btfGetNextId(0));
    expect(await linux.btfInfo(vmlinux)).toMatchObject({ name: 'vmlinux', kernelBtf: true });
    expect(Buffer.compare(await linux.btfData(vmlinux), readKernelBtf())).toBe(0);
    await linux.close(map);
  });

  test('a program keeps a map that is bound to it', async () => {
    await both(async (kernel) => {
      const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: pass, license: 'GPL' });
      const map = await kernel.mapCreate({ ...plain, name: 'kept' });
      const { id } = await kernel.mapInfo(map);
      const first = await answer(kernel.progBindMap(prog, map));
      const second = await answer(kernel.progBindMap(prog, map));
      await kernel.close(map);
      const held = (await kernel.progInfo(prog)).mapIds.map((held) => held === id);
      const still = await kernel.mapGetFdById(id);
      await kernel.close(still);
      const wrong = await answer(kernel.progBindMap(prog, prog));
      await kernel.close(prog);
      return { first, second, held, wrong };
    });
  });

  test('statistics count runs while somebody wants them', async () => {
    await both(async (kernel) => {
      const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: pass, license: 'GPL' });
      const run = async () => kernel.progTestRun(prog, { dataIn: new Uint8Array(14), repeat: 10 });
      const counts = async () => (await kernel.progInfo(prog)).runCnt;
      await run();
      const before = await counts();
      const stats = await kernel.enableStats(0);
      await run();
      const during = await counts();
      const took = (await kernel.progInfo(prog)).runTimeNs > 0n;
      await kernel.close(stats);
      await run();
      return { before, during, took, after: await counts(), wrong: await answer(kernel.enableStats(99)) };
    });
  });

  test.each(['examples/firewall.bpf.o', 'test/elf/objects/subprograms.bpf.o'])(
    'what a program of %s is made of is what bpftool dumps',
    async (file) => {
      using linux = new LinuxKernel();
      await using collection = await load(readObject(file), linux, {
        kernelBtf: Btf.parse(readKernelBtf()),
      });
      const folder = mkdtempSync(path.join(tmpdir(), 'skep-dump-'));
      try {
        for (const [name, program] of collection.programs) {
          const info = await program.info();
          const dump = await linux.progDump(program.fd);
          expect(dump.xlated.length, name).toBe(info.bytesXlated);
          expect(dump.jited.length, name).toBe(info.bytesJited);
          if (dump.progTags.length === 1) expect(dump.progTags[0], name).toBe(info.tag);
          expect(dump.funcInfo.length / dump.funcInfoRecSize, name).toBe(dump.progTags.length);
          expect(dump.jitedKsyms.length, name).toBe(dump.progTags.length);
          expect(
            dump.jitedFuncLens.reduce((sum, length) => sum + length, 0),
            name,
          ).toBe(info.bytesJited);
          expect(dump.jitedLineInfo.length, name).toBe(dump.lineInfo.length / dump.lineInfoRecSize);
          expect(info.memlock, name).toBeGreaterThanOrEqual(4096);
          expect(info.verifiedInsns, name).toBeGreaterThan(0);
          if (missingTool('bpftool') !== undefined) continue;
          for (const kind of ['xlated', 'jited'] as const) {
            const out = path.join(folder, kind);
            const { status } = spawnSync('bpftool', ['prog', 'dump', kind, 'id', `${info.id}`, 'file', out]);
            // bpftool may be built without one of the two.
            if (status === 0)
              expect(Buffer.compare(readFileSync(out), dump[kind]), `${name} ${kind}`).toBe(0);
            else expect(kind, name).toBe('jited');
          }
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test('a load gives its log when it succeeds, too', async () => {
    using linux = new LinuxKernel();
    const log = { text: 'old' };
    const attr = { type: ProgType.Xdp, instructions: pass, license: 'GPL', log };
    await linux.progLoad({ ...attr, logLevel: 2 });
    expect(log.text).toMatch(/0: \(b7\) r0 = 2[\s\S]*processed 2 insns/);
    await linux.progLoad(attr);
    expect(log.text).toBe('');
    const refused = linux.progLoad({ ...attr, instructions: code('exit') });
    expect(await errnoOf(refused)).toBe(Errno.EACCES);
    expect(log.text).toContain('R0 !read_ok');
    const types = { text: '' };
    await linux.btfLoad(smallBtf(), { logLevel: 1, log: types });
    expect(types.text).toContain('INT int');
  });

  test('instructions refer to maps by their place in an array of descriptors', async () => {
    using linux = new LinuxKernel();
    const used = await linux.mapCreate({ ...plain, type: MapType.Array, name: 'used' });
    const bound = await linux.mapCreate({ ...plain, name: 'bound' });
    // r1 = map of index 0 (BPF_PSEUDO_MAP_IDX)
    const instructions = Uint8Array.from([0x18, 0x51, 0, 0, 0, 0, 0, 0, ...new Uint8Array(8), ...pass]);
    const attr = { type: ProgType.Xdp, instructions, license: 'GPL' };
    const ids = async (extra: object) => {
      const fd = await linux.progLoad({ ...attr, ...extra });
      return (await linux.progInfo(fd)).mapIds;
    };
    const [usedId, boundId] = [(await linux.mapInfo(used)).id, (await linux.mapInfo(bound)).id];
    expect(await ids({ fdArray: [used, bound] })).toEqual([usedId]);
    expect((await ids({ fdArray: [used, bound], fdArrayBind: true })).sort()).toEqual(
      [usedId, boundId].sort(),
    );
    expect(await errnoOf(linux.progLoad(attr))).toBe(Errno.EPROTO);
    expect(await errnoOf(linux.progLoad({ ...attr, fdArray: [1] }))).toBe(Errno.EBADF);
  });

  test('a program that hooks something by its type says what', async () => {
    using linux = new LinuxKernel();
    const vmlinux = await linux.btfGetFdById(await linux.btfGetNextId(0));
    const attachBtfId = Btf.parse(readKernelBtf()).findByName('btf_trace_sched_switch', 'TYPEDEF') ?? 0;
    const attr = {
      type: ProgType.Tracing,
      expectedAttachType: AttachType.TraceRawTp,
      instructions: code('r0 = 0\nexit'),
      license: 'GPL',
    };
    const info = await linux.progInfo(await linux.progLoad({ ...attr, attachBtfId }));
    expect(info.attachBtfId).toBe(attachBtfId);
    expect(info.attachBtfObjId).toBe((await linux.btfInfo(vmlinux)).id);
    expect(await errnoOf(linux.progLoad({ ...attr, attachBtfId: 1 }))).toBe(Errno.EINVAL);
    // Only programs that hook another one may name one.
    const xdp = { type: ProgType.Xdp, instructions: pass, license: 'GPL' };
    const hooked = await linux.progLoad(xdp);
    expect(await errnoOf(linux.progLoad({ ...xdp, attachProgFd: hooked }))).toBe(Errno.EINVAL);
    expect(await errnoOf(linux.progLoad({ ...xdp, attachProgFd: 1 }))).toBe(Errno.EBADF);
  });

  test('maps are made as asked: flags, node, types of key and value, a frozen state', async () => {
    using linux = new LinuxKernel();
    const btfFd = await linux.btfLoad(smallBtf());
    const map = await linux.mapCreate({
      ...plain,
      type: MapType.Array,
      maxEntries: 1,
      flags: MapFlag.Mmapable | MapFlag.NumaNode,
      numaNode: 0,
      btfFd,
      btfKeyTypeId: 1,
      btfValueTypeId: 1,
      name: 'asked',
    });
    const info = await linux.mapInfo(map);
    expect(info).toMatchObject({
      btfKeyTypeId: 1,
      btfValueTypeId: 1,
      flags: MapFlag.Mmapable | MapFlag.NumaNode,
    });
    expect(info.btfId).toBe((await linux.btfInfo(btfFd)).id);
    const filter = { ...plain, type: MapType.BloomFilter, keySize: 0, mapExtra: 7n };
    expect((await linux.mapInfo(await linux.mapCreate(filter))).mapExtra).toBe(7n);
  });

  test('objects get names in a bpf file system, which keep them', async () => {
    const place = mkdtempSync(path.join(tmpdir(), 'skep-bpffs-'));
    const mounted = spawnSync('mount', ['-t', 'bpf', 'skep', place]);
    try {
      expect(mounted.status, String(mounted.stderr)).toBe(0);
      using linux = new LinuxKernel();
      const pinned = (name: string) => path.join(place, name);
      const map = await linux.mapCreate(plain);
      const prog = await linux.progLoad({ type: ProgType.Xdp, instructions: pass, license: 'GPL' });
      const { id } = await linux.mapInfo(map);
      await linux.mapUpdateElem(map, word(1), word(2));
      await linux.objPin(map, pinned('map'));
      await linux.objPin(prog, pinned('prog'));
      expect(readdirSync(place)).toEqual(expect.arrayContaining(['map', 'prog']));
      expect(await errnoOf(linux.objPin(map, pinned('map')))).toBe(Errno.EEXIST);
      expect(await errnoOf(linux.objPin(map, path.join(tmpdir(), 'skep-no-bpffs')))).toBe(Errno.EPERM);
      expect(await errnoOf(linux.objPin(map, pinned('no/folder')))).toBe(Errno.ENOENT);
      await linux.close(map);
      await linux.close(prog);
      const back = await linux.objGet(pinned('map'));
      expect(await linux.objKind(back)).toBe('map');
      expect((await linux.mapInfo(back)).id).toBe(id);
      expect(await linux.mapLookupElem(back, word(1))).toEqual(word(2));
      const readOnly = await linux.objGet(pinned('map'), MapFlag.Rdonly);
      expect(await errnoOf(linux.mapUpdateElem(readOnly, word(1), word(3)))).toBe(Errno.EPERM);
      expect(await linux.objKind(await linux.objGet(pinned('prog')))).toBe('prog');
      expect(await errnoOf(linux.objGet(pinned('nothing')))).toBe(Errno.ENOENT);
      expect(await errnoOf(linux.objGet(place))).toBe(Errno.EACCES);
      // Rights are delegated to other user namespaces than the first only.
      expect(await errnoOf(linux.tokenCreate(place))).toBe(Errno.EOPNOTSUPP);
      rmSync(pinned('map'));
      for (const fd of [back, readOnly]) await linux.close(fd);
      expect(await errnoOf(linux.mapGetFdById(id))).toBe(Errno.ENOENT);
    } finally {
      if (mounted.status === 0) spawnSync('umount', [place]);
      rmdirSync(place);
    }
  });

  test('what a program has printed to its streams is empty when it printed nothing', async () => {
    using linux = new LinuxKernel();
    const prog = await linux.progLoad({ type: ProgType.Xdp, instructions: pass, license: 'GPL' });
    expect(await linux.progStreamRead(prog, 1, 4096)).toHaveLength(0);
    expect(await linux.progStreamRead(prog, 2, 4096)).toHaveLength(0);
  });

  test('files of the host are opened, read and closed as descriptors of the kernel', async () => {
    using linux = new LinuxKernel();
    const fd = await linux.open('/proc/self/ns/net');
    expect(await errnoOf(linux.read(fd, 10))).toBe(Errno.EINVAL);
    const file = await linux.open('/proc/version');
    expect(new TextDecoder().decode(await linux.read(file, 100))).toContain('Linux version');
    expect(await errnoOf(linux.open('/no/such/file'))).toBe(Errno.ENOENT);
    expect(await errnoOf(linux.objKind(file))).toBe(Errno.EINVAL);
    await linux.close(file);
    expect(await errnoOf(linux.read(file, 10))).toBe(Errno.EBADF);
  });
});

/** One type: `int`. */
function smallBtf(): Uint8Array {
  const types = Uint32Array.of(1, 1 << 24, 4, (1 << 24) | 32);
  const bytes = new Uint8Array(24 + 16 + 5);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  view.setUint32(4, 24, true);
  for (const [at, value] of [
    [8, 0],
    [12, 16],
    [16, 16],
    [20, 5],
  ] as const)
    view.setUint32(at, value, true);
  bytes.set(new Uint8Array(types.buffer), 24);
  bytes.set(new TextEncoder().encode('\0int\0'), 40);
  return bytes;
}
