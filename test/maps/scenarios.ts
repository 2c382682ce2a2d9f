// Commands on maps of the types that hold references or carry records, right and wrong: what each kernel answers is one
// transcript. Ids and descriptors differ between kernels and are shown by name.

import { MapFlag, MapType, mapTypeName, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { types as created } from './creations.js';
import { type Recorder, u32 } from './transcript.js';

export interface Scenario {
  readonly name: string;
  run(r: Recorder): Promise<void>;
}

/** No process has this many descriptors. */
const noFd = 99_999;

const none = new Uint8Array(0);
const { Any, NoExist, Exist } = { Any: 0, NoExist: 1, Exist: 2 } as const;

const simple = { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 3 } as const;

/** An XDP program that passes everything; `expectedAttachType` 33: devmap, 35: CPU map. */
async function program(r: Recorder, expectedAttachType?: 33 | 35): Promise<number> {
  const instructions = encode(assemble('r0 = 2\nexit'));
  const attr = { type: ProgType.Xdp, instructions, license: 'GPL' };
  return r.opened(await r.kernel.progLoad(expectedAttachType ? { ...attr, expectedAttachType } : attr));
}

/** Shows an id as `right` when it is the one that is expected. */
async function idAt(r: Recorder, fd: number, key: Uint8Array, expected: number): Promise<void> {
  const show = async () => {
    const id = new DataView((await r.kernel.mapLookupElem(fd, key)).buffer).getUint32(0, true);
    return id === expected ? 'right' : `${id}, not ${expected}`;
  };
  await r.note(`id at ${key.join('.')}`, show());
}

const rings: Scenario[] = [MapType.Ringbuf, MapType.UserRingbuf].map((type) => ({
  name: type === MapType.Ringbuf ? 'ring buffer' : 'user ring buffer',
  async run(r) {
    const fd = await r.map({ type, keySize: 0, valueSize: 0, maxEntries: 4096 });
    await r.lookup(fd, none);
    await r.update(fd, none, none);
    for (const flags of [NoExist, Exist, 4]) await r.update(fd, none, none, flags);
    await r.remove(fd, none);
    await r.next(fd, null);
    await r.note('freeze', r.kernel.mapFreeze(fd));
    await r.update(fd, none, none);
    await r.memlock(fd);
  },
}));

const maps: Scenario[] = [
  {
    name: 'array of maps',
    async run(r) {
      const inner = await r.map(simple);
      const fd = await r.map({ ...simple, type: MapType.ArrayOfMaps, valueSize: 4, innerMapFd: inner });
      const { id } = await r.kernel.mapInfo(inner);
      const put = (key: number, value: number, flags: number = Any, word = 'map') =>
        r.update(fd, u32(key), u32(value), flags, word);
      await r.lookup(fd, u32(0));
      await r.lookup(fd, u32(3));
      for (const flags of [Any, NoExist, Exist, 4]) await put(0, inner, flags);
      await idAt(r, fd, u32(0), id);
      await put(0, inner, Any, 'the same again');
      await put(3, inner, Any, 'beyond');
      await put(1, noFd, Any, 'no descriptor');
      await put(1, fd, Any, 'itself');
      await put(3, noFd, Any, 'no descriptor, beyond');
      await put(1, await program(r), Any, 'a program');
      const others = {
        'more elements': { ...simple, maxEntries: 4 },
        'longer values': { ...simple, valueSize: 16 },
        'another type': { ...simple, type: MapType.Hash },
        'another flag': { ...simple, flags: MapFlag.RdonlyProg },
        'read-only for the system call': { ...simple, flags: MapFlag.Rdonly },
        'any length': { ...simple, flags: MapFlag.InnerMap },
        'another name': { ...simple, name: 'other' },
      };
      for (const [word, attr] of Object.entries(others)) await put(1, await r.map(attr), Any, word);
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(3));
      await r.lookup(fd, u32(0));
      await r.next(fd, null);
      await r.next(fd, u32(2));
      await r.next(fd, u32(7));
      await r.memlock(fd);
    },
  },
  {
    name: 'array of arrays of any length',
    async run(r) {
      const inner = await r.map({ ...simple, flags: MapFlag.InnerMap });
      const fd = await r.map({ ...simple, type: MapType.ArrayOfMaps, valueSize: 4, innerMapFd: inner });
      for (const maxEntries of [1, 3, 100]) {
        const other = await r.map({ ...simple, maxEntries, flags: MapFlag.InnerMap });
        await r.update(fd, u32(0), u32(other), Any, `${maxEntries} elements`);
        await idAt(r, fd, u32(0), (await r.kernel.mapInfo(other)).id);
      }
      await r.update(fd, u32(1), u32(await r.map(simple)), Any, 'without the flag');
    },
  },
  ...[0, MapFlag.NoPrealloc].map((flags) => ({
    name: flags ? 'hash of maps, not preallocated' : 'hash of maps',
    async run(r: Recorder) {
      const inner = await r.map(simple);
      const other = await r.map(simple);
      const ids = [(await r.kernel.mapInfo(inner)).id, (await r.kernel.mapInfo(other)).id] as const;
      const fd = await r.map({
        type: MapType.HashOfMaps,
        keySize: 5,
        valueSize: 4,
        maxEntries: 2,
        innerMapFd: inner,
        flags,
      });
      const key = (n: number) => Uint8Array.of(n, 0, 0, 0, n);
      const put = (n: number, value: number, how: number, word: string) =>
        r.update(fd, key(n), u32(value), how, word);
      await r.lookup(fd, key(1));
      await r.next(fd, null);
      for (const how of [3, 4, 8, Exist, NoExist, NoExist, Exist, Any]) await put(1, inner, how, 'map');
      await idAt(r, fd, key(1), ids[0]);
      await put(1, other, Any, 'another map');
      await idAt(r, fd, key(1), ids[1]);
      await put(1, noFd, 3, 'no descriptor, wrong flags');
      await put(1, noFd, Any, 'no descriptor');
      await put(2, fd, Any, 'itself');
      await put(2, await r.map({ ...simple, maxEntries: 4 }), Any, 'more elements');
      await put(2, inner, Any, 'map');
      await put(3, inner, Any, 'map');
      await r.memlock(fd);
      await r.remove(fd, key(1));
      await r.remove(fd, key(1));
      await r.next(fd, null);
      await r.next(fd, key(2));
      await r.next(fd, key(7));
      await r.memlock(fd);
      // The map stays alive in there without a descriptor.
      await r.kernel.mapUpdateElem(other, u32(1), new Uint8Array(8).fill(7));
      await put(1, other, Any, 'another map');
      await idAt(r, fd, key(1), ids[1]);
    },
  })),
  {
    name: 'what a map of maps may be created with',
    async run(r) {
      const of = (innerMapFd: number | undefined, type: MapType = MapType.ArrayOfMaps) =>
        r.kernel
          .mapCreate({
            type,
            keySize: 4,
            valueSize: 4,
            maxEntries: 1,
            ...(innerMapFd === undefined ? {} : { innerMapFd }),
          })
          .then((fd) => void r.opened(fd));
      await r.note('no descriptor', of(noFd));
      await r.note('a program', of(await program(r)));
      const inner = await r.map(simple);
      for (const type of [MapType.ArrayOfMaps, MapType.HashOfMaps]) {
        const outer = await r.map({ ...simple, type, valueSize: 4, innerMapFd: inner });
        await r.note(`map type ${type}`, of(outer));
      }
      const kinds = [
        MapType.Hash,
        MapType.ProgArray,
        MapType.PerfEventArray,
        MapType.PercpuHash,
        MapType.PercpuArray,
        MapType.Devmap,
        MapType.DevmapHash,
        MapType.Cpumap,
        MapType.Xskmap,
      ];
      for (const type of kinds) {
        const model = await r.map({ ...simple, type, valueSize: 4 });
        await r.note(`map type ${type}`, of(model));
        await r.note(`map type ${type} in a hash`, of(model, MapType.HashOfMaps));
        const shorter = await r.map({ ...simple, type, valueSize: 4, maxEntries: 1 });
        const outer = await r.kernel
          .mapCreate({ ...simple, type: MapType.ArrayOfMaps, valueSize: 4, innerMapFd: model })
          .then((fd) => r.opened(fd))
          .catch(() => undefined);
        if (outer !== undefined) await r.update(outer, u32(0), u32(shorter), Any, 'a shorter one');
      }
      for (const type of [MapType.Ringbuf, MapType.UserRingbuf]) {
        const ring = { type, keySize: 0, valueSize: 0, maxEntries: 4096 };
        const outer = await r.map({
          ...simple,
          type: MapType.ArrayOfMaps,
          valueSize: 4,
          innerMapFd: await r.map(ring),
        });
        const larger = await r.map({ ...ring, maxEntries: 8192 });
        await r.update(outer, u32(0), u32(larger), Any, 'a larger ring');
      }
    },
  },
];

