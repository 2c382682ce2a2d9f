// Small XDP programs that call one helper or a few, and what they answer: helpers of ring buffers, perf events and
// redirection, and lookups in maps of maps. Each program returns what it is about in r0.

import type { Fd } from '../../src/bpf/bpf.js';
import { MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import type { Scenario } from './scenarios.js';
import { type Recorder, u32 } from './transcript.js';

const MARK = 0x5eed00;

/**
 * Loads a program. `rN = map I` is the I-th of `maps`, `rN = value I` the address of the first value of it; r6 is the
 * context.
 */
async function load(r: Recorder, text: string, maps: readonly Fd[]): Promise<Fd> {
  const wide = text
    .replaceAll(/= map (\d)/g, (_, map) => `= ${MARK + Number(map)} ll`)
    .replaceAll(/= value (\d)/g, (_, map) => `= ${MARK + 16 + Number(map)} ll`);
  const instructions = assemble(`r6 = r1\n${wide}`).map((insn) => {
    const index = insn.imm - MARK;
    if (insn.immHigh === undefined || index < 0 || index > 31) return insn;
    return { ...insn, src: index < 16 ? 1 : 2, imm: maps[index % 16] ?? -1, immHigh: 0 };
  });
  const attr = { type: ProgType.Xdp, instructions: encode(instructions), license: 'GPL' } as const;
  return r.opened(await r.kernel.progLoad(attr));
}

const packet = Uint8Array.from({ length: 64 }, (_, i) => 0x80 + i);

/** r0 as a signed number, or what was refused. */
async function answer(r: Recorder, text: string, maps: readonly Fd[]): Promise<string> {
  const { retval } = await r.kernel.progTestRun(await load(r, text, maps), { dataIn: packet });
  return String(retval | 0);
}

const exit = '\nexit';

/** The start of a long list of bytes, and how many there are. */
const brief = (bytes: Uint8Array): string =>
  `${bytes.length}:${Array.from(bytes.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** A map with one value of 8192 bytes to send from: byte i is i modulo 251. */
async function source(r: Recorder): Promise<Fd> {
  const fd = await r.map({ type: MapType.Array, keySize: 4, valueSize: 8192, maxEntries: 1 });
  await r.kernel.mapUpdateElem(
    fd,
    u32(0),
    Uint8Array.from({ length: 8192 }, (_, i) => i % 251),
  );
  return fd;
}

const ring = { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 } as const;

/** Commands on ring buffer 0 with data from map 1. */
function ringCommands(r: Recorder, maps: readonly Fd[]) {
  const [fd = -1] = maps;
  return {
    output: (size: number, flags = 0, offset = 0) =>
      r.note(
        `output ${size} bytes, flags ${flags}`,
        answer(
          r,
          `r1 = map 0\nr2 = value 1\nr2 += ${offset}\nr3 = ${size}\nr4 = ${flags}\ncall 130${exit}`,
          maps,
        ),
      ),
    query: (what: number) =>
      r.note(`query ${what}`, answer(r, `r1 = map 0\nr2 = ${what}\ncall 134${exit}`, maps)),
    consume: () =>
      r.note(
        'consume',
        r.kernel.ringbufConsume(fd).then((all) => all.map(brief).join(' ') || 'nothing'),
      ),
    ready: () =>
      r.note(
        'ready',
        r.kernel.poll([fd], 0).then((ready) => ready.length),
      ),
  };
}

/** Reserves `size` bytes, writes a number there and hands them over with helper `end` (132 submit, 133 discard). */
const reserve = (size: number, number: number, end: number, flags = 0): string => `
  r1 = map 0
  r2 = ${size}
  r3 = 0
  call 131
  if r0 == 0 goto +4
  *(u32 *)(r0 + 0) = ${number}
  r1 = r0
  r2 = ${flags}
  call ${end}`;

const rings: Scenario[] = [
  {
    name: 'records of a ring buffer',
    async run(r) {
      const maps = [await r.map(ring), await source(r)];
      const { output, query, consume, ready } = ringCommands(r, maps);
      await consume();
      await ready();
      for (const size of [0, 1, 7, 8, 9, 100]) await output(size);
      for (const what of [0, 1, 2, 3, 4, 99]) await query(what);
      await ready();
      await consume();
      await ready();
      for (const what of [0, 1, 2, 3]) await query(what);
      for (const flags of [1, 2, 3, 4, 8, 0x7fffffff]) await output(8, flags);
      await consume();
      for (const size of [4081, 4088, 4089, 8192]) await output(size);
      await output(4080);
      await output(0);
      await consume();
    },
  },
  {
    name: 'a ring buffer that goes round',
    async run(r) {
      const maps = [await r.map(ring), await source(r)];
      const { output, query, consume } = ringCommands(r, maps);
      for (let round = 0; round < 5; round++) {
        for (let n = 0; n < 5; n++) await output(1000 + round, 0, n);
        await query(0);
        await query(3);
        await consume();
      }
    },
  },
  {
    name: 'reserving, submitting and discarding',
    async run(r) {
      const maps = [await r.map(ring), await source(r)];
      const { query, consume } = ringCommands(r, maps);
      const one = (what: string, text: string) => r.note(what, answer(r, `${text}\nr0 = 0${exit}`, maps));
      await one('submit 8', reserve(8, 1, 132));
      await one('discard 16', reserve(16, 2, 133));
      await one('submit 24, no wake-up', reserve(24, 3, 132, 1));
      await one('submit 32, with flags that mean nothing', reserve(32, 4, 132, 0x70));
      await query(0);
      await consume();
      await one('discard 8', reserve(8, 5, 133));
      await query(0);
      await consume();
      await query(0);
      // The first of two is handed over last.
      const two = `
        r1 = map 0\nr2 = 8\nr3 = 0\ncall 131
        if r0 == 0 goto +15
        r7 = r0
        *(u64 *)(r7 + 0) = 6
        r1 = map 0\nr2 = 8\nr3 = 0\ncall 131
        if r0 == 0 goto +4
        *(u64 *)(r0 + 0) = 7
        r1 = r0\nr2 = 0\ncall 132
        r1 = r7\nr2 = 0\ncall 132`;
      await one('the second first', two);
      await consume();
      const asked = (size: number, flags: number) =>
        `r1 = map 0\nr2 = ${size}\nr3 = ${flags}\ncall 131\nif r0 == 0 goto +5\nr1 = r0\nr2 = 0\ncall 133\nr0 = 1\ngoto +1\nr0 = 0`;
      for (const [size, flags] of [
        [0, 0],
        [8, 1],
        [8, 1 << 20],
        [4080, 0],
        [4081, 0],
        [8192, 0],
        [0x3fffffff, 0],
      ] as const) {
        await r.note(`reserve ${size}, flags ${flags}`, answer(r, asked(size, flags) + exit, maps));
        await consume();
      }
    },
  },
  {
    name: 'user ring buffer, from user space',
    async run(r) {
      const fd = await r.map({ ...ring, type: MapType.UserRingbuf });
      const produce = (size: number) =>
        r.note(`produce ${size}`, r.kernel.ringbufProduce(fd, new Uint8Array(size)));
      for (const size of [0, 1, 8, 4089, 4088, 4000, 56, 48, 40, 0, 0]) await produce(size);
      await r.note('consume', r.kernel.ringbufConsume(fd));
      await r.note('produce into another', r.kernel.ringbufProduce(await r.map(ring), u32(1)));
    },
  },
];

/** bpf_perf_event_output of `size` bytes of map 1 to map 0. */
const send = (flags: string, size: number): string =>
  `r1 = r6\nr2 = map 0\nr3 = ${flags} ll\nr4 = value 1\nr5 = ${size}\ncall 25${exit}`;

const perf: Scenario = {
  name: 'samples to perf events',
  async run(r) {
    const array = await r.map({ type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 3 });
    const maps = [array, await source(r)];
    const output = (flags: string, size: number) =>
      r.note(`output ${size} bytes, flags ${flags}`, answer(r, send(flags, size), maps));
    const current = '0xffffffff';
    await output(current, 8);
    const first = r.opened(await r.kernel.perfBufferOpen(0, 4096));
    const second = r.opened(await r.kernel.perfBufferOpen(1, 4096));
    await r.update(array, u32(0), u32(first), 0, 'CPU 0');
    await r.update(array, u32(1), u32(second), 0, 'CPU 1');
    await r.update(array, u32(1), u32(second), 1, 'CPU 1');
    await r.lookup(array, u32(0));
    const consume = (fd: Fd) =>
      r.note(
        'consume',
        r.kernel
          .perfBufferConsume(fd)
          .then(
            (all) =>
              all.map((one) => ('lost' in one ? `lost ${one.lost}` : brief(one.data))).join(' ') || 'nothing',
          ),
      );
    await r.note(
      'ready',
      r.kernel.poll([first, second], 0).then((ready) => ready.length),
    );
    for (const size of [0, 1, 3, 4, 5, 8, 12, 13]) await output(current, size);
    await r.note(
      'ready',
      r.kernel.poll([first, second], 0).then((ready) => ready.length),
    );
    await consume(first);
    await output('0', 4);
    await output('1', 4);
    await output('2', 4);
    await output('3', 4);
    await output('0xfffffffe', 4);
    await output('0x100000000000000', 4);
    await output('0x8000000000000000', 4);
    for (const bytes of [1, 14, 60, 64, 65, 0xfffff]) {
      await output(`0x${bytes.toString(16)}ffffffff`, 4);
    }
    await consume(first);
    await consume(second);
    // Multiples of 8 with the header of 12 bytes: nothing is padded.
    for (let n = 0; n < 6; n++) await output(current, 1012 + 8 * (n % 2));
    await consume(first);
    await output(current, 12);
    await output(current, 20);
    await consume(first);
    await output(current, 4072);
    await output(current, 4076);
    await output(current, 4084);
    await consume(first);
    await r.remove(array, u32(0));
    await r.remove(array, u32(0));
    await output(current, 4);
    await r.note('open for a CPU that there is not', r.kernel.perfBufferOpen(5000, 4096));
    await r.note('open without a page', r.kernel.perfBufferOpen(0, 0));
    await r.note('open three pages', r.kernel.perfBufferOpen(0, 3 * 4096));
  },
};

/** The types that bpf_redirect_map takes. */
const redirecting = [MapType.Devmap, MapType.DevmapHash, MapType.Cpumap, MapType.Xskmap] as const;

const redirects: Scenario[] = redirecting.map((type) => ({
  name: `redirecting to map type ${type}`,
  async run(r: Recorder) {
    const maps = [await r.map({ type, keySize: 4, valueSize: 4, maxEntries: 4 })];
    if (type === MapType.Cpumap) await r.update(maps[0] ?? -1, u32(1), u32(16));
    for (const key of ['0', '1', '4', '0x100000001', '0xffffffff']) {
      for (const flags of [
        '0',
        '1',
        '2',
        '3',
        '4',
        '8',
        '9',
        '0x10',
        '0x18',
        '0x1b',
        '0x20',
        '0x100000000',
      ]) {
        await r.note(
          `redirect to ${key}, flags ${flags}`,
          answer(r, `r1 = map 0\nr2 = ${key} ll\nr3 = ${flags} ll\ncall 51${exit}`, maps),
        );
      }
    }
  },
}));

/**
 * Looks the number `key` up in map 0, and the number `index` in the map that is found there; adds 5 to the value and
 * returns it, -1 when there is no such map and -2 when there is no such value.
 */
const addInside = (key: number, index: number): string => `
  *(u32 *)(r10 - 4) = ${key}
  r1 = map 0
  r2 = r10
  r2 += -4
  call 1
  if r0 == 0 goto +13
  *(u32 *)(r10 - 4) = ${index}
  r1 = r0
  r2 = r10
  r2 += -4
  call 1
  if r0 == 0 goto +5
  r1 = *(u64 *)(r0 + 0)
  r1 += 5
  *(u64 *)(r0 + 0) = r1
  r0 = r1
  goto +3
  r0 = -2
  goto +1
  r0 = -1${exit}`;

const inside: Scenario[] = [MapType.ArrayOfMaps, MapType.HashOfMaps].map((type) => ({
  name: `programs and maps in map type ${type}`,
  async run(r: Recorder) {
    const model = { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 4 } as const;
    const [a, b] = [await r.map(model), await r.map(model)];
    const outer = await r.map({ type, keySize: 4, valueSize: 4, maxEntries: 3, innerMapFd: a });
    await r.kernel.mapUpdateElem(outer, u32(1), u32(a));
    await r.kernel.mapUpdateElem(outer, u32(2), u32(b));
    await r.kernel.mapUpdateElem(a, u32(7), u32(10, 0));
    await r.kernel.mapUpdateElem(b, u32(7), u32(20, 0));
    const run = (key: number, index: number) =>
      r.note(`add 5 at ${key}, ${index}`, answer(r, addInside(key, index), [outer]));
    for (const key of [0, 1, 2, 3, 4]) for (const index of [6, 7]) await run(key, index);
    await r.lookup(a, u32(7));
    await r.lookup(b, u32(7));
    // The other way round, while the program is loaded.
    await r.kernel.mapUpdateElem(outer, u32(1), u32(b));
    await r.kernel.mapDeleteElem(outer, u32(2));
    for (const key of [1, 2]) await run(key, 7);
    await r.lookup(b, u32(7));
  },
}));

const ringsInside: Scenario = {
  name: 'a ring buffer in an array of maps',
  async run(r) {
    const [a, b] = [await r.map(ring), await r.map({ ...ring, maxEntries: 8192 })];
    const outer = await r.map({
      type: MapType.ArrayOfMaps,
      keySize: 4,
      valueSize: 4,
      maxEntries: 2,
      innerMapFd: a,
    });
    await r.kernel.mapUpdateElem(outer, u32(1), u32(b));
    const text = (key: number) =>
      `
      *(u32 *)(r10 - 4) = ${key}
      r1 = map 0
      r2 = r10
      r2 += -4
      call 1
      if r0 == 0 goto +7
      r1 = r0
      r2 = r10
      r2 += -4
      r3 = 4
      r4 = 0
      call 130
      goto +1
      r0 = -1${exit}`;
    for (const key of [0, 1, 2]) await r.note(`output through ${key}`, answer(r, text(key), [outer]));
    for (const fd of [a, b]) {
      await r.note(
        'consume',
        r.kernel.ringbufConsume(fd).then((all) => all.map(brief).join(' ') || 'nothing'),
      );
    }
  },
};

/** Runs until the answer is `wanted`: Linux lets go of programs a little later. */
async function until(wanted: number, run: () => Promise<number>): Promise<number> {
  let answer = await run();
  for (let n = 0; n < 200 && answer !== wanted; n++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    answer = await run();
  }
  return answer;
}

const descriptors: Scenario[] = [
  {
    name: 'what a program array holds when its descriptors go',
    async run(r) {
      const array = await r.kernel.mapCreate({
        type: MapType.ProgArray,
        keySize: 4,
        valueSize: 4,
        maxEntries: 2,
      });
      const again = await r.kernel.mapGetFdById((await r.kernel.mapInfo(array)).id);
      await r.kernel.mapUpdateElem(array, u32(1), u32(await load(r, `r0 = 9${exit}`, [])));
      const caller = await load(r, `r1 = r6\nr2 = map 0\nr3 = 1\ncall 12\nr0 = 5${exit}`, [array]);
      const run = async () => (await r.kernel.progTestRun(caller, { dataIn: packet })).retval;
      await r.note('with two', run());
      await r.kernel.close(array);
      await r.note('with one', run());
      await r.kernel.close(again);
      await r.note('with none', until(5, run));
    },
  },
  ...[0, MapFlag.PreserveElems].map((flags) => ({
    name: `what a perf event array with flags ${flags} holds when its descriptors go`,
    async run(r: Recorder) {
      const attr = { type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 2, flags } as const;
      const [array, other] = [await r.kernel.mapCreate(attr), await source(r)];
      const again = r.opened(await r.kernel.mapGetFdById((await r.kernel.mapInfo(array)).id));
      const buffer = r.opened(await r.kernel.perfBufferOpen(0, 4096));
      await r.kernel.mapUpdateElem(array, u32(0), u32(buffer));
      await r.kernel.mapUpdateElem(again, u32(1), u32(buffer));
      const programs = [
        await load(r, send('0', 4), [array, other]),
        await load(r, send('1', 4), [array, other]),
      ];
      const run = async (index: number) =>
        (await r.kernel.progTestRun(programs[index] ?? -1, { dataIn: packet })).retval | 0;
      for (const index of [0, 1]) await r.note(`slot ${index}`, run(index));
      await r.kernel.close(array);
      for (const index of [0, 1]) await r.note(`slot ${index}, the first descriptor closed`, run(index));
    },
  })),
];

export const programScenarios: readonly Scenario[] = [
  ...rings,
  perf,
  ...redirects,
  ...inside,
  ringsInside,
  ...descriptors,
];
