// Replays on the emulated kernel's maps what test/kernel/record/maps.py and map_types.py did on Linux: same creation,
// same commands, same errno and the same bytes; of LRU maps the same elements are left.

import { describe, expect, test } from 'vitest';
import golden from '../../../test/kernel/goldens/map-errors.json' with { type: 'json' };
import types from '../../../test/kernel/goldens/map-types.json' with { type: 'json' };
import { BpfError } from '../../bpf/errno.js';
import { MapType, mapTypeName } from '../../bpf/types.js';
import { KernelMemory } from '../memory/memory.js';
import { KernelMap, mapTypeDefinition } from './index.js';

type Command = [
  name: string,
  args: (string | number | null)[],
  result: number,
  out: string | readonly string[] | null,
];
interface Row {
  create: number[];
  result: number;
  commands: Command[];
  memlock?: number;
}

const memory = new KernelMemory({ callHost() {}, now: () => 0 });
const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
const hex = (data: Uint8Array): string =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The result of `body` and 0, or the negative errno of its BpfError. */
function answer<T>(body: () => T): [number, T | undefined] {
  try {
    return [0, body()];
  } catch (error) {
    if (error instanceof BpfError) return [-error.errno, undefined];
    throw error;
  }
}

function create(row: Row): KernelMap {
  const [type = 0, keySize = 0, valueSize = 0, maxEntries = 0, flags = 0, numaNode = 0, extra = 0] =
    row.create;
  const attr = {
    type: type as MapType,
    keySize,
    valueSize,
    maxEntries,
    flags,
    numaNode,
    mapExtra: BigInt(extra),
  };
  return new KernelMap(memory, 1, attr, golden.cpus);
}

interface ProgramSide {
  map_lookup(map: number, key: number, cpu: number): number;
  map_update(map: number, key: number, value: number, flags: bigint, cpu: number): number;
}
const program = memory.runtime as unknown as ProgramSide;
const at = memory.alloc(256) as number;

/** The CPU that commands run on. */
let cpu = 0;

/** What a program does that looks a key up: whether it is there. */
function use(map: KernelMap, key: Uint8Array): number {
  memory.write(at, key);
  return program.map_lookup(map.address, at, cpu) ? 1 : 0;
}

/** An update on another CPU than the first, where the kernel's own commands run. */
function updateOnCpu(map: KernelMap, key: Uint8Array, value: Uint8Array): number {
  memory.write(at, key);
  memory.write(at + 128, value);
  return program.map_update(map.address, at, at + 128, 0n, cpu);
}

function run(map: KernelMap, [name, args]: Command): [number, Command[3]] {
  const [key, second, third] = args;
  if (name === 'on') {
    cpu = key as number;
    return [0, null];
  }
  const keyBytes = typeof key === 'string' ? bytes(key) : null;
  const must = keyBytes ?? new Uint8Array(0);
  switch (name) {
    case 'lookup': {
      const asked = typeof third === 'string' ? bytes(third) : undefined;
      const [result, value] = answer(() => map.lookup(must, (second as number | undefined) ?? 0, asked));
      return [result, value ? hex(value) : null];
    }
    case 'take': {
      const [result, value] = answer(() => map.lookupAndDelete(must, (second as number | undefined) ?? 0));
      return [result, value ? hex(value) : null];
    }
    case 'keys': {
      const keys = Array.from(map.keys(), hex);
      return [0, map.type === MapType.LpmTrie ? keys : keys.toSorted()];
    }
    case 'use':
      return [use(map, must), null];
    case 'memlock':
      return [map.memlock, null];
    case 'update': {
      const value = new Uint8Array(map.transferSize);
      value.set(bytes(second as string));
      if (cpu !== 0) return [updateOnCpu(map, must, value), null];
      return [answer(() => map.update(must, value, (third as number | undefined) ?? 0))[0], null];
    }
    case 'delete':
      return [answer(() => map.delete(must))[0], null];
    case 'next': {
      const [result, next] = answer(() => map.nextKey(keyBytes));
      return [result, next ? hex(next) : null];
    }
    case 'freeze':
      return [answer(() => map.freeze())[0], null];
    default:
      throw new Error(`the golden has an unknown command ${name}`);
  }
}

const rows = [...golden.rows, ...types.rows] as Row[];

describe(`maps answer as ${golden.kernel} does`, () => {
  for (const type of new Set(rows.map((row) => row.create[0] ?? 0))) {
    test(`creating ${mapTypeName(type) ?? `map type ${type}`}: errno and memlock`, () => {
      const all = rows.filter((row) => row.create[0] === type);
      const got = all.map((row) => {
        const [result, map] = answer(() => create(row));
        const { commands, ...rest } = row;
        // What is charged for elements that were added later is looked at in the next test.
        const memlock = map?.memlock;
        map?.destroy();
        return { ...rest, result, ...(memlock === undefined ? {} : { memlock }) };
      });
      expect(got).toEqual(all.map(({ commands, ...rest }) => rest));
    });
  }

  for (const row of rows.filter(({ commands }) => commands.length > 0)) {
    test(`${row.commands.length} commands on ${mapTypeName(row.create[0] ?? 0)}, created with ${row.create}`, () => {
      const map = create(row);
      for (const command of row.commands) {
        const [result, out] = run(map, command);
        const expected = command[3] === 'any' && out !== null ? out : command[3];
        expect([...command.slice(0, 2), result, out]).toEqual([...command.slice(0, 2), command[2], expected]);
      }
      map.destroy();
    });
  }
});

test('a map type that the emulated kernel lacks is refused by name', () => {
  expect(mapTypeDefinition(7)).toBeUndefined();
  expect(() => create({ create: [7, 4, 8, 16], result: 0, commands: [] })).toThrow(
    'BPF_MAP_CREATE: Invalid argument (EINVAL): map type stack_trace is not available in the emulated kernel yet',
  );
});