const redirects: Scenario[] = [
  ...[4, 8].map((valueSize) => ({
    name: `devmap, values of ${valueSize} bytes`,
    async run(r: Recorder) {
      const fd = await r.map({ type: MapType.Devmap, keySize: 4, valueSize, maxEntries: 2 });
      const noDevice = 123_456;
      const value = (ifindex: number, prog = 0) => (valueSize === 8 ? u32(ifindex, prog) : u32(ifindex));
      await r.lookup(fd, u32(0));
      await r.lookup(fd, u32(2));
      for (const flags of [Any, NoExist, Exist, 3, 4]) {
        await r.update(fd, u32(0), value(noDevice), flags);
        await r.update(fd, u32(0), value(0), flags);
        await r.update(fd, u32(2), value(noDevice), flags);
      }
      await r.memlock(fd);
      if (valueSize === 8) {
        await r.update(fd, u32(0), value(0, noFd));
        await r.update(fd, u32(0), value(noDevice, noFd));
        await r.update(fd, u32(0), value(noDevice, 0xffffffff));
        await r.update(fd, u32(0), value(0, 0xffffffff));
      }
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(2));
      await r.memlock(fd);
      await r.next(fd, null);
      await r.next(fd, u32(0));
      await r.next(fd, u32(1));
    },
  })),
  {
    name: 'devmap by hash',
    async run(r) {
      const fd = await r.map({ type: MapType.DevmapHash, keySize: 4, valueSize: 8, maxEntries: 2 });
      const noDevice = 123_456;
      await r.lookup(fd, u32(7));
      for (const flags of [Any, NoExist, Exist, 3, 4]) {
        await r.update(fd, u32(7), u32(noDevice, 0), flags);
        await r.update(fd, u32(7), u32(0, 0), flags);
      }
      await r.update(fd, u32(7), u32(noDevice, noFd));
      await r.update(fd, u32(7), u32(0, noFd));
      await r.remove(fd, u32(7));
      await r.next(fd, null);
      await r.next(fd, u32(7));
      await r.memlock(fd);
    },
  },
  ...[4, 8].map((valueSize) => ({
    name: `CPU map, values of ${valueSize} bytes`,
    async run(r: Recorder) {
      const fd = await r.map({ type: MapType.Cpumap, keySize: 4, valueSize, maxEntries: 100 });
      const value = (queue: number, prog = 0) => (valueSize === 8 ? u32(queue, prog) : u32(queue));
      await r.lookup(fd, u32(0));
      await r.lookup(fd, u32(100));
      for (const key of [0, 99, 100]) {
        for (const flags of [Any, NoExist, Exist, 3, 4]) {
          await r.update(fd, u32(key), value(64), flags);
          await r.lookup(fd, u32(key));
        }
        for (const queue of [16384, 16385, 0xffffffff, 0]) {
          await r.update(fd, u32(key), value(queue));
          await r.lookup(fd, u32(key));
        }
      }
      if (valueSize === 8) {
        const right = await program(r, 35);
        await r.update(fd, u32(0), value(16, right), Any, 'a program');
        await r.note(
          'its program',
          r.kernel.mapLookupElem(fd, u32(0)).then(async (found) => {
            const id = new DataView(found.buffer).getUint32(4, true);
            return id === (await r.kernel.progInfo(right)).id ? 'right' : 'wrong';
          }),
        );
        await r.update(fd, u32(0), value(16, await program(r)), Any, 'a program for devices');
        await r.update(fd, u32(0), value(16, await program(r, 33)), Any, 'a program for devmaps');
        await r.update(fd, u32(0), value(16, fd), Any, 'a map');
        await r.update(fd, u32(0), value(16, noFd));
        await r.update(fd, u32(0), value(0, noFd));
        await r.update(fd, u32(0), value(16, 0xffffffff));
        await r.lookup(fd, u32(0));
      }
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(99));
      await r.remove(fd, u32(100));
      await r.lookup(fd, u32(0));
      await r.memlock(fd);
      await r.next(fd, null);
      await r.next(fd, u32(99));
    },
  })),
  {
    name: 'XSK map',
    async run(r) {
      const fd = await r.map({ type: MapType.Xskmap, keySize: 4, valueSize: 4, maxEntries: 2 });
      await r.lookup(fd, u32(0));
      await r.lookup(fd, u32(2));
      for (const key of [0, 2]) {
        for (const flags of [Any, NoExist, Exist, 3, 4]) {
          await r.update(fd, u32(key), u32(noFd), flags);
          await r.update(fd, u32(key), u32(fd), flags, 'a map');
        }
      }
      await r.remove(fd, u32(0));
      await r.remove(fd, u32(2));
      await r.next(fd, null);
      await r.next(fd, u32(1));
      await r.memlock(fd);
    },
  },
];

