// Which special fields the values of which maps may have: every combination, in Linux and in the emulated kernel.

import { expect, test } from 'vitest';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { BpfError, errnoName } from '../../src/bpf/errno.js';
import { MapFlag, MapType, mapTypeName } from '../../src/bpf/types.js';
import { BtfBuilder } from '../../src/btf/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';

interface Field {
  type: string;
  at: number;
  length?: number;
  /** A declaration tag. */
  tag?: string;
}

const SIZE = 128;

/** BTF of a structure of SIZE bytes: the key is type 1, the structure the type that is given back. */
function build(fields: readonly Field[]): { bytes: Uint8Array; value: number } {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'INT', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 });
  const struct = (name: string, size: number) =>
    builder.add({ kind: 'STRUCT', name, size, kindFlag: false, members: [] });
  const types = new Map([['int', int]]);
  const sizes = { bpf_spin_lock: 4, bpf_res_spin_lock: 4, bpf_timer: 16, bpf_wq: 16, bpf_task_work: 8 };
  const more = { bpf_list_head: 16, bpf_list_node: 24, bpf_rb_root: 16, bpf_rb_node: 32, bpf_refcount: 4 };
  for (const [name, size] of Object.entries({ ...sizes, ...more })) types.set(name, struct(name, size));
  const target = struct('task_struct', 8);
  for (const tag of ['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr']) {
    const type = builder.add({ kind: 'TYPE_TAG', name: tag, type: target, attribute: false });
    types.set(tag, builder.add({ kind: 'PTR', name: '', type }));
  }
  // What lists and trees hold.
  const member = (name: string, type: string, at: number) => ({
    name,
    type: types.get(type) ?? int,
    bitOffset: at * 8,
    bitSize: 0,
  });
  const node = [member('list', 'bpf_list_node', 0), member('tree', 'bpf_rb_node', 24)];
  builder.add({ kind: 'STRUCT', name: 'lonely', size: 24, kindFlag: false, members: node.slice(0, 1) });
  builder.add({ kind: 'STRUCT', name: 'tree_node', size: 56, kindFlag: false, members: node.slice(1) });
  const members = fields.map(({ type, at, length }, i) => {
    const id = types.get(type) ?? int;
    const array = length && builder.add({ kind: 'ARRAY', name: '', type: id, indexType: int, length });
    return { name: `m${i}`, type: array || id, bitOffset: at * 8, bitSize: 0 };
  });
  const value = builder.add({ kind: 'STRUCT', name: 'value', size: SIZE, kindFlag: false, members });
  fields.forEach(({ tag }, i) => {
    if (tag) builder.add({ kind: 'DECL_TAG', name: tag, type: value, componentIndex: i, attribute: false });
  });
  return { bytes: builder.encode(), value };
}

const lock: Field = { type: 'bpf_spin_lock', at: 0 };
const list: Field = { type: 'bpf_list_head', at: 8, tag: 'contains:lonely:list' };
const tree: Field = { type: 'bpf_rb_root', at: 8, tag: 'contains:tree_node:tree' };

