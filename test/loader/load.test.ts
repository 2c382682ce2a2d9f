// Objects by clang-19, loaded into the emulated kernel and run.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { SkepError } from '../../src/base/error.js';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { getVariable, type LoadOptions, load, resizeMap, setVariable } from '../../src/loader/index.js';
import { SilentKernel } from './silent.js';

const folder = import.meta.dirname;
const open = (file: string): CollectionSpec =>
  parseObject(readFileSync(path.join(folder, file)), { name: path.basename(file) });
const object = (name: string): CollectionSpec => open(`../elf/objects/${name}.bpf.o`);
const example = (name: string): CollectionSpec => open(`../../examples/${name}.bpf.o`);
const packet = new Uint8Array(64);

const loaded = (spec: CollectionSpec, options: LoadOptions = {}, cpus = 1) =>
  load(spec, new EmulatedKernel({ cpus }), options);

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of source) list.push(item);
  return list;
}

async function refused(promise: Promise<unknown>): Promise<SkepError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SkepError);
  return error as SkepError;
}

describe('programs', () => {
  test('run with their subprograms', async () => {
    await using collection = await loaded(object('subprograms'), { programs: ['alpha', 'beta', 'delta'] });
    expect((await collection.program('alpha').run({ data: packet })).retval).toBe(2);
    // second adds 2, first 1, and third, called by first and by alpha itself, 3 each time.
    expect(await collection.variables.get('calls')).toBe(9);
    expect(await collection.program('alpha').info()).toMatchObject({ name: 'alpha' });
    expect([...collection.programs.keys()]).toEqual(['alpha', 'beta', 'delta']);
  });

  test('run on many packets at once', async () => {
    await using collection = await loaded(object('hello.v1'));
    const count = 5;
    const batch = {
      count,
      data: new Uint8Array(64 * count),
      offsets: Uint32Array.from([0, 64, 128, 192, 256, 320]),
    };
    const { retvals, faults } = await collection.program('hello').runBatch(batch);
    expect([...retvals]).toEqual([2, 2, 2, 2, 2]);
    expect(faults).toEqual([]);
    expect(await collection.variables.get('counter')).toBe(5);
  });

  test('have the tag that the kernel computes from the object', async () => {
    const golden = JSON.parse(readFileSync(path.join(folder, '../elf/goldens/live.json'), 'utf8'));
    for (const name of ['firewall', 'hello', 'ratelimit', 'loadbalancer']) {
      await using collection = await loaded(example(name), { name });
      for (const program of collection.programs.values()) {
        const { tag } = await program.info();
        expect(tag, program.name).toBe(golden[`../../examples/${name}.bpf.o`].programs[program.name].tag);
      }
    }
  });

  test('that are switched off are left out, and asked for by name are loaded', async () => {
    const spec = object('sections');
    expect(spec.programs.find(({ name }) => name === 'off')?.autoload).toBe(false);
    await using collection = await loaded(spec, { programs: ['off'] });
    expect([...collection.programs.keys()]).toEqual(['off']);
  });

  test('whose section says no type are refused with the name that would do', async () => {
    const old = await refused(loaded(object('sections'), { programs: ['old'] }));
    expect(old.message).toMatch(/^program 'old': section 'xdp_firewall' .*SEC\("xdp"\)$/);
    const unknown = await refused(loaded(object('sections'), { programs: ['unknown'] }));
    expect(unknown.message).toMatch(/section 'something' does not say/);
    const nobody = await refused(loaded(object('sections'), { programs: ['nobody'] }));
    expect(nobody.hint).toContain('Known: off, kprobe');
  });

  test('of a big-endian object are refused', async () => {
    expect((await refused(loaded(object('subprograms.eb')))).message).toMatch(/big-endian/);
  });
});

