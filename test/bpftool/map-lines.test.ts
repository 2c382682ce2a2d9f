// Maps and BTF of the emulated kernel by command line: what the recordings do not have.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { Btf, BtfBuilder } from '../../src/btf/index.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { goldenBtf, goldenBytes } from '../btf/goldens.js';
import { type Outcome, runLine } from './memory-host.js';

const kernel = new EmulatedKernel({ cpus: 2 });
const files = new Map<string, Uint8Array>();

const run = (line: string): Promise<Outcome> =>
  runLine(line.split(' '), { kernel, file: (path) => files.get(path) });

beforeAll(async () => {
  const prog = await kernel.progLoad({
    type: ProgType.Xdp,
    instructions: encode(assemble('r0 = 2\nexit')),
    license: 'GPL',
    name: 'passes',
  });
  await kernel.objPin(prog, '/sys/fs/bpf/prog');
  for (const line of [
    'hash type hash key 4 value 8 entries 10 name h',
    'array type array key 4 value 4 entries 2 name a',
    'cpus type percpu_array key 4 value 3 entries 2 name c',
    'queue type queue key 0 value 4 entries 2 name q',
    'filter type bloom_filter key 0 value 4 entries 2 name b',
    'progs type prog_array key 4 value 4 entries 2 name j',
    'outer type array_of_maps key 4 value 4 entries 2 name o inner_map pinned /sys/fs/bpf/array',
    'perf type perf_event_array key 4 value 4 entries 2 name e',
    'ring type ringbuf key 0 value 0 entries 4096 name r',
  ]) {
    expect(await run(`map create /sys/fs/bpf/${line}`)).toMatchObject({ status: 0, stderr: '' });
  }
});

describe('a program array and maps of maps', () => {
  test('take what is pinned, and show ids', async () => {
    await run('map update pinned /sys/fs/bpf/progs key 1 0 0 0 value pinned /sys/fs/bpf/prog');
    const dump = (await run('map dump pinned /sys/fs/bpf/progs')).stdout;
    const prog = await kernel.objGet('/sys/fs/bpf/prog');
    const { id } = await kernel.progInfo(prog);
    expect(dump).toContain(`key: 01 00 00 00  value: ${id.toString(16).padStart(2, '0')} 00 00 00\nFound`);
    await run('map update pinned /sys/fs/bpf/outer key 1 0 0 0 value pinned /sys/fs/bpf/array');
    const { stdout } = await run('-j map lookup pinned /sys/fs/bpf/outer key 1 0 0 0');
    const [{ id: inner }] = [JSON.parse((await run('-j map show pinned /sys/fs/bpf/array')).stdout)];
    expect(JSON.parse(stdout)).toMatchObject({ inner_map_id: inner });
  });
});

describe('lines at random', () => {
  const words = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('key', 'value', 'hex', 'any', 'exist', 'id', 'name', 'pinned') },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        ...['hash', 'array', 'cpus', 'queue', 'filter', 'progs', 'outer', 'perf', 'ring', 'prog', 'none'].map(
          (name) => `/sys/fs/bpf/${name}`,
        ),
      ),
    },
    { weight: 4, arbitrary: fc.constantFrom('0', '1', '2', '255', '-1', '0x10', '08', '4294967296', '') },
    {
      weight: 2,
      arbitrary: fc.constantFrom('type', 'entries', 'flags', 'inner_map', 'cpu', 'index', 'offload_dev'),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom('file', 'map', 'prog', 'format', 'c', 'raw', 'root_id', 'unsorted', 'kv'),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 6 }).map((text) => text.replaceAll('-', '')) },
  );
  // Followers go on until they are told to end.
  const commands = fc.constantFrom(
    ...['show', 'list', 'dump', 'update', 'lookup', 'getnext', 'delete', 'pin', 'create', 'peek', 'push'],
    ...['pop', 'enqueue', 'dequeue', 'freeze', 'help', 'd', 'l', ''],
  );
  const line = fc.record({
    options: fc.constantFrom<string[]>([], ['-j'], ['-p'], ['-f'], ['-j', '-f']),
    object: fc.constantFrom('map', 'btf'),
    command: commands,
    handle: fc.constantFrom<string[]>(
      [],
      ['pinned', '/sys/fs/bpf/hash'],
      ['pinned', '/sys/fs/bpf/progs'],
      ['id', '3'],
    ),
    words: fc.array(words, { maxLength: 10 }),
  });

  test('end with a status and, where that is asked for, with JSON', async () => {
    await fc.assert(
      fc.asyncProperty(line, async ({ options, object, command, handle, words }) => {
        const argv = [...options, object, command, ...handle, ...words];
        const { status, stdout, stderr } = await runLine(argv, { kernel, interrupted: Promise.resolve() });
        expect(status).toBeGreaterThanOrEqual(0);
        expect(status).toBeLessThanOrEqual(255);
        if (options.some((option) => option === '-j' || option === '-p')) {
          expect(() => JSON.parse(stdout)).not.toThrow();
          expect(stderr).toBe('');
        } else if (status !== 0) {
          expect(stdout + stderr).not.toBe('');
        }
      }),
      { numRuns: 500 },
    );
  });

  test('leave no descriptor open', async () => {
    const process = kernel.process({ name: 'lines', pid: 77 });
    const before = await process.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
    await process.close(before);
    for (const line of [
      'map dump pinned /sys/fs/bpf/hash',
      'map update pinned /sys/fs/bpf/progs key 0 0 0 0 value pinned /sys/fs/bpf/prog',
      'map update pinned /sys/fs/bpf/progs key 9 0 0 0 value pinned /sys/fs/bpf/prog',
      'map update pinned /sys/fs/bpf/outer key 0 0 0 0 value pinned /sys/fs/bpf/array what',
      'map create /sys/fs/bpf/hash type hash key 4 value 4 entries 1 name x',
      'map create /sys/fs/bpf/x type array_of_maps key 4 value 4 entries 1 name x inner_map pinned /sys/fs/bpf/array foo',
      'map show name h',
      'map list',
      'btf list',
      'btf dump map pinned /sys/fs/bpf/hash',
      'map pin pinned /sys/fs/bpf/hash /sys/fs/bpf/hash',
      'map freeze pinned /sys/fs/bpf/hash what',
    ]) {
      await runLine(line.split(' '), { kernel: process });
    }
    const after = await process.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
    expect(after).toBe(before);
    await process.exit();
  });
});