const values: Record<string, readonly Field[]> = {
  nothing: [{ type: 'int', at: 0 }],
  'a lock': [lock],
  'two locks': [lock, { type: 'bpf_spin_lock', at: 4 }],
  'two kinds of locks': [lock, { type: 'bpf_res_spin_lock', at: 4 }],
  'a lock at a wrong place': [{ type: 'bpf_spin_lock', at: 2 }],
  'a lock at the end': [{ type: 'bpf_spin_lock', at: SIZE - 4 }],
  'a resilient lock': [{ type: 'bpf_res_spin_lock', at: 0 }],
  'a timer': [{ type: 'bpf_timer', at: 8 }],
  'two timers': [
    { type: 'bpf_timer', at: 8 },
    { type: 'bpf_timer', at: 24 },
  ],
  'a timer at a wrong place': [{ type: 'bpf_timer', at: 4 }],
  'an array of timers': [{ type: 'bpf_timer', at: 0, length: 2 }],
  'a work queue': [{ type: 'bpf_wq', at: 8 }],
  'task work': [{ type: 'bpf_task_work', at: 8 }],
  'a pointer': [{ type: 'kptr', at: 8 }],
  'an untrusted pointer': [{ type: 'kptr_untrusted', at: 8 }],
  'a pointer to what each CPU has': [{ type: 'percpu_kptr', at: 8 }],
  'a pointer to what a user has': [{ type: 'uptr', at: 8 }],
  'a pointer at a wrong place': [{ type: 'kptr', at: 4 }],
  'eleven pointers': [{ type: 'kptr', at: 0, length: 11 }],
  'twelve pointers': [{ type: 'kptr', at: 0, length: 12 }],
  'a counter': [{ type: 'bpf_refcount', at: 0 }],
  'a list': [lock, list],
  'a list without a lock': [list],
  'a list with a resilient lock': [{ type: 'bpf_res_spin_lock', at: 0 }, list],
  'a list without a tag': [lock, { type: 'bpf_list_head', at: 8 }],
  'a list of what is not there': [lock, { ...list, tag: 'contains:nothing:list' }],
  'a list by a member that is not there': [lock, { ...list, tag: 'contains:lonely:nothing' }],
  'a list of numbers': [lock, { ...list, tag: 'contains:int:list' }],
  'a tree': [lock, tree],
  'a tree without a lock': [tree],
  'a list of a tree': [lock, { ...list, tag: 'contains:tree_node:tree' }],
  'a list of what has a list': [lock, { ...list, tag: 'contains:chain:list' }],
  'a node in a list and a tree': [
    { type: 'bpf_list_node', at: 0 },
    { type: 'bpf_rb_node', at: 24 },
  ],
  'a counted node in a list and a tree': [
    { type: 'bpf_list_node', at: 0 },
    { type: 'bpf_rb_node', at: 24 },
    { type: 'bpf_refcount', at: 56 },
  ],
  'a list of itself': [lock, { ...list, tag: 'contains:value:m2' }, { type: 'bpf_list_node', at: 24 }],
  'a list by a number': [lock, { ...list, tag: 'contains:value:m2' }, { type: 'int', at: 24 }],
  'a tag without a node': [lock, { ...list, tag: 'contains:lonely' }],
  'a tag without a name of a node': [lock, { ...list, tag: 'contains:lonely:' }],
  'a tag without anything': [lock, { ...list, tag: 'contains:' }],
  'an array of lists': [lock, { ...list, length: 2 }],
  'an array of locks': [{ ...lock, length: 2 }],
  'fields over each other': [lock, { type: 'kptr', at: 0 }],
  'a node': [{ type: 'bpf_list_node', at: 0 }],
  'a tree node': [{ type: 'bpf_rb_node', at: 0 }],
  'a lock and a timer': [lock, { type: 'bpf_timer', at: 8 }],
  'a lock, a timer and a pointer': [lock, { type: 'bpf_timer', at: 8 }, { type: 'kptr', at: 24 }],
};

const mapTypes: readonly MapType[] = [
  MapType.Hash,
  MapType.PercpuHash,
  MapType.LruHash,
  MapType.LruPercpuHash,
  MapType.Array,
  MapType.PercpuArray,
  MapType.LpmTrie,
  MapType.Queue,
  MapType.BloomFilter,
];

async function created(kernel: Bpf, btf: Fd, value: number, type: MapType, flags = 0): Promise<string> {
  const keyless = type === MapType.Queue || type === MapType.BloomFilter;
  const trie = type === MapType.LpmTrie;
  try {
    const map = await kernel.mapCreate({
      type,
      keySize: keyless ? 0 : trie ? 8 : 4,
      valueSize: SIZE,
      maxEntries: 1,
      flags: flags | (trie ? MapFlag.NoPrealloc : 0),
      btfFd: btf,
      btfKeyTypeId: keyless ? 0 : 1,
      btfValueTypeId: value,
    });
    await kernel.close(map);
    return 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

needs('special fields of map values', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  async function answers(kernel: Bpf, fields: readonly Field[]): Promise<Record<string, string>> {
    const { bytes, value } = build(fields);
    let btf: Fd;
    try {
      btf = await kernel.btfLoad(bytes);
    } catch (error) {
      if (error instanceof BpfError) return { BTF: errnoName(error.errno) };
      throw error;
    }
    const said: Record<string, string> = {};
    for (const type of mapTypes) said[mapTypeName(type) ?? ''] = await created(kernel, btf, value, type);
    said['read-only'] = await created(kernel, btf, value, MapType.Array, MapFlag.RdonlyProg);
    return said;
  }

  test.each(Object.entries(values))('%s', async (_, fields) => {
    using linux = new LinuxKernel();
    expect(await answers(new EmulatedKernel(), fields)).toEqual(await answers(linux, fields));
  });
});
