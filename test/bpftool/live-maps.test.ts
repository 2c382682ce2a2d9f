// The maps and BTF of the live kernel, as our tool shows them and as the machine's bpftool does: the same text, the same
// errors, the same exit status. What bpftool 7.1 prints otherwise than 7.8 is in `older`.

import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fd, MapCreateAttr } from '../../src/bpf/bpf.js';
import { BpfError } from '../../src/bpf/errno.js';
import { MapFlag, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { Mounts } from '../live/mounts.js';
import { missingKernel, missingTool, needs } from '../require.js';
import { runLine } from './memory-host.js';
import { TypeMaker, typesAndValues, valueBytes } from './random-types.js';

interface Answer {
  status: number | null;
  stdout: string;
  stderr: string;
}

interface OlderForm {
  what: string;
  /** Text in the form of 7.8 to that of 7.1. `plain`: it is not JSON. */
  as71: (text: string, plain: boolean) => string;
}

const older: readonly OlderForm[] = [
  {
    what: 'pointers are not quoted in plain output',
    as71: (text, plain) => (plain ? text.replaceAll(/"(\(nil\)|0x[0-9a-f]+)"(?!:)/g, '$1') : text),
  },
  {
    what: 'maps of maps do not show the id of the map inside as a number',
    as71: (text) =>
      text
        .replaceAll(/,\s*"inner_map_id": ?\d+/g, '')
        .replaceAll(/inner_map_id: (\d+) $/gm, (_, id: string) => {
          const bytes = [0, 8, 16, 24].map((shift) => (Number(id) >>> shift) & 0xff);
          return `value: ${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`;
        }),
  },
  {
    what: 'a backslash in text is written as a line end',
    as71: (text) => text.replaceAll('\\\\', '\\n'),
  },
  {
    what: 'long names are cut without a word',
    as71: (text) => text.replace(/^Warning: map name is longer than .*\n/m, ''),
  },
];

const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

/** Usage texts, which grow from version to version, and libbpf's own words are no part of the comparison. */
const leftOut = (stderr: string): string =>
  stderr.replace(/^libbpf: .*\n/gm, '').replace(/Usage: .*$/s, 'Usage');

/**
 * Where bpftool has two things to say of a failure, it writes two JSON documents with a comma between them, which is no
 * JSON; ours writes the one that says why the command failed. Nor does bpftool escape the line end in an error.
 */
const asJson = (stdout: string): string =>
  stdout
    .replace(
      /^(\{\s*"error": ?"[^"]*"\s*\}),(null|\{\s*"error": ?"[^"]*"\s*\})\n$/,
      (_, first: string, second: string) => (second === 'null' ? `${first}\n` : `${second}\n`),
    )
    .replace(/\n"\}/, '\\n"}');

/** Where each tool has maps of its own, alike, for the commands that change something. */
const OURS = '/sys/fs/bpf/ours';
const THEIRS = '/sys/fs/bpf/other';

needs('on this kernel', missingKernel() ?? missingTool('bpftool'), 'SKEP_REQUIRE_KERNEL', () => {
  let kernel: LinuxKernel;
  let mounts: Mounts;
  const fds: Fd[] = [];

  const theirs = (...argv: string[]): Answer => {
    const { status, stdout, stderr } = spawnSync('bpftool', argv, { encoding: 'utf8', maxBuffer: 1 << 28 });
    return { status, stdout: asJson(stdout), stderr: leftOut(stderr) };
  };
  const is71 = theirs('version').stdout.includes('v7.1.');

  beforeAll(() => {
    mounts = new Mounts();
    kernel = new LinuxKernel();
  });
  afterAll(async () => {
    for (const fd of fds) await kernel.close(fd);
    mounts[Symbol.dispose]();
  });

  const ours = async (...argv: string[]): Promise<Answer> => {
    const { status, stdout, stderr: said } = await runLine(argv, { kernel });
    const stderr = leftOut(said);
    if (!is71) return { status, stdout, stderr };
    const plain = !argv.some((word) => word === '-j' || word === '-p');
    const as71 = (text: string) => older.reduce((all, one) => one.as71(all, plain), text);
    return { status, stdout: as71(stdout), stderr: as71(stderr) };
  };

  /** The same line to both tools. */
  const same = async (...argv: string[]): Promise<void> => {
    expect(await ours(...argv), argv.join(' ')).toEqual(theirs(...argv));
  };

  const inAllForms = async (...argv: string[]): Promise<void> => {
    for (const option of [[], ['-j'], ['-p']]) await same(...option, ...argv);
  };

  /** A line to both tools, each with the maps of its own directory in place of `DIR`. Ids are left out. */
  const sameDone = async (line: string): Promise<void> => {
    const argv = (place: string) => line.split(' ').map((word) => word.replace('DIR', place));
    const alike = ({ status, stdout, stderr }: Answer) => {
      const text = (part: string) => part.replaceAll(OURS, 'DIR').replaceAll(THEIRS, 'DIR');
      return { status, stdout: text(stdout), stderr: text(stderr) };
    };
    expect(alike(await ours(...argv(OURS))), line).toEqual(alike(theirs(...argv(THEIRS))));
  };

  const create = async (attr: MapCreateAttr): Promise<{ map: Fd; id: string }> => {
    const map = await kernel.mapCreate(attr);
    fds.push(map);
    return { map, id: `${(await kernel.mapInfo(map)).id}` };
  };

  describe('what a map holds', () => {
    test('of any type', async () => {
      await fc.assert(
        fc.asyncProperty(typesAndValues, async ({ shape, seed }) => {
          const maker = new TypeMaker();
          const { id, size } = maker.add(shape);
          fc.pre(size > 0 && size < 500);
          const open: Fd[] = [];
          try {
            const btfFd = await kernel.btfLoad(maker.builder.encode()).catch((error: unknown) => {
              // Linux does not want small enums in structs with bit fields.
              if (error instanceof BpfError && /exceeds struct_size/.test(error.message)) fc.pre(false);
              throw error;
            });
            open.push(btfFd);
            const map = await kernel.mapCreate({
              type: MapType.Hash,
              keySize: size,
              valueSize: size,
              maxEntries: 4,
              btfFd,
              btfKeyTypeId: id,
              btfValueTypeId: id,
            });
            open.push(map);
            for (let turn = 0; turn < 2; turn++) {
              await kernel.mapUpdateElem(map, valueBytes(seed, size, turn), valueBytes(seed, size, turn + 5));
            }
            const mapId = `${(await kernel.mapInfo(map)).id}`;
            await same('map', 'dump', 'id', mapId);
            await same('-j', 'map', 'dump', 'id', mapId);
            const key = [...valueBytes(seed, size, 1)].map(String);
            await same('map', 'lookup', 'id', mapId, 'key', ...key);
            await same('btf', 'dump', 'map', 'id', mapId);
            await same('btf', 'dump', 'map', 'id', mapId, 'all');
          } finally {
            for (const fd of open.reverse()) await kernel.close(fd);
          }
        }),
        { numRuns: Number(process.env.SKEP_TYPE_RUNS ?? 25) },
      );
    }, 120_000);

    test.each([
      [4, 8],
      [1, 1],
      [8, 16],
      [8, 17],
      [12, 12],
      [12, 13],
      [16, 8],
      [17, 1],
      [33, 40],
      [40, 100],
    ])('without types: keys of %i and values of %i bytes', async (keySize, valueSize) => {
      for (const type of [MapType.Hash, MapType.PercpuHash, MapType.LruHash]) {
        const { map, id } = await create({ type, keySize, valueSize, maxEntries: 50 });
        const cpus = type === MapType.PercpuHash ? await kernel.possibleCpus() : 1;
        const length = type === MapType.PercpuHash ? Math.ceil(valueSize / 8) * 8 * cpus : valueSize;
        for (let i = 0; i < 5; i++) {
          const key = Uint8Array.from({ length: keySize }, (_, at) => at * 3 + i);
          await kernel.mapUpdateElem(
            map,
            key,
            Uint8Array.from({ length }, (_, at) => at * 7 + i),
          );
        }
        await inAllForms('map', 'dump', 'id', id);
        await inAllForms('map', 'show', 'id', id);
        const key = Array.from({ length: keySize }, (_, at) => `${(at * 3) & 0xff}`);
        await inAllForms('map', 'lookup', 'id', id, 'key', ...key);
        await inAllForms('map', 'getnext', 'id', id, 'key', ...key);
      }
    });

    test('of more elements than one batch has', async () => {
      const { map, id } = await create({ type: MapType.Hash, keySize: 4, valueSize: 4, maxEntries: 20000 });
      const keys = new Uint8Array(Uint32Array.from({ length: 10000 }, (_, i) => i * 17).buffer);
      await kernel.mapUpdateBatch(map, { count: 10000, keys, values: keys });
      await same('map', 'dump', 'id', id);
      await same('-j', 'map', 'dump', 'id', id);
    });

    test('of every type that can be made', async () => {
      const inner = await create({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
      const sized = { keySize: 4, valueSize: 4, maxEntries: 3 };
      const keyless = { keySize: 0, valueSize: 4, maxEntries: 4 };
      const buffer = { keySize: 0, valueSize: 0, maxEntries: 4096 };
      const attrs: MapCreateAttr[] = [
        ...[
          MapType.Hash,
          MapType.Array,
          MapType.ProgArray,
          MapType.PerfEventArray,
          MapType.PercpuHash,
          MapType.PercpuArray,
          MapType.CgroupArray,
          MapType.LruHash,
          MapType.LruPercpuHash,
          MapType.Devmap,
          MapType.DevmapHash,
          MapType.Cpumap,
          MapType.Xskmap,
          MapType.Sockmap,
          MapType.Sockhash,
          MapType.ReuseportSockarray,
        ].map((type) => ({ type, ...sized })),
        { type: MapType.StackTrace, keySize: 4, valueSize: 16, maxEntries: 2 },
        { type: MapType.LpmTrie, ...sized, keySize: 8, flags: MapFlag.NoPrealloc },
        { type: MapType.ArrayOfMaps, ...sized, innerMapFd: inner.map },
        { type: MapType.HashOfMaps, ...sized, innerMapFd: inner.map },
        { type: MapType.Queue, ...keyless },
        { type: MapType.Stack, ...keyless },
        { type: MapType.BloomFilter, ...keyless },
        { type: MapType.Ringbuf, ...buffer },
        { type: MapType.UserRingbuf, ...buffer },
      ];
      for (const attr of attrs) {
        const { map, id } = await create({ ...attr, name: 'of_every_type' });
        const key = u32(1);
        if (attr.type === MapType.ArrayOfMaps || attr.type === MapType.HashOfMaps) {
          await kernel.mapUpdateElem(map, key, u32(inner.map));
        }
        if (attr.type === MapType.Hash) await kernel.mapUpdateElem(map, key, key);
        await inAllForms('map', 'show', 'id', id);
        await inAllForms('map', 'dump', 'id', id);
        if (attr.keySize === 4) await inAllForms('map', 'lookup', 'id', id, 'key', '1', '0', '0', '0');
        if (attr.type !== MapType.BloomFilter) await inAllForms('map', 'lookup', 'id', id);
        await inAllForms('map', 'getnext', 'id', id);
        await inAllForms('btf', 'dump', 'map', 'id', id);
      }
    });

    test('several of one name', async () => {
      const attr = { keySize: 4, valueSize: 4, maxEntries: 2, name: 'twins' };
      await create({ type: MapType.Array, ...attr });
      await create({ type: MapType.Hash, ...attr });
      await inAllForms('map', 'show', 'name', 'twins');
      await inAllForms('map', 'dump', 'name', 'twins');
      await inAllForms('map', 'lookup', 'name', 'twins', 'key', '0', '0', '0', '0');
    });
  });

  describe('what changes maps', () => {
    const made = [
      // Zero seeds: two hashes have one order.
      'hash type hash key 4 value 8 entries 3 name h flags 64',
      'array type array key 4 value 8 entries 2 name a',
      'percpu type percpu_array key 4 value 3 entries 2 name p',
      'queue type queue key 0 value 4 entries 2 name q',
      'stack type stack key 0 value 4 entries 2 name s',
      'filter type bloom_filter key 0 value 4 entries 2 name b',
      'progs type prog_array key 4 value 4 entries 2 name j',
      'perf type perf_event_array key 4 value 4 entries 2 name e',
      'outer type hash_of_maps key 4 value 4 entries 2 name o inner_map pinned DIR/array',
      'flags type lpm_trie key 8 value 4 entries 2 name l flags 1',
      'hexed type hash key 0x4 value 010 entries 3 name x flags 0x1',
    ];

    beforeAll(async () => {
      for (const place of [OURS, THEIRS]) await kernel.mkdir(place);
      const prog = await kernel.progLoad({
        type: ProgType.Xdp,
        instructions: encode(assemble('r0 = 2\nexit')),
        license: 'GPL',
        name: 'live_maps_prog',
      });
      fds.push(prog);
      for (const place of [OURS, THEIRS]) await kernel.objPin(prog, `${place}/prog`);
      for (const line of made) await sameDone(`map create DIR/${line}`);
    });

    test.each(
      `map create DIR/x type nonsense key 4 value 8 entries 3 name h
map create DIR/x type has key 4 value 8 entries 3 name h
map create DIR/x type hash key 4 value 8 entries 3
map create DIR/x type hash key 4 value 8 entries 3 name
map create DIR/x type hash key 4 value 8 entries 3 name h what
map create DIR/x type hash key 4 value 8 entries 3 name h what 5
map create DIR/x type hash type hash value 8 entries 3 name h
map create DIR/x type hash key 4 key 5 value 8 entries 3 name h
map create DIR/x type hash key four value 8 entries 3 name h
map create DIR/x type hash key 4 value 8x entries 3 name h
map create DIR/x type hash key 4 value 8 entries 0 name h
map create DIR/x type hash key 4 value 8 entries -1 name h
map create DIR/x type hash key 4 value 8 entries 3 name not-a-name
map create DIR/x type hash key 4 value 8 entries 3 name h flags 0x80000000
map create DIR/x type array_of_maps key 4 value 4 entries 3 name h
map create DIR/x type array_of_maps key 4 value 4 entries 3 name h inner_map pinned DIR/nothing
map create DIR/x type hash
map create
map create DIR/long type hash key 4 value 8 entries 3 name a_name_that_is_too_long
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7 8
map update pinned DIR/hash key hex 2 0 0 0 value hex ff fe 0x1d c b a 9 8 noexist
map update pinned DIR/hash value 8 7 6 5 4 3 2 1 any key 3 0 0 0
map update pinned DIR/hash key 4 0 0 0 value 1 2 3 4 5 6 7 8
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7 8 noexist
map update pinned DIR/hash key 9 0 0 0 value 1 2 3 4 5 6 7 8 exist
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7 9 exist
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7 9 exist any
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7
map update pinned DIR/hash key 1 0 0 value 1 2 3 4 5 6 7 8
map update pinned DIR/hash key 1 0 0 0 value 1 2 3 4 5 6 7 8 9
map update pinned DIR/hash key 1 0 0 0 key 1 0 0 0
map update pinned DIR/hash value 1 2 3 4 5 6 7 8 value 1 2 3 4 5 6 7 8
map update pinned DIR/hash key 1 0 0 0
map update pinned DIR/hash value 1 2 3 4 5 6 7 8
map update pinned DIR/hash
map update pinned DIR/hash key 300 0 -1 010 value 0x100 2 3 4 5 6 7 8
map update pinned DIR/hash key 08 0 0 0 value 1 2 3 4 5 6 7 8
map update pinned DIR/nothing key 1 0 0 0
map update pinned
map update
map update pinned DIR/prog key 1 0 0 0 value 1
map update what DIR/hash key 1 0 0 0 value 1
map update pinned DIR/array key 2 0 0 0 value 1 2 3 4 5 6 7 8
map update pinned DIR/percpu key 1 0 0 0 value 1 2 3
map lookup pinned DIR/percpu key 1 0 0 0
map lookup pinned DIR/hash key 1 0 0 0
map lookup pinned DIR/hash key 9 0 0 0
map lookup pinned DIR/hash key 1 0 0 0 value 1
map lookup pinned DIR/hash key 1 0 0 0 any
map lookup pinned DIR/hash what
map lookup pinned DIR/hash
map lookup pinned DIR/perf key 0 0 0 0
map lookup id abc key 1
map lookup id 4294967295 key 1
map lookup id
map dump pinned DIR/hash
map dump pinned DIR/hash what
map dump pinned
map getnext pinned DIR/hash
map getnext pinned DIR/array key 0 0 0 0
map getnext pinned DIR/array key 1 0 0 0
map getnext pinned DIR/array key 7 0 0 0
map getnext pinned DIR/array key 7
map getnext pinned DIR/queue
map getnext
map delete pinned DIR/hash key 2 0 0 0
map delete pinned DIR/hash key 2 0 0 0
map delete pinned DIR/array key 0 0 0 0
map delete pinned DIR/hash
map delete pinned DIR/hash key 2 0 0 0 value 1
map delete
map push pinned DIR/queue value 1 2 3 4
map enqueue pinned DIR/queue value 5 6 7 8
map push pinned DIR/queue value 9 9 9 9
map push pinned DIR/queue value 9 9 9 9 exist
map push pinned DIR/queue key 1 value 1
map push pinned DIR/queue
map peek pinned DIR/queue
map dequeue pinned DIR/queue
map pop pinned DIR/queue
map pop pinned DIR/queue
map peek pinned DIR/queue
map push pinned DIR/stack value 1 2 3 4
map push pinned DIR/stack value 5 6 7 8
map pop pinned DIR/stack
map peek pinned DIR/stack
map pop pinned DIR/hash
map pop pinned DIR/array
map push pinned DIR/filter value 1 2 3 4
map pop pinned DIR/filter
map update pinned DIR/progs key 0 0 0 0 value pinned DIR/prog
map update pinned DIR/progs key 1 0 0 0 value name live_maps_prog any
map update pinned DIR/progs key 1 0 0 0 value pinned DIR/hash
map update pinned DIR/progs key 1 0 0 0 value pinned DIR/nothing
map update pinned DIR/progs key 1 0 0 0 value pinned
map update pinned DIR/progs key 1 0 0 0 value id 4294967295
map update pinned DIR/progs key 1 0 0 0 value 1 0 0 0
map update pinned DIR/progs key 2 0 0 0 value pinned DIR/prog
map dump pinned DIR/progs
map lookup pinned DIR/progs key 1 0 0 0
map delete pinned DIR/progs key 1 0 0 0
map update pinned DIR/outer key 1 0 0 0 value pinned DIR/array
map update pinned DIR/outer key 1 0 0 0 value pinned DIR/hash
map update pinned DIR/outer key 1 0 0 0 value pinned DIR/prog
map update pinned DIR/outer key 1 0 0 0 value 1
map delete pinned DIR/outer key 1 0 0 0
map freeze pinned DIR/array
map freeze pinned DIR/array
map freeze pinned DIR/array what
map freeze pinned
map freeze
map update pinned DIR/array key 1 0 0 0 value 1 2 3 4 5 6 7 8
map pin pinned DIR/prog DIR/other
map pin pinned DIR/array
map pin
map event_pipe pinned DIR/array
map event_pipe pinned DIR/perf cpu 0
map event_pipe pinned DIR/perf cpu x
map event_pipe pinned DIR/perf what 0
map event_pipe pinned DIR/perf what
map event_pipe pinned DIR/perf cpu 0 index x
map event_pipe pinned DIR/perf cpu 0 index 9
map show what
map show pinned DIR/prog
map show pinned DIR/nothing
map show pinned DIR/array what
map what
btf dump
btf dump id
btf dump id abc
btf dump id 4294967295
btf dump what 5
btf dump map pinned
btf dump map pinned DIR/nothing
btf dump map pinned DIR/array
btf dump map pinned DIR/array key
btf dump prog pinned DIR/prog
btf dump prog pinned DIR/array
btf dump id 1 format
btf dump id 1 format d
btf dump id 1 what
btf show what
btf show id abc
btf show id 4294967295
btf show what 5`.split('\n'),
    )('%s', async (line) => {
      await sameDone(line);
      const command = line.split(' ')[1];
      // Done once more, some would find another map.
      if (command !== 'create' && command !== 'pop' && command !== 'dequeue') await sameDone(`-j ${line}`);
    });

    // bpftool 7.1 has other words for these, or none.
    test.each([
      [
        `map pin pinned ${OURS}/array ${OURS}/hash`,
        255,
        `can't pin BPF object: path '${OURS}/hash' already exists`,
      ],
      [
        `map pin pinned ${OURS}/array ${OURS}/nowhere/x`,
        255,
        `can't pin BPF object: dir '${OURS}/nowhere' doesn't exist`,
      ],
      [
        `map create ${OURS}/x type hash key 4 value 8 entries 3 name h offload_dev nosuchdev`,
        255,
        "unrecognized netdevice 'nosuchdev': No such device",
      ],
      ['btf dump file /sys/kernel/btf/vmlinux root_id 1 root_id 1', 234, 'duplicate root_id 1 supplied'],
      ['btf dump id 1 root_id 99999999', 234, 'invalid root ID: 99999999'],
      ['btf dump id 1 root_id x', 255, "can't parse x as root ID"],
      [
        `btf dump id 1 ${Array.from({ length: 17 }, (_, i) => `root_id ${i}`).join(' ')}`,
        249,
        'only 16 root_id are supported',
      ],
      [
        `btf dump map pinned ${OURS}/array key root_id 1`,
        234,
        'cannot use root_id with other type filtering',
      ],
      ['-j btf dump id 1 format c', 161, 'JSON output for C-syntax dump is not supported'],
      ['btf dump file /sys/kernel/btf/vmlinux file', 234, "'file' needs at least 1 arguments, 0 found"],
    ])('%s', async (line, status, message) => {
      const answer = await runLine(line.split(' '), { kernel });
      const text = line.startsWith('-j') ? answer.stdout : answer.stderr;
      expect([answer.status, text]).toEqual([status, expect.stringContaining(message)]);
    });

    test('one process shows what another pinned', async () => {
      const map = await kernel.objGet(`${OURS}/array`);
      fds.push(map);
      for (const name of ['z', 'again', 'm']) await kernel.objPin(map, `${OURS}/${name}`);
      await inAllForms('-f', 'map', 'show', 'pinned', `${OURS}/array`);
      await inAllForms('-f', 'map', 'show', 'pinned', `${OURS}/hash`);
    });
  });

  describe('the types of the kernel', () => {
    const vmlinux = '/sys/kernel/btf/vmlinux';
    /** Spares the reporter a difference of a hundred thousand lines. */
    const equal = (ours: string, theirs: string): void => {
      const left = ours.split('\n');
      const right = theirs.split('\n');
      const at = left.findIndex((line, i) => line !== right[i]);
      expect([at, left[at], left.length]).toEqual([-1, undefined, right.length]);
    };

    test.each([
      ['btf', 'dump', 'id', '1', 'format', 'raw'],
      ['-j', 'btf', 'dump', 'file', vmlinux],
    ])(
      '%s %s %s %s',
      async (...argv) => {
        equal((await ours(...argv)).stdout, theirs(...argv).stdout);
      },
      60_000,
    );

    test('are listed with the users of other types', async () => {
      await inAllForms('btf', 'show', 'id', '1');
      // Others load and unload meanwhile: once both must have seen the same.
      for (let attempt = 0; attempt < 50; attempt++) {
        const [mine, its] = [await ours('btf', 'list'), theirs('btf', 'list')];
        if (mine.stdout === its.stdout || attempt === 49) expect(mine).toEqual(its);
        if (mine.stdout === its.stdout) return;
      }
    });
  });
});