const perf: Scenario = {
  name: 'perf event array',
  async run(r) {
    const fd = await r.map({ type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 2 });
    await r.lookup(fd, u32(0));
    await r.lookup(fd, u32(2));
    for (const key of [0, 2]) {
      for (const flags of [Any, NoExist, Exist, 3, 4]) {
        await r.update(fd, u32(key), u32(noFd), flags);
        await r.update(fd, u32(key), u32(fd), flags, 'a map');
      }
      await r.remove(fd, u32(key));
    }
    await r.next(fd, null);
    await r.next(fd, u32(1));
    await r.memlock(fd);
  },
};

/** BTF with two types: 1 is a number of 4 bytes, 2 one of 8. */
function twoNumbers(): Uint8Array {
  const strings = new TextEncoder().encode('\0u32\0u64\0');
  const int = 1 << 24;
  const types = u32(1, int, 4, 32, 5, int, 8, 64);
  const bytes = new Uint8Array(24 + types.length + strings.length);
  bytes.set(u32(0x0001eb9f, 24, 0, types.length, types.length, strings.length));
  bytes.set(types, 24);
  bytes.set(strings, 24 + types.length);
  return bytes;
}

/** Map types and what their values are, to be created with types of keys and values. */
const described: readonly [type: MapType, keySize: number, valueSize: number, maxEntries: number][] = [
  [MapType.Hash, 4, 8, 2],
  [MapType.Array, 4, 8, 2],
  [MapType.Array, 4, 8, 1],
  [MapType.ProgArray, 4, 4, 2],
  [MapType.PerfEventArray, 4, 4, 2],
  [MapType.PercpuHash, 4, 8, 2],
  [MapType.PercpuArray, 4, 8, 2],
  [MapType.LruHash, 4, 8, 2],
  [MapType.LruPercpuHash, 4, 8, 2],
  [MapType.LpmTrie, 8, 8, 2],
  [MapType.ArrayOfMaps, 4, 4, 2],
  [MapType.HashOfMaps, 4, 4, 2],
  [MapType.Devmap, 4, 4, 2],
  [MapType.Cpumap, 4, 4, 2],
  [MapType.Xskmap, 4, 4, 2],
  [MapType.Queue, 0, 8, 2],
  [MapType.Stack, 0, 8, 2],
  [MapType.DevmapHash, 4, 4, 2],
  [MapType.Ringbuf, 0, 0, 4096],
  [MapType.BloomFilter, 0, 8, 2],
  [MapType.UserRingbuf, 0, 0, 4096],
];

