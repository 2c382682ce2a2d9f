// The comparison can fail: of two kernels that are the same but for one thing, that thing is named, with both sides of
// it and the place, and nothing else is.

import { describe, expect, test } from 'vitest';
import type { Bpf, MapInfo, ProgTestRunResult, TraceEvent } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { MapType } from '../../src/bpf/types.js';
import { type CompareOptions, type Comparison, compare, memberBytes } from '../../src/compare/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { readObject, traffic, xdpInput } from './kernels.js';

/** A kernel of which some commands are other ones. */
function altered(kernel: Bpf, change: (kernel: Bpf) => Partial<Bpf>): Bpf {
  const changes: Partial<Record<PropertyKey, unknown>> = change(kernel);
  return new Proxy(kernel, {
    get(target, name) {
      const value: unknown = changes[name] ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** The same time in both. */
const kernel = (cpus = 1): EmulatedKernel => new EmulatedKernel({ cpus, now: () => 1000 });

const packet = xdpInput(Uint8Array.from({ length: 64 }, (_, i) => i));

interface Given extends CompareOptions {
  object?: string;
  cpus?: number;
}

function compareWith(
  change: (kernel: Bpf) => Partial<Bpf>,
  { object = 'examples/hello.bpf.o', cpus = 1, ...options }: Given = {},
): Promise<Comparison> {
  return compare(
    readObject(object),
    { name: 'plain', kernel: kernel(cpus) },
    { name: 'altered', kernel: altered(kernel(cpus), change) },
    { inputs: [packet, packet, packet], ...options },
  );
}

/** Changes the result of the second run. */
const secondRun = (change: (result: ProgTestRunResult) => ProgTestRunResult) => (kernel: Bpf) => {
  let runs = 0;
  const progTestRun: Bpf['progTestRun'] = async (...args) => {
    const result = await kernel.progTestRun(...args);
    return ++runs === 2 ? change(result) : result;
  };
  return { progTestRun };
};

/** Changes what a lookup in the map of this name gives. */
const lookup = (name: string, change: (value: Uint8Array, key: Uint8Array) => void) => (kernel: Bpf) => {
  const mapLookupElem: Bpf['mapLookupElem'] = async (map, key, flags) => {
    const value = (await kernel.mapLookupElem(map, key, flags)).slice();
    const info: MapInfo = await kernel.mapInfo(map);
    if (info.name === name) change(value, key);
    return value;
  };
  return { mapLookupElem };
};

const bytes = (change: (bytes: Uint8Array) => Uint8Array | undefined, of: Uint8Array): Uint8Array => {
  const copy = of.slice();
  return change(copy) ?? copy;
};

describe('names', () => {
  test('a return value', async () => {
    const { differences, total } = await compareWith(secondRun((it) => ({ ...it, retval: 1 })));
    expect(differences).toEqual([{ what: 'retval', run: 1, program: 'hello', left: 2, right: 1 }]);
    expect(total).toBe(1);
  });

  test('a byte of a packet', async () => {
    const change = secondRun((it) => ({
      ...it,
      dataOut: bytes((data) => {
        data[17] = 0xff;
      }, it.dataOut),
    }));
    const { differences } = await compareWith(change);
    expect(differences).toMatchObject([{ what: 'packet', run: 1, program: 'hello', offset: 17 }]);
    expect([differences[0]?.left, differences[0]?.right].map((it) => (it as Uint8Array)[17])).toEqual([
      17, 255,
    ]);
  });

  test.each([
    ['longer', 65],
    ['shorter', 63],
  ])('a packet that is %s', async (_, length) => {
    const change = secondRun((it) => ({
      ...it,
      dataOut: bytes((data) => Uint8Array.from({ length }, (_, i) => data[i] ?? 0), it.dataOut),
    }));
    const { differences } = await compareWith(change);
    expect(differences).toMatchObject([{ what: 'packet', run: 1, offset: Math.min(length, 64) }]);
  });

  test('a byte of a context', async () => {
    const change = secondRun((it) => ({
      ...it,
      ctxOut: bytes((data) => {
        data[4] = 0x3f;
      }, it.ctxOut),
    }));
    const { differences } = await compareWith(change);
    expect(differences).toMatchObject([{ what: 'context', run: 1, offset: 4 }]);
  });

  test('a run that only one kernel makes, and one that they refuse otherwise', async () => {
    const refusing = (errno: number) => (kernel: Bpf) => {
      const progTestRun: Bpf['progTestRun'] = async (fd, attr) => {
        if (attr.repeat === 7) throw new BpfError('BPF_PROG_TEST_RUN', errno);
        return kernel.progTestRun(fd, attr);
      };
      return { progTestRun };
    };
    const one = await compareWith(refusing(Errno.EINVAL), { inputs: [packet, { ...packet, repeat: 7 }] });
    expect(one.differences).toMatchObject([
      { what: 'run', run: 1, left: 'returned 2', right: 'BPF_PROG_TEST_RUN: Invalid argument (EINVAL)' },
      // The kernel that made these runs has counted on, and printed.
      ...Array.from({ length: 7 }, (_, i) => ({ what: 'trace', run: 1, line: i + 1, right: undefined })),
      { what: 'variable', variable: 'counter', left: 8, right: 1 },
    ]);
    const short = { data: new Uint8Array(3), repeat: 7 };
    const other = await compareWith(refusing(Errno.E2BIG), { inputs: [short] });
    expect(other.differences).toMatchObject([
      { what: 'run', run: 0, right: expect.stringContaining('E2BIG') },
    ]);
    const same = await compareWith(refusing(Errno.EINVAL), { inputs: [packet, short, short] });
    expect(same.differences).toEqual([]);
    expect(same.notRun).toEqual([{ reason: 'both kernels refuse it: EINVAL', count: 2, first: 1 }]);
    expect([same.inputs, same.runs]).toEqual([3, 1]);
  });

  test('a line that is printed otherwise, one that is missing, one too many', async () => {
    const printing = (change: (event: TraceEvent) => TraceEvent[]) => (kernel: Bpf) => {
      const trace: Bpf['trace'] = (listener) =>
        kernel.trace((event) => {
          for (const one of change(event)) listener(one);
        });
      return { trace };
    };
    const text = (n: number) => `Hello, packet ${n} of 64 bytes`;
    const other = await compareWith(
      printing((event) => [event.text === text(2) ? { ...event, text: 'Hello' } : event]),
    );
    expect(other.traceLines).toBe(3);
    const place = { what: 'trace', run: 1, program: 'hello' };
    expect(other.differences).toEqual([{ ...place, line: 1, left: text(2), right: 'Hello' }]);
    const missing = await compareWith(printing((event) => (event.text === text(2) ? [] : [event])));
    expect(missing.differences).toEqual([{ ...place, line: 1, left: text(2), right: undefined }]);
    const twice = await compareWith(printing((event) => (event.text === text(2) ? [event, event] : [event])));
    expect(twice.differences).toEqual([{ ...place, line: 2, left: undefined, right: text(2) }]);
    // Lines of others are not ours.
    const foreign = await compare(
      readObject('examples/hello.bpf.o'),
      { name: 'plain', kernel: kernel() },
      {
        name: 'altered',
        kernel: altered(
          kernel(),
          printing((event) => [event, { ...event, pid: 2 }]),
        ),
        isOurs: ({ pid }) => pid === 1,
      },
      { inputs: [packet] },
    );
    expect(foreign.differences).toEqual([]);
  });

  test('a trace that cannot be read is not compared, and that is said', async () => {
    const trace: Bpf['trace'] = async () => {
      throw new BpfError('trace_pipe', Errno.ENOSYS);
    };
    const { differences, notCompared } = await compareWith(() => ({ trace }));
    expect(differences).toEqual([]);
    expect(notCompared).toEqual([
      { what: 'trace', reason: 'altered: trace_pipe: Function not implemented (ENOSYS)' },
    ]);
  });

  test('a variable', async () => {
    const change = lookup('.bss', (value) => {
      value[0] = 99;
    });
    const { differences, variables } = await compareWith(change);
    expect(differences).toEqual([
      { what: 'variable', variable: 'counter', section: '.bss', left: 3, right: 99 },
    ]);
    expect(variables).toContain('counter');
  });

  const firewall = { object: 'examples/firewall.bpf.o', cpus: 2 };
  const port = (number: number) => ({ number, protocol: 6 });

  test('a value of a map, by its key, and of a per-CPU map the CPU', async () => {
    const maps = { blocked_ports: [[port(1), 7]] } as const;
    const value = lookup('blocked_ports', (value) => {
      value[0] = 8;
    });
    const hash = await compareWith(value, { ...firewall, maps });
    expect(hash.differences).toEqual([
      { what: 'map', map: 'blocked_ports', key: port(1), left: 7, right: 8 },
    ]);
    const slot = lookup('counters', (value, key) => {
      if (key[0] === 3) value[16 + 8] = 5;
    });
    const perCpu = await compareWith(slot, firewall);
    expect(perCpu.differences).toEqual([
      {
        what: 'map',
        map: 'counters',
        key: 3,
        cpu: 1,
        left: { packets: 0n, bytes: 0n },
        right: { packets: 0n, bytes: 5n },
      },
    ]);
  });

  test('an element that only one has', async () => {
    const mapUpdateElem = (kernel: Bpf): Partial<Bpf> => ({
      mapUpdateElem: async (map, key, value, flags) => {
        if (key[0] !== 2 || (await kernel.mapInfo(map)).name !== 'blocked_ports')
          await kernel.mapUpdateElem(map, key, value, flags);
      },
    });
    const maps = { blocked_ports: [1, 2, 3].map((number) => [port(number), number] as const) };
    const { differences, maps: compared } = await compareWith(mapUpdateElem, { ...firewall, maps });
    expect(differences).toEqual([
      { what: 'map', map: 'blocked_ports', key: port(2), left: 2, right: undefined },
    ]);
    expect(compared).toContainEqual({ name: 'blocked_ports', elements: 3 });
  });

  test('no order of keys', async () => {
    const maps = {
      blocked_ports: [1, 2, 3, 4, 5].map((number) => [port(number), number] as const),
    };
    // The other way round.
    const mapGetNextKey = (kernel: Bpf): Partial<Bpf> => ({
      mapGetNextKey: async (map, key) => {
        const keys: Uint8Array[] = [];
        for (let next: Uint8Array | null = null; ; ) {
          try {
            next = await kernel.mapGetNextKey(map, next);
          } catch {
            break;
          }
          keys.unshift(next);
        }
        const at = key === null ? 0 : keys.findIndex((one) => Buffer.compare(one, key) === 0) + 1;
        const found = keys[at];
        if (found === undefined) throw new BpfError('BPF_MAP_GET_NEXT_KEY', Errno.ENOENT);
        return found;
      },
    });
    expect((await compareWith(mapGetNextKey, { ...firewall, maps })).differences).toEqual([]);
  });

  test('a slot of a program array, by the name of the program', async () => {
    const object = 'examples/loadbalancer.bpf.o';
    const change = lookup('by_protocol', (value, key) => {
      if (key[0] === 6) value[0] = 200;
    });
    const { differences } = await compareWith(change, { object, program: 'loadbalancer', inputs: [] });
    expect(differences).toEqual([
      { what: 'map', map: 'by_protocol', key: 6, left: 'loadbalancer_tcp', right: 'another program' },
    ]);
  });

  const maps = { object: 'test/compare/objects/maps.bpf.o', program: 'touch' };
  const typeOf = async (kernel: Bpf, map: number) => (await kernel.mapInfo(map)).type;

  test('a record of a ring buffer, by the run that sent it', async () => {
    let runs = 0;
    const change = (kernel: Bpf): Partial<Bpf> => ({
      progTestRun: (...args) => {
        runs++;
        return kernel.progTestRun(...args);
      },
      ringbufConsume: async (map) => {
        const records = await kernel.ringbufConsume(map);
        return runs === 2 ? [...records.map((record) => record.with(4, 7)), Uint8Array.of(1)] : records;
      },
    });
    const { differences, maps: compared, notCompared } = await compareWith(change, maps);
    const record = Uint8Array.of(0xad, 0xde, 0, 0, 42, 0, 0, 0);
    const place = { what: 'record', map: 'rb', run: 1, program: 'touch' };
    expect(differences).toEqual([
      { ...place, record: 1, left: record, right: record.with(4, 7) },
      { ...place, record: 2, left: undefined, right: Uint8Array.of(1) },
    ]);
    expect(compared).toContainEqual({ name: 'rb', elements: 3 });
    expect(notCompared.map(({ what }) => what)).toEqual(["map 'bf'", "map 'urb'"]);
    const expected = await compareWith(change, {
      ...maps,
      expected: [{ what: 'map', map: 'rb', reason: 'x' }],
    });
    expect(expected.total).toBe(0);
  });

  test('a sample of a perf event, but not where Linux pads it', async () => {
    const object = 'test/compare/objects/records.bpf.o';
    /** Changes the byte at `offset` (from the end when negative) of every sample. */
    const sample =
      (offset: number) =>
      (kernel: Bpf): Partial<Bpf> => ({
        perfBufferConsume: async (buffer) =>
          (await kernel.perfBufferConsume(buffer)).map((it) =>
            'lost' in it ? it : { data: it.data.with(offset, 0x77) },
          ),
      });
    const inner = await compareWith(sample(-8), { object });
    expect(inner.differences).toMatchObject(
      [0, 1, 2].map((run) => ({ what: 'record', map: 'samples', run, record: 1 })),
    );
    const last = await compareWith(sample(-1), { object });
    expect(last.differences).toEqual([]);
    expect(last.expected).toMatchObject([{ count: 3, first: { what: 'record', map: 'samples', run: 0 } }]);
    expect(last.expected[0]?.expected.reason).toContain('padding');
    const lost = await compareWith(() => ({ perfBufferConsume: async () => [{ lost: 4 }] }), { object });
    expect(lost.differences).toContainEqual(
      expect.objectContaining({ what: 'record', run: 0, right: '4 lost' }),
    );
  });

  test.each([
    ['queue', MapType.Queue],
    ['stack', MapType.Stack],
  ])('an element of a %s, which is left as it was', async (_, type) => {
    let popped = 0;
    const change = (kernel: Bpf): Partial<Bpf> => ({
      mapLookupAndDeleteElem: async (map, key) => {
        const value = await kernel.mapLookupAndDeleteElem(map, key);
        return (await typeOf(kernel, map)) === type && ++popped === 5 ? value.with(0, 9) : value;
      },
    });
    // After the runs 1, 2 and 3 it has 1, 2 and 3 elements; the fifth that is popped is the second one of three.
    const { differences, maps: compared } = await compareWith(change, { ...maps, mapsAfterEach: true });
    const name = type === MapType.Queue ? 'q' : 'st';
    // What was read otherwise was also put back otherwise.
    expect(differences).toMatchObject([{ what: 'map', map: name, key: 1, run: 2, left: 0, right: 9 }]);
    expect(compared).toContainEqual({ name, elements: 3 });
  });

  test('an inner map, by its name', async () => {
    const change = lookup('aom', (value, key) => {
      if (key[0] === 1) value[0] = 99;
    });
    const { differences } = await compareWith(change, maps);
    expect(differences).toEqual([{ what: 'map', map: 'aom', key: 1, left: 'in1', right: 'another map' }]);
  });

  test('a map that only one kernel shows', async () => {
    const mapGetNextKey = (kernel: Bpf): Partial<Bpf> => ({
      mapGetNextKey: async (map, key) => {
        if ((await kernel.mapInfo(map)).type === MapType.PercpuArray)
          throw new BpfError('BPF_MAP_GET_NEXT_KEY', Errno.EPERM);
        return kernel.mapGetNextKey(map, key);
      },
    });
    const { differences } = await compareWith(mapGetNextKey, firewall);
    expect(differences).toEqual([
      {
        what: 'map',
        map: 'counters',
        left: '8 elements',
        right: 'BPF_MAP_GET_NEXT_KEY: Operation not permitted (EPERM)',
      },
    ]);
  });

  test('an object that only one loads, and another errno', async () => {
    const refusing = (errno: number, log: string) => (): Partial<Bpf> => ({
      progLoad: async () => {
        throw new BpfError('BPF_PROG_LOAD', errno, 'R0 !read_ok', log);
      },
    });
    const one = await compareWith(refusing(Errno.EACCES, 'R0 !read_ok\n'));
    expect(one.differences).toEqual([
      {
        what: 'load',
        programs: ['hello'],
        left: 'accepted',
        right:
          "program 'hello': the kernel refused it: BPF_PROG_LOAD: Permission denied (EACCES): R0 !read_ok",
      },
    ]);
    expect(one.load.right).toMatchObject({ accepted: false, errno: Errno.EACCES, log: 'R0 !read_ok\n' });
    expect([one.inputs, one.maps]).toEqual([0, []]);
    const bad = (errno: number, log: string, logs = false) =>
      compare(
        readObject('examples/hello.bpf.o'),
        { name: 'a', kernel: altered(kernel(), refusing(Errno.EINVAL, 'a\nb\nverification time 1 usec\nc')) },
        { name: 'b', kernel: altered(kernel(), refusing(errno, log)) },
        { logs },
      );
    expect((await bad(Errno.EACCES, '')).differences).toMatchObject([{ what: 'load' }]);
    expect((await bad(Errno.EINVAL, 'a\nx\nc')).differences).toEqual([]);
    expect((await bad(Errno.EINVAL, 'a\nx\nc', true)).differences).toEqual([
      { what: 'log', line: 2, left: 'b', right: 'x' },
    ]);
    expect((await bad(Errno.EINVAL, 'a\nb\nverification time 9 usec\nc', true)).differences).toEqual([]);
    const map = (address: string) => `18: (18) r1 = 0xffff${address} ; R1=map_ptr(map=h,ks=4,vs=8)\n`;
    const addresses = await compare(
      readObject('examples/hello.bpf.o'),
      { name: 'a', kernel: altered(kernel(), refusing(Errno.EINVAL, map('888100045780'))) },
      { name: 'b', kernel: altered(kernel(), refusing(Errno.EINVAL, map('c90009565000'))) },
      { logs: true },
    );
    expect(addresses.differences).toEqual([]);
  });
});

describe('after each run', () => {
  test('a difference is told when it appears and when it changes, with the run', async () => {
    let add = 0;
    const change = lookup('.bss', (value) => {
      value[0] = (value[0] ?? 0) + add;
    });
    const inputs = function* () {
      for (let i = 0; i < 5; i++) {
        // Seen after the runs 1, 2 and 3: 5 more, then the same number, then one more again.
        add = [0, 5, 4, 4, 0][i] ?? 0;
        yield packet;
      }
    };
    const { differences } = await compareWith(change, { inputs: inputs(), mapsAfterEach: true });
    expect(differences.map((it) => ('run' in it ? [it.run, it.left, it.right] : []))).toEqual([
      [1, 2, 7],
      [2, 3, 7],
      [3, 4, 8],
    ]);
  });
});

describe('what must differ', () => {
  const change = lookup('buckets', (value) => {
    value[8] = 77;
  });
  const options = { object: 'examples/ratelimit.bpf.o', cpus: 1 };
  const spec = readObject(options.object);
  const type = spec.maps.find(({ name }) => name === 'buckets')?.valueTypeId ?? 0;

  test('is named by the caller and counted apart', async () => {
    if (!spec.btf) throw new Error('no BTF');
    const refilled = memberBytes(spec.btf, type, 'refilled_at');
    expect(refilled).toEqual([8, 16]);
    const inputs = await traffic();
    const plain = await compareWith(change, { ...options, inputs });
    expect(plain.total).toBeGreaterThan(10);
    expect(plain.notes).toEqual([{ what: 'bpf_ktime_get_ns', why: 'each kernel has its own clock' }]);
    const rule = { what: 'map', map: 'buckets', bytes: refilled, reason: 'clock' } as const;
    const expected = await compareWith(change, { ...options, inputs, expected: [rule] });
    expect(expected.differences).toEqual([]);
    expect(expected.expected).toMatchObject([
      { expected: rule, count: plain.total, first: { what: 'map', map: 'buckets' } },
    ]);
    // Other bytes of the same values are still compared.
    const more = lookup('buckets', (value) => {
      value[8] = 77;
      value[16] = 0xee;
    });
    expect((await compareWith(more, { ...options, inputs, expected: [rule] })).total).toBe(plain.total);
  });

  test('may be a whole kind, a map or a variable', async () => {
    const both = (kernel: Bpf) => ({
      ...lookup('.bss', (value) => {
        value[0] = 99;
      })(kernel),
      ...secondRun((it) => ({ ...it, retval: 1 }))(kernel),
    });
    const { differences, expected } = await compareWith(both, {
      expected: [
        { what: 'retval', reason: 'a' },
        { what: 'variable', variable: 'counter', reason: 'b' },
        { what: 'map', map: 'counters', reason: 'c' },
      ],
    });
    expect(differences).toEqual([]);
    expect(expected.map(({ count }) => count)).toEqual([1, 1, 0]);
  });

  test('members are found by their names', () => {
    const { btf, maps } = readObject('test/compare/objects/maps.bpf.o');
    const value = maps.find(({ name }) => name === 'h')?.valueTypeId ?? 0;
    if (!btf) throw new Error('no BTF');
    const members = ['count', 'neg', 'bits', 'bits.b', 'u16', 'name', 'ptr'];
    expect(members.map((name) => memberBytes(btf, value, name))).toEqual([
      [0, 8],
      [8, 12],
      [16, 17],
      [16, 17],
      [18, 20],
      [21, 25],
      [32, 40],
    ]);
    expect(() => memberBytes(btf, value, 'nothing')).toThrow(/no member 'nothing'/);
    expect(() => memberBytes(btf, value, 'count.low')).toThrow(/no member 'low'/);
  });
});

test('differences beyond the limit are counted', async () => {
  const change = (kernel: Bpf): Partial<Bpf> => ({
    progTestRun: async (...args) => ({ ...(await kernel.progTestRun(...args)), retval: 9 }),
  });
  const { differences, total } = await compareWith(change, { limit: 2 });
  expect([differences.length, total]).toEqual([2, 3]);
});

test('the spec stays as it is, and inputs that are left out are listed', async () => {
  const spec = readObject('examples/firewall.bpf.o');
  const before = spec.maps.map(({ section }) => section?.contents.slice());
  const { runs, notRun } = await compare(
    spec,
    { name: 'a', kernel: kernel() },
    { name: 'b', kernel: kernel() },
    { variables: { blocked_port: 1 }, inputs: [packet, { ...packet, skip: 'too long' }] },
  );
  expect(spec.maps.map(({ section }) => section?.contents)).toEqual(before);
  expect([runs, notRun]).toEqual([1, [{ reason: 'too long', count: 1, first: 1 }]]);
});

test('kernels with unequal numbers of CPUs are not compared', async () => {
  const sides = [1, 2].map((cpus) => ({ name: `${cpus}`, kernel: kernel(cpus) }));
  const [one, two] = sides;
  if (!one || !two) throw new Error('two kernels');
  await expect(compare(readObject('examples/hello.bpf.o'), one, two)).rejects.toThrow(
    /1 has 1 possible CPUs/,
  );
});

test('the slot of the CPU that ran the programs is compared with the slot of the other one', async () => {
  // A kernel whose programs run on CPU 1: what the emulated one has in slot 0 it has there.
  const swapped = altered(kernel(2), (plain) => ({
    mapLookupElem: async (map, key, flags) => {
      const value = await plain.mapLookupElem(map, key, flags);
      if ((await plain.mapInfo(map)).type !== MapType.PercpuArray) return value;
      return new Uint8Array([...value.subarray(value.length / 2), ...value.subarray(0, value.length / 2)]);
    },
  }));
  const inputs = (await traffic()).slice(0, 100);
  const spec = readObject('examples/firewall.bpf.o');
  const left = () => ({ name: 'a', kernel: kernel(2) });
  const agreeing = await compare(spec, left(), { name: 'b', kernel: swapped, cpu: 1 }, { inputs });
  expect(agreeing.total).toBe(0);
  const not = await compare(spec, left(), { name: 'b', kernel: swapped }, { inputs });
  expect(not.differences.map(({ what }) => what)).toContain('map');
});