describe('maps', () => {
  test('are read and written by BTF, and as bytes', async () => {
    await using collection = await loaded(example('loadbalancer'), { name: 'loadbalancer' });
    const flows = collection.map('flows');
    expect([...collection.maps.keys()]).toContain('.rodata');
    const { btf } = collection.spec;
    const keyBytes = new Uint8Array(flows.spec.keySize).fill(1);
    const valueBytes = new Uint8Array(flows.spec.valueSize).fill(2);
    expect(btf).toBeDefined();
    await flows.setBytes(keyBytes, valueBytes);
    const [entry] = await all(flows.entries());
    expect(entry).toBeDefined();
    const [key, value] = entry ?? ['', ''];
    expect(flows.encodeKey(key)).toEqual(keyBytes);
    expect(flows.encodeValue(value)).toEqual(valueBytes);
    expect(await flows.get(key)).toEqual(value);
    expect(await all(flows.keys())).toEqual([key]);
    expect(await flows.delete(key)).toBe(true);
    expect(await flows.delete(key)).toBe(false);
    expect(await flows.get(key)).toBeUndefined();
  });

  test('of per-CPU type have a value for each CPU', async () => {
    await using collection = await loaded(example('firewall'), {}, 3);
    const counters = collection.map('counters');
    const before = await counters.get(0);
    expect(before).toHaveLength(3);
    const value = (packets: number) => ({ packets: BigInt(packets), bytes: 0n });
    await counters.set(0, [value(1), value(2), value(3)]);
    expect(await counters.get(0)).toEqual([value(1), value(2), value(3)]);
    await expect(counters.set(0, [value(1)])).rejects.toThrow(/an array of 3, one for each possible CPU/);
  });

  test('may lose elements while they are walked', async () => {
    await using collection = await loaded(example('loadbalancer'));
    const flows = collection.map('flows');
    for (let i = 0; i < 20; i++) {
      await flows.setBytes(new Uint8Array(flows.spec.keySize).fill(i), new Uint8Array(flows.spec.valueSize));
    }
    let count = 0;
    for await (const key of flows.keysBytes()) {
      await flows.deleteBytes(key);
      count++;
    }
    expect(count).toBe(20);
    expect(await all(flows.keysBytes())).toEqual([]);
  });

  test('of programs are filled in when the programs are there', async () => {
    await using collection = await loaded(example('loadbalancer'));
    const slots = collection.map('by_protocol');
    expect((await all(slots.entriesBytes())).map(([key]) => key[0])).toEqual([6, 17]);
  });

  test('that are not there are named, with those that are', async () => {
    await using collection = await loaded(example('firewall'));
    expect(() => collection.map('counter')).toThrow(/map 'counter': there is no such map/);
    const error = await refused(Promise.resolve().then(() => collection.map('counter')));
    expect(error.hint).toContain('counters, drops');
  });

  test('are resized before they are loaded', async () => {
    const spec = example('firewall');
    resizeMap(spec, 'drops', 7);
    await using collection = await loaded(spec);
    expect((await collection.map('drops').info()).maxEntries).toBe(7);
    expect(() => resizeMap(spec, 'drop', 7)).toThrow(/no such map/);
    expect(() => resizeMap(spec, 'drops', 0)).toThrow(/no size/);
  });
});

describe('variables', () => {
  test('are set before and after loading, by their types', async () => {
    const spec = object('variables');
    expect(getVariable(spec, 'blocked_port')).toBe(443);
    expect(getVariable(spec, 'text')).toBe('hello');
    setVariable(spec, 'blocked_port', 8080);
    setVariable(spec, 'verbose', false);
    setVariable(spec, 'secret', 0xffff_ffff_ffff_ffffn);
    setVariable(spec, 'text', 'good day');
    setVariable(spec, 'points', [{ x: 7, y: 8, name: 'z' }]);
    setVariable(spec, 'paint', 'GREEN');
    await using collection = await loaded(spec, { name: 'variables' });
    const { variables } = collection;
    expect(await variables.get('blocked_port')).toBe(8080);
    expect(await variables.get('secret')).toBe(0xffff_ffff_ffff_ffffn);
    expect(await variables.get('text')).toBe('good day');
    expect(await variables.get('points')).toMatchObject([{ x: 7, y: 8, name: 'z' }, { x: 0 }, { x: 0 }]);
    expect(await variables.get('lonely')).toBe(9);

    await variables.set('counter', 10);
    await collection.program('variables').run({ data: packet });
    expect(await variables.get('counter')).toBe(7);
    // 8080 + origin.y (-2) + 0 (not BLUE) + secret (-1)
    expect(await variables.get('hits')).toBe(8077n);
    const constant = await refused(variables.set('blocked_port', 1));
    expect(constant.hint).toContain('setVariable');
  });

  test('refuse what does not fit, and unknown names with the known ones', () => {
    const spec = object('variables');
    expect(() => setVariable(spec, 'blocked_port', 70000)).toThrow(/variable 'blocked_port'/);
    expect(() => setVariable(spec, 'text', 'x'.repeat(17))).toThrow(/variable 'text'/);
    try {
      setVariable(spec, 'port', 1);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SkepError);
      expect((error as SkepError).hint).toContain('blocked_port');
    }
  });

  test('of a section grow with its last array', async () => {
    const spec = object('custom-bss');
    resizeMap(spec, '.bss.scratch', 80);
    expect(getVariable(spec, 'scratch')).toHaveLength(10);
    expect(() => resizeMap(spec, '.bss.scratch', 81)).toThrow(/elements of 8 bytes/);
    expect(() => resizeMap(spec, '.bss', 64)).toThrow(/its last variable, 'plain', is no array/);
    await using collection = await loaded(spec);
    expect(await collection.variables.get('scratch')).toEqual(Array(10).fill(0n));
  });
});

