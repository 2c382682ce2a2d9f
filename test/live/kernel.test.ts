// The real kernel behind the waist: what it gives back, how it refuses, and that it leaves nothing behind.

import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const code = (text: string): Uint8Array => encode(assemble(text));
const descriptors = (): number => readdirSync('/proc/self/fd').length;

async function failure(promise: Promise<unknown>): Promise<BpfError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

needs('LinuxKernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each([MapType.Hash, MapType.Array, MapType.PercpuHash, MapType.PercpuArray])(
    'keeps elements of map type %i as the emulated kernel does',
    async (type) => {
      using linux = new LinuxKernel();
      const cpus = await linux.possibleCpus();
      const emulated = new EmulatedKernel({ cpus });
      const slots = type === MapType.PercpuHash || type === MapType.PercpuArray ? cpus : 1;
      // Five bytes: a per-CPU slot is rounded up to eight, which shows when slots are confused.
      const value = new Uint8Array(slots === 1 ? 5 : 8 * cpus);
      for (let cpu = 0; cpu < slots; cpu++) value.set([cpu + 1, 2, 3, 4, 5], 8 * cpu);
      const answers = async (kernel: LinuxKernel | EmulatedKernel) => {
        const fd = await kernel.mapCreate({
          type,
          keySize: 4,
          valueSize: 5,
          maxEntries: 3,
          name: 'some_map',
        });
        const errno = async (promise: Promise<unknown>) => (await failure(promise)).errno;
        const isHash = type === MapType.Hash || type === MapType.PercpuHash;
        await kernel.mapUpdateElem(fd, word(1), value);
        return {
          value: await kernel.mapLookupElem(fd, word(1)),
          first: await kernel.mapGetNextKey(fd, null),
          end: await errno(kernel.mapGetNextKey(fd, word(isHash ? 1 : 2))),
          missing: await errno(kernel.mapLookupElem(fd, word(7))),
          again: await errno(kernel.mapUpdateElem(fd, word(1), value, 1)),
          shortKey: await errno(kernel.mapLookupElem(fd, new Uint8Array(3))),
          shortValue: await errno(kernel.mapUpdateElem(fd, word(1), new Uint8Array(4))),
          deleted: isHash
            ? await kernel.mapDeleteElem(fd, word(1))
            : await errno(kernel.mapDeleteElem(fd, word(1))),
          closed: await kernel.close(fd),
          gone: await errno(kernel.mapLookupElem(fd, word(1))),
          twice: await errno(kernel.close(fd)),
        };
      };
      expect(await answers(emulated)).toEqual(await answers(linux));
    },
  );

  test('freezes a map for user space and says so', async () => {
    using linux = new LinuxKernel();
    const fd = await linux.mapCreate({
      type: MapType.Array,
      keySize: 4,
      valueSize: 8,
      maxEntries: 2,
      flags: MapFlag.RdonlyProg,
      name: 'constants',
    });
    expect(await linux.mapInfo(fd)).toMatchObject({
      name: 'constants',
      frozen: false,
      valueSize: 8,
      maxEntries: 2,
    });
    await linux.mapFreeze(fd);
    expect((await linux.mapInfo(fd)).frozen).toBe(true);
    expect((await failure(linux.mapUpdateElem(fd, word(0), new Uint8Array(8)))).errno).toBe(Errno.EPERM);
  });

  test('a program that the verifier refuses comes with its log and the line that matters', async () => {
    using linux = new LinuxKernel();
    const instructions = code('r0 = *(u64 *)(r1 + 100)\nexit');
    const error = await failure(linux.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' }));
    expect(error.errno).toBe(Errno.EACCES);
    expect(error.message).toContain('invalid bpf_context access off=100 size=8');
    expect(error.verifierLog).toMatch(/processed \d+ insns/);
  });

  test('a log longer than any first guess comes whole', async () => {
    using linux = new LinuxKernel();
    const text = `${'r2 = 1\nr2 += r1\n'.repeat(1500)}r0 = *(u64 *)(r1 + 100)\nexit`;
    const error = await failure(
      linux.progLoad({ type: ProgType.Xdp, instructions: code(text), license: 'GPL', logLevel: 2 }),
    );
    expect(error.errno).not.toBe(Errno.ENOSPC);
    expect(error.verifierLog?.length).toBeGreaterThan(1 << 16);
    expect(error.verifierLog).toMatch(/processed \d+ insns/);
  });

  test('a program says what it is', async () => {
    using linux = new LinuxKernel();
    const before = Math.floor(Date.now() / 1000);
    const fd = await linux.progLoad({
      type: ProgType.Xdp,
      instructions: code('r0 = 2\nexit'),
      license: 'Dual BSD/GPL',
      name: 'passes',
    });
    const info = await linux.progInfo(fd);
    expect(info).toMatchObject({
      name: 'passes',
      type: ProgType.Xdp,
      gplCompatible: true,
      mapIds: [],
      uid: 0,
    });
    expect(info.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(info.bytesXlated).toBeGreaterThanOrEqual(16);
    expect(Math.abs(info.loadedAt - before)).toBeLessThan(30);
  });

  test('a batch runs every packet and lists those that Linux does not take', async () => {
    using linux = new LinuxKernel();
    // The packet's length; its first byte becomes 9.
    const fd = await linux.progLoad({
      type: ProgType.Xdp,
      instructions: code(`
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r0 = r3
        r0 -= r2
        r4 = r2
        r4 += 1
        if r4 > r3 goto out
        *(u8 *)(r2 + 0) = 9
      out:
        exit`),
      license: 'GPL',
      name: 'length',
    });
    const offsets = Uint32Array.of(0, 20, 30, 90);
    const batch = { count: 3, data: new Uint8Array(90).fill(1), offsets, wantData: true };
    const { retvals, faults, data, offsets: after } = await linux.progRunBatch(fd, batch);
    expect([retvals[0], retvals[2]]).toEqual([20, 60]);
    expect(faults).toEqual([
      {
        index: 1,
        fault: expect.objectContaining({
          kind: 'not-run',
          progName: 'length',
          message: expect.stringContaining('10 bytes'),
        }),
      },
    ]);
    expect(after).toEqual(offsets);
    expect([data?.[0], data?.[1], data?.[20], data?.[30]]).toEqual([9, 1, 1, 9]);
    // What was given stays as it was.
    expect(batch.data.every((byte) => byte === 1)).toBe(true);
  });

  test('a batch gives back packets without the metadata in front of them, as the emulated kernel does', async () => {
    using linux = new LinuxKernel();
    const emulated = new EmulatedKernel();
    const answers = await Promise.all(
      [linux, emulated].map(async (kernel) => {
        const fd = await kernel.progLoad({
          type: ProgType.Xdp,
          instructions: code(`
            r6 = r1
            r2 = -8
            call 54
            if r0 != 0 goto out
            r2 = *(u32 *)(r6 + 0)
            r3 = *(u32 *)(r6 + 4)
            r4 = r2
            r4 += 1
            if r4 > r3 goto out
            *(u8 *)(r2 + 0) = 9
            r0 = 2
          out:
            exit`),
          license: 'GPL',
          name: 'metadata',
        });
        const offsets = Uint32Array.of(0, 20, 90);
        return kernel.progRunBatch(fd, {
          count: 2,
          data: new Uint8Array(90).fill(1),
          offsets,
          wantData: true,
        });
      }),
    );
    for (const { retvals, faults, data, offsets } of answers) {
      expect([...retvals]).toEqual([2, 2]);
      expect(faults).toEqual([]);
      expect([...(offsets ?? [])]).toEqual([0, 20, 90]);
      expect([...(data ?? [])]).toEqual(Array.from({ length: 90 }, (_, i) => (i === 0 || i === 20 ? 9 : 1)));
    }
  });

  test('names and descriptors that it cannot take are refused before they reach the kernel', async () => {
    using linux = new LinuxKernel();
    const attr = { type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 };
    expect((await failure(linux.mapCreate({ ...attr, name: 'sixteen_letters_' }))).errno).toBe(Errno.EINVAL);
    // Standard output is not ours to close.
    expect((await failure(linux.close(1))).errno).toBe(Errno.EBADF);
    expect((await failure(linux.mapInfo(1))).errno).toBe(Errno.EBADF);
  });

  test('a thousand loads leave no descriptor behind, nor does disposing of the kernel', async () => {
    const before = descriptors();
    {
      using linux = new LinuxKernel();
      const instructions = code('r0 = 2\nexit');
      for (let i = 0; i < 1000; i++) {
        await linux.close(await linux.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' }));
      }
      expect(descriptors()).toBe(before);
      await linux.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' });
      await linux.mapCreate({ type: MapType.Hash, keySize: 4, valueSize: 4, maxEntries: 1 });
      expect(descriptors()).toBe(before + 2);
    }
    expect(descriptors()).toBe(before);
  });
});