const types: Scenario = {
  name: 'types of keys and values',
  async run(r) {
    const btfFd = r.opened(await r.kernel.btfLoad(twoNumbers()));
    const innerMapFd = await r.map(simple);
    for (const [type, keySize, valueSize, maxEntries] of described) {
      const inner = type === MapType.ArrayOfMaps || type === MapType.HashOfMaps ? { innerMapFd } : {};
      const flags = type === MapType.LpmTrie ? MapFlag.NoPrealloc : 0;
      for (const [btfKeyTypeId, btfValueTypeId] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [0, 2],
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
        [3, 2],
        [1, 3],
      ] as const) {
        const made = r.kernel
          .mapCreate({
            type,
            keySize,
            valueSize,
            maxEntries,
            flags,
            btfFd,
            btfKeyTypeId,
            btfValueTypeId,
            ...inner,
          })
          .then(async (fd) => {
            const info = await r.kernel.mapInfo(r.opened(fd));
            return `${info.btfId ? 'typed' : 'untyped'} ${info.btfKeyTypeId} ${info.btfValueTypeId}`;
          });
        const word = `${mapTypeName(type)} of ${maxEntries}, key ${keySize} value ${valueSize}`;
        await r.note(`${word}: types ${btfKeyTypeId} ${btfValueTypeId}`, made);
      }
    }
  },
};

const batches: Scenario = {
  name: 'many elements at once, and taking one out',
  async run(r) {
    const inner = await r.map(simple);
    for (const type of created) {
      const ring = type === MapType.Ringbuf || type === MapType.UserRingbuf;
      const sizes = ring
        ? { keySize: 0, valueSize: 0, maxEntries: 4096 }
        : { keySize: 4, valueSize: 4, maxEntries: 2 };
      const fd = await r.map({ type, ...sizes, innerMapFd: inner });
      const [keys, values] = ring ? [none, none] : [u32(1), u32(inner)];
      const { kernel } = r;
      const found = (result: { count: number; done: boolean }) =>
        `${result.count}${result.done ? ', the end' : ''}`;
      const what = (word: string) => `${mapTypeName(type)}: ${word}`;
      await r.note(what('take out'), kernel.mapLookupAndDeleteElem(fd, keys));
      await r.note(what('update'), kernel.mapUpdateBatch(fd, { count: 1, keys, values }));
      await r.note(what('look up'), kernel.mapLookupBatch(fd, null, 2).then(found));
      await r.note(what('look up one'), kernel.mapLookupBatch(fd, null, 1).then(found));
      await r.note(what('take out all'), kernel.mapLookupAndDeleteBatch(fd, null, 2).then(found));
      await r.note(what('delete'), kernel.mapDeleteBatch(fd, { count: 1, keys }));
    }
  },
};

export const scenarios: readonly Scenario[] = [...rings, ...maps, ...redirects, perf, types, batches];