describe('externs', () => {
  test('of .kconfig have the values of the kernel, weak unknown ones are zero', async () => {
    const kconfig =
      '# a comment\nCONFIG_NO_SUCH_NUMBER=0x100\nCONFIG_NO_SUCH_TEXT="abc"\nCONFIG_NO_SUCH_MODULE=m\n';
    await using plain = await loaded(object('externs'), { kernelVersion: '6.18.44' });
    await plain.program('settings').run({ data: packet });
    const version = (6 << 16) + (18 << 8) + 44;
    expect(await plain.variables.get('sum')).toBe(BigInt(version));
    await using set = await loaded(object('externs'), { kernelVersion: '6.18.44', kconfig });
    await set.program('settings').run({ data: packet });
    expect(await set.variables.get('sum')).toBe(BigInt(version + 0x100 + 'b'.charCodeAt(0) + 2));
  });

  test('of .ksyms that are weak and missing are at address zero', async () => {
    await using missing = await loaded(object('externs'));
    expect((await missing.program('symbols').run({ data: packet })).retval).toBe(2);
    const symbols = new Map([['no_such_symbol', 0xffffffff81000000n]]);
    await using found = await loaded(object('externs'), { symbols });
    expect((await found.program('symbols').run({ data: packet })).retval).toBe(1);
  });

  test('that a program cannot do without are named', async () => {
    const error = await refused(load(object('kfuncs'), new SilentKernel()));
    expect(error.message).toMatch(/^extern 'bpf_task_from_pid': this kernel function cannot be looked up/);
  });

  test('and CO-RE relocations ask for the BTF of a kernel', async () => {
    const error = await refused(load(object('core'), new SilentKernel()));
    expect(error.message).toMatch(/^program 'fields': has 11 CO-RE relocations/);
    expect(error.hint).toContain('kernelBtf');
  });
});

/** A kernel that counts descriptors and, from the call with the given number on, refuses everything but close. */
function counting(failAt: number): { kernel: Bpf; open: Set<Fd>; calls: () => number } {
  const fds = new Set<Fd>();
  let calls = 0;
  const kernel = new Proxy(new EmulatedKernel(), {
    get(target, property) {
      const method: unknown = Reflect.get(target, property, target);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]): Promise<unknown> => {
        if (property === 'close') {
          fds.delete(args[0] as Fd);
        } else if (++calls >= failAt) {
          throw new BpfError(String(property), Errno.ENOMEM);
        }
        const result: unknown = await Reflect.apply(method, target, args);
        if (property === 'mapCreate' || property === 'progLoad' || property === 'btfLoad')
          fds.add(result as Fd);
        return result;
      };
    },
  });
  return { kernel, open: fds, calls: () => calls };
}

describe('descriptors', () => {
  test('are all given back, wherever loading fails', async () => {
    const whole = counting(Number.POSITIVE_INFINITY);
    const collection = await load(example('loadbalancer'), whole.kernel);
    const total = whole.calls();
    expect(total).toBeGreaterThan(15);
    expect(whole.open.size).toBeGreaterThan(8);
    await collection.close();
    await collection.close();
    expect(whole.open.size).toBe(0);

    for (let failAt = 1; failAt <= total; failAt++) {
      const { kernel, open: left } = counting(failAt);
      await expect(load(example('loadbalancer'), kernel), `call ${failAt}`).rejects.toThrow(
        /Cannot allocate memory/,
      );
      expect(left.size, `call ${failAt}`).toBe(0);
    }
  });
});
