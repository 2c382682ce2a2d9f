// Maps in programs: every map type with every helper that takes a map, and in sleepable programs, against the kernel
// of this machine.

import { expect, test } from 'vitest';
import { helperNames } from '../../src/bpf/helpers.js';
import { MapFlag, MapType, mapTypeName, ProgFlag, ProgType } from '../../src/bpf/types.js';
import { BtfBuilder } from '../../src/btf/index.js';
import { helpersFor } from '../../src/kernel/verifier/tables/helper-availability.js';
import { signatureFor } from '../../src/kernel/verifier/tables/helper-signatures.js';
import {
  mapHelperRefusal,
  mapProgramRefusal,
  mapUse,
  mapUses,
} from '../../src/kernel/verifier/tables/map-helpers.js';
import type { ValueField } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { btfCases, plainCases } from './cases.js';
import {
  add,
  call,
  closeRaw,
  createRaw,
  exit,
  insn,
  kernelBtf,
  ldMap,
  loadBtfRaw,
  loadRaw,
  mov,
  movReg,
  st,
} from './raw.js';

test('every map type of Linux 6.18 has one row', () => {
  const known = Object.values(MapType).filter((type) => type !== MapType.Unspec && type < MapType.InsnArray);
  expect(mapUses.map(({ type }) => type)).toEqual(known);
});

