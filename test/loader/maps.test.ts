// What the loader asks a kernel to create, for map types of every kind, against what libbpf asked Linux for
// (test/elf/goldens/live.json). A kernel that records stands in: the types are more than the emulated one has.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { Bpf, MapCreateAttr } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { MapFlag, mapTypeName } from '../../src/bpf/types.js';
import { parseObject } from '../../src/elf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { createMaps } from '../../src/loader/maps.js';

interface Live {
  maps: Record<
    string,
    { type: string; flags: number; keySize: number; valueSize: number; maxEntries: number }
  >;
}
const folder = path.join(import.meta.dirname, '../elf');
const live = JSON.parse(readFileSync(path.join(folder, 'goldens/live.json'), 'utf8')) as Record<string, Live>;

function recorder(cpus: number, refuseBtf = false) {
  const created: (MapCreateAttr & { fd: number })[] = [];
  const updates: { fd: number; key: number; value: Uint8Array }[] = [];
  const closed: number[] = [];
  const frozen: number[] = [];
  const methods: Partial<Bpf> = {
    possibleCpus: async () => cpus,
    mapCreate: async (attr) => {
      if (refuseBtf && attr.btfFd !== undefined) throw new BpfError('BPF_MAP_CREATE', Errno.ENOTSUPP);
      created.push({ ...attr, fd: created.length + 10 });
      return created.length + 9;
    },
    mapUpdateElem: async (fd, key, value) => {
      updates.push({ fd, key: key[0] ?? 0, value });
    },
    mapFreeze: async (fd) => {
      frozen.push(fd);
    },
    close: async (fd) => {
      closed.push(fd);
    },
  };
  const kernel: Bpf = Object.assign(Object.create(EmulatedKernel.prototype) as EmulatedKernel, methods);
  return { kernel, created, updates, closed, frozen };
}

const facts = { kernelVersion: '6.18.0' };

test.each(['maps', 'maps.linked', 'variables', 'externs', 'subprograms', 'callbacks'])(
  'the maps of %s are created as libbpf creates them',
  async (name) => {
    const golden = live[`objects/${name}.bpf.o`]?.maps ?? {};
    const cpus = golden.perf?.maxEntries ?? 1;
    const spec = parseObject(readFileSync(path.join(folder, `objects/${name}.bpf.o`)));
    const { kernel, created } = recorder(cpus);
    await createMaps(spec, kernel, (fd) => fd, { name: name.replace(/\..*/, ''), btfFd: undefined, facts });
    const named = new Map(created.map((attr) => [attr.name, attr]));
    for (const [map, want] of Object.entries(golden)) {
      const attr = named.get(map);
      expect(attr, map).toBeDefined();
      if (attr === undefined) continue;
      const { type, flags = 0, keySize, valueSize, maxEntries } = attr;
      // libbpf 1.1 made every section mappable.
      const common = map.includes('.') ? flags | MapFlag.Mmapable : flags;
      expect({ type: mapTypeName(type), flags: common, keySize, valueSize, maxEntries }, map).toEqual(
        Object.fromEntries(Object.entries(want).filter(([key]) => key !== 'frozen')),
      );
    }
  },
);

test('inner maps are templates that go, and slots are filled with the maps that stay', async () => {
  const spec = parseObject(readFileSync(path.join(folder, 'objects/maps.bpf.o')));
  const { kernel, created, updates, closed } = recorder(1);
  const fds = await createMaps(spec, kernel, (fd) => fd, { name: 'maps', btfFd: undefined, facts });
  const templates = created.filter(({ name }) => name?.includes('.inne'));
  expect(templates.map(({ name }) => name)).toEqual(['outer.inner', 'outer_hash.inne']);
  expect(closed).toEqual(templates.map(({ fd }) => fd));
  const outer = fds.get('outer');
  const slots = updates.filter(({ fd }) => fd === outer).map(({ key, value }) => [key, value[0]]);
  expect(slots).toEqual([
    [1, fds.get('right')],
    [4, fds.get('left')],
    [5, fds.get('right')],
  ]);
});

test('maps whose BTF a kernel refuses are created without, and constants are frozen', async () => {
  const spec = parseObject(readFileSync(path.join(folder, 'objects/variables.bpf.o')));
  const { kernel, created, frozen, updates } = recorder(1, true);
  const fds = await createMaps(spec, kernel, (fd) => fd, { name: 'variables', btfFd: 3, facts });
  expect(created.every(({ btfFd }) => btfFd === undefined)).toBe(true);
  const constants = spec.maps
    .filter(({ section }) => section?.kind === 'rodata')
    .map(({ name }) => fds.get(name));
  expect(frozen).toEqual(constants);
  expect(updates).toHaveLength(spec.maps.length);
});