describe('split BTF', () => {
  const base = goldenBtf('kinds');
  const part = (name: string, shared: string): Uint8Array => {
    const builder = new BtfBuilder({ base });
    const int = base.findByName('int', 'INT') ?? 0;
    builder.add({
      kind: 'STRUCT',
      name: 'both',
      size: 4,
      kindFlag: false,
      members: [{ name: shared, type: int, bitOffset: 0, bitSize: 0 }],
    });
    builder.add({ kind: 'TYPEDEF', name, type: builder.nextId - 1 });
    return builder.encode();
  };

  beforeAll(() => {
    files.set('base', goldenBytes('kinds.btf'));
    files.set('one', part('one', 'm'));
    files.set('two', part('two', 'm'));
    files.set('other', part('other', 'n'));
    files.set('text', new TextEncoder().encode('no types'));
  });

  const first = base.typeCount;

  test('is shown over its base', async () => {
    const int = base.findByName('int', 'INT');
    expect((await run('-B base btf dump file one')).stdout).toBe(
      `[${first}] STRUCT 'both' size=4 vlen=1\n\t'm' type_id=${int} bits_offset=0\n` +
        `[${first + 1}] TYPEDEF 'one' type_id=${first}\n`,
    );
  });

  test('of several files is one: what they have alike is there once', async () => {
    const { stdout } = await run('-B base btf dump file one file two file other');
    expect(stdout.match(/^\[.*/gm)).toEqual([
      `[${first}] STRUCT 'both' size=4 vlen=1`,
      `[${first + 1}] TYPEDEF 'one' type_id=${first}`,
      `[${first + 2}] TYPEDEF 'two' type_id=${first}`,
      `[${first + 3}] STRUCT 'both' size=4 vlen=1`,
      `[${first + 4}] TYPEDEF 'other' type_id=${first + 3}`,
    ]);
  });

  test.each([
    ['btf dump file one file two', 234, 'base BTF is required when merging multiple BTF files'],
    ['-B base btf dump file text', 95, 'failed to load BTF from text: this is no ELF file'],
    ['-B none btf dump file one', 255, "failed to parse base BTF at 'none': -2"],
    ['btf dump file none', 254, 'failed to load BTF from none: No such file or directory'],
  ])('%s', async (line, status, message) => {
    const outcome = await run(line);
    expect([outcome.status, outcome.stderr]).toEqual([status, expect.stringContaining(message)]);
  });

  test('root ids choose types', async () => {
    const { stdout } = await run('btf dump file base root_id 3 root_id 1 format raw');
    const all = (await run('btf dump file base')).stdout;
    expect(stdout.match(/^\[(\d+)\]/gm)).toEqual(['[3]', '[1]']);
    for (const line of stdout.trimEnd().split('\n')) expect(all).toContain(line);
    const c = (await run('btf dump file base format c unsorted')).stdout;
    expect(c).not.toBe((await run('btf dump file base format c')).stdout);
    expect(c.startsWith('#ifndef __VMLINUX_H__\n')).toBe(true);
  });

  test("the kernel's own types are the emulated kernel's", async () => {
    const { stdout, stderr } = await run('btf dump file /sys/kernel/btf/vmlinux root_id 1');
    expect(stderr).toBe('skipping /sys/kernel/btf/vmlinux (will be loaded as base)\n');
    const vmlinux = Btf.parse(await kernel.readFile('/sys/kernel/btf/vmlinux'));
    expect(stdout.startsWith(`[1] ${vmlinux.kind(1)} '${vmlinux.nameOf(1)}'`)).toBe(true);
  });
});