/** One map of each type that this machine makes. */
function makeMaps(): Map<MapType, number> {
  const builder = new BtfBuilder();
  const int = builder.add({
    kind: 'INT',
    name: 'int',
    size: 4,
    encoding: 1,
    bitOffset: 0,
    bits: 32,
  } as never);
  const btf = { fd: loadBtfRaw(builder.encode()), key: int, value: int };
  const inner = createRaw(MapType.Array, 4, 4, 1);
  const T = MapType;
  const shapes: [MapType, number, number, number, object?][] = [
    [T.Hash, 4, 8, 1],
    [T.Array, 4, 8, 1],
    [T.ProgArray, 4, 4, 1],
    [T.PerfEventArray, 4, 4, 1],
    [T.PercpuHash, 4, 8, 1],
    [T.PercpuArray, 4, 8, 1],
    [T.StackTrace, 4, 64, 1],
    [T.CgroupArray, 4, 4, 1],
    [T.LruHash, 4, 8, 1],
    [T.LruPercpuHash, 4, 8, 1],
    [T.LpmTrie, 8, 8, 1, { flags: MapFlag.NoPrealloc }],
    [T.ArrayOfMaps, 4, 4, 1, { inner }],
    [T.HashOfMaps, 4, 4, 1, { inner }],
    [T.Devmap, 4, 4, 1],
    [T.Sockmap, 4, 4, 1],
    [T.Cpumap, 4, 4, 1],
    [T.Xskmap, 4, 4, 1],
    [T.Sockhash, 4, 4, 1],
    [T.CgroupStorage, 8, 8, 0],
    [T.ReuseportSockarray, 4, 8, 1],
    [T.PercpuCgroupStorage, 8, 8, 0],
    [T.Queue, 0, 8, 1],
    [T.Stack, 0, 8, 1],
    [T.SkStorage, 4, 4, 0, { flags: MapFlag.NoPrealloc, btf }],
    [T.DevmapHash, 4, 4, 1],
    [T.Ringbuf, 0, 0, 4096],
    [T.InodeStorage, 4, 4, 0, { flags: MapFlag.NoPrealloc, btf }],
    [T.TaskStorage, 4, 4, 0, { flags: MapFlag.NoPrealloc, btf }],
    [T.BloomFilter, 0, 8, 1],
    [T.UserRingbuf, 0, 0, 4096],
    [T.CgrpStorage, 4, 4, 0, { flags: MapFlag.NoPrealloc, btf }],
    [T.Arena, 0, 0, 1, { flags: MapFlag.Mmapable, extra: 1n << 44n }],
  ];
  const maps = new Map<MapType, number>();
  for (const [type, key, value, entries, more] of shapes) {
    try {
      maps.set(type, createRaw(type, key, value, entries, more as never));
    } catch {
      // This kernel was built without it.
    }
  }
  return maps;
}

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  const maps = makeMaps();
  const wanted: ProgType[] = [
    ProgType.SchedCls,
    ProgType.Xdp,
    ProgType.Kprobe,
    ProgType.SkSkb,
    ProgType.SkMsg,
    ProgType.SockOps,
    ProgType.CgroupSkb,
    ProgType.SkReuseport,
    ProgType.Tracing,
  ];
  const programs = wanted.flatMap((type) => {
    const one = [...plainCases, ...btfCases()].find((other) => other.type === type && !other.flags);
    return one ? [one] : [];
  });

  test('this kernel makes nearly all map types', () => {
    expect(maps.size).toBeGreaterThan(29);
  });

  test.each(programs)('helpers with maps in $label', (one) => {
    let looked = 0;
    for (const name of helpersFor(one.type, one)) {
      const id = helperNames.indexOf(name);
      const row = signatureFor(id, one.type, one.attach);
      const at = row?.args.findIndex(({ kind }) => kind === 'const-map-ptr') ?? -1;
      // The arguments before the map are the context or a BTF pointer; timers want a value first.
      if (!row || at < 0 || row.args[0]?.kind === 'timer' || row.args[0]?.kind === 'btf-id') continue;
      for (const [type, fd] of maps) {
        // Whatever else is wrong with the call is said later.
        const others = row.args.flatMap((arg, i) => {
          if (i === at) return [];
          if (arg.kind === 'ctx') return [movReg(i + 1, 6)];
          if (/size/.test(arg.kind)) return [mov(i + 1, 8)];
          if (arg.kind === 'anything') return [mov(i + 1, 0)];
          return [movReg(i + 1, 10), add(i + 1, -64)];
        });
        const stack = Array.from({ length: 8 }, (_, i) => st(8, 10, -64 + 8 * i, 0));
        const insns = [movReg(6, 1), ...stack, ldMap(at + 1, fd), ...others, call(id), mov(0, 0), exit];
        const { log, errno } = loadRaw({ ...one, insns });
        const refused = /cannot pass map_type|cannot update sockmap/.test(log);
        const refusal = mapHelperRefusal(type, id, one.type, one.attach);
        // The arguments are looked at first; something may be wrong with them too.
        if (!refused && refusal && errno) continue;
        expect(refused, `${name} with ${mapTypeName(type)}: ${log}`).toBe(refusal !== undefined);
        if (refusal) expect(log).toContain(refusal);
        looked++;
      }
    }
    expect(looked).toBeGreaterThan(100);
  });

  test('fields that values may have', () => {
    const T = MapType;
    const shapes: [MapType, number, object][] = [
      [T.Hash, 1, {}],
      [T.Array, 1, {}],
      [T.PercpuHash, 1, {}],
      [T.PercpuArray, 1, {}],
      [T.LruHash, 1, {}],
      [T.LruPercpuHash, 1, {}],
      [T.SkStorage, 0, { flags: MapFlag.NoPrealloc }],
      [T.TaskStorage, 0, { flags: MapFlag.NoPrealloc }],
      [T.CgrpStorage, 0, { flags: MapFlag.NoPrealloc }],
    ];
    const special = {
      'spin-lock': 'bpf_spin_lock',
      'res-spin-lock': 'bpf_res_spin_lock',
      timer: 'bpf_timer',
      workqueue: 'bpf_wq',
      'task-work': 'bpf_task_work',
    } as const;
    let accepted = 0;
    for (const [field, name] of Object.entries(special)) {
      const known = kernelBtf().findByName(name, 'STRUCT');
      if (known === undefined) continue;
      const size = kernelBtf().sizeOf(known);
      const builder = new BtfBuilder();
      const int = builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
      const lock = builder.add({
        kind: 'STRUCT',
        name,
        size,
        kindFlag: false,
        members: [{ name: 'opaque', type: int, bitOffset: 0, bitSize: 0 }],
      });
      const value = builder.add({
        kind: 'STRUCT',
        name: 'value',
        size: size + 8,
        kindFlag: false,
        members: [
          { name: 'special', type: lock, bitOffset: 0, bitSize: 0 },
          { name: 'plain', type: int, bitOffset: 8 * size, bitSize: 0 },
        ],
      });
      const btf = { fd: loadBtfRaw(builder.encode()), key: int, value };
      for (const [type, entries, more] of shapes) {
        let made = true;
        try {
          closeRaw(createRaw(type, 4, size + 8, entries, { ...more, btf }));
        } catch {
          made = false;
        }
        expect(made, `${name} in ${mapTypeName(type)}`).toBe(
          mapUse(type)?.fields?.includes(field as ValueField) === true,
        );
        if (made) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(10);
  });

  test('maps in sleepable programs', () => {
    for (const [type, fd] of maps) {
      const insns = [ldMap(1, fd), mov(0, 0), exit];
      const { log, errno } = loadRaw({ type: ProgType.Syscall, flags: ProgFlag.Sleepable, insns });
      const refusal = mapProgramRefusal(type, [], ProgType.Syscall, true);
      expect(errno !== 0, `${mapTypeName(type)}: ${log}`).toBe(refusal !== undefined);
      if (refusal) expect(log).toContain(refusal);
    }
  });

  test('which lookups give what, which maps can be walked or addressed', () => {
    for (const [type, fd] of maps) {
      const use = mapUse(type);
      const key = [st(8, 10, -8, 0), movReg(2, 10), add(2, -8)];
      const lookup = loadRaw({
        type: ProgType.SchedCls,
        // It is what it is once it is not NULL.
        insns: [...key, ldMap(1, fd), call(1), insn(0x15, 0, 0, 1, 0), movReg(7, 0), mov(0, 0), exit],
        logLevel: 2,
      });
      const found = /r7 = r0 .*?R7=(\w+)/.exec(lookup.log)?.[1];
      const names = {
        value: 'map_value',
        map: 'map_ptr',
        socket: 'sock',
        'xdp-sock': 'xdp_sock',
      };
      expect(found, `${mapTypeName(type)}: ${lookup.log}`).toBe(use?.lookup && names[use.lookup]);
      const direct = loadRaw({ type: ProgType.SchedCls, insns: [ldMap(1, fd, true), mov(0, 0), exit] });
      const addressed = !/direct value access|invalid access to map/.test(direct.log);
      // An arena has no address before user space maps it.
      if (type !== MapType.Arena)
        expect(addressed, `${mapTypeName(type)}: ${direct.log}`).toBe(use?.directValue === true);
    }
  });
});
