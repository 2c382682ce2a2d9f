// Calls of helpers for maps: where all paths come with the same map, the kernel calls the function of its type, and
// lookups in the common types are written out.

import { MapFlag, MapType } from '../../../bpf/types.js';
import type { VerifierMap } from '../program.js';
import type { InsnFields } from './code.js';
import { alu, alu32Imm, aluImm, call, goto, jumpImm, load, movImm, movPerCpu, storeImm } from './emit.js';
import type { KernelLayout } from './layout.js';

/** The functions of a map type, by helper. */
type Operations = Readonly<Record<string, string>>;

const generic = (prefix: string): Operations => ({
  map_lookup_elem: `${prefix}_lookup_elem`,
  map_update_elem: `${prefix}_update_elem`,
  map_delete_elem: `${prefix}_delete_elem`,
});
const array: Operations = { ...generic('array_map'), for_each_map_elem: 'bpf_for_each_array_elem' };
const hash: Operations = { ...generic('htab_map'), for_each_map_elem: 'bpf_for_each_hash_elem' };
const queue = (kind: 'queue' | 'stack'): Operations => ({
  ...generic('queue_stack_map'),
  map_push_elem: 'queue_stack_map_push_elem',
  map_pop_elem: `${kind}_map_pop_elem`,
  map_peek_elem: `${kind}_map_peek_elem`,
});

const operations: ReadonlyMap<MapType, Operations> = new Map([
  [MapType.Array, array],
  [
    MapType.PercpuArray,
    {
      ...array,
      map_lookup_elem: 'percpu_array_map_lookup_elem',
      map_lookup_percpu_elem: 'percpu_array_map_lookup_percpu_elem',
    },
  ],
  [MapType.Hash, hash],
  [
    MapType.PercpuHash,
    {
      ...hash,
      map_lookup_elem: 'htab_percpu_map_lookup_elem',
      map_update_elem: 'htab_percpu_map_update_elem',
      map_lookup_percpu_elem: 'htab_percpu_map_lookup_percpu_elem',
    },
  ],
  [MapType.LruHash, { ...hash, ...generic('htab_lru_map') }],
  [
    MapType.LruPercpuHash,
    {
      ...hash,
      ...generic('htab_lru_percpu_map'),
      map_delete_elem: 'htab_lru_map_delete_elem',
      map_lookup_percpu_elem: 'htab_lru_percpu_map_lookup_percpu_elem',
    },
  ],
  [MapType.LpmTrie, generic('trie')],
  [MapType.Queue, queue('queue')],
  [MapType.Stack, queue('stack')],
  [MapType.BloomFilter, { map_push_elem: 'bloom_map_push_elem', map_peek_elem: 'bloom_map_peek_elem' }],
  [MapType.ArrayOfMaps, { ...generic('fd_array_map'), map_lookup_elem: 'array_of_map_lookup_elem' }],
  [MapType.HashOfMaps, { ...generic('fd_htab_map'), map_lookup_elem: 'htab_of_map_lookup_elem' }],
  [MapType.Devmap, { ...generic('dev_map'), redirect_map: 'dev_map_redirect' }],
  [MapType.DevmapHash, { ...generic('dev_map_hash'), redirect_map: 'dev_hash_map_redirect' }],
  [MapType.Cpumap, { ...generic('cpu_map'), redirect_map: 'cpu_map_redirect' }],
  [MapType.Xskmap, { ...generic('xsk_map'), redirect_map: 'xsk_map_redirect' }],
  [MapType.Sockmap, { ...generic('sock_map'), map_lookup_elem: 'sock_map_lookup' }],
  [
    MapType.Sockhash,
    { ...generic('sock_hash'), map_lookup_elem: 'sock_hash_lookup', map_update_elem: 'sock_map_update_elem' },
  ],
  [MapType.ReuseportSockarray, generic('reuseport_array')],
]);

const SEARCH = '__htab_map_lookup_elem';

/** Every function that a call of a helper for maps may become. */
export const mapFunctions: readonly string[] = [
  SEARCH,
  ...[...operations.values()].flatMap((functions) => Object.values(functions)),
];

/** Helpers that the kernel calls by the map's type. */
const BY_TYPE: ReadonlySet<string> = new Set([
  ...[
    'map_lookup_elem',
    'map_update_elem',
    'map_delete_elem',
    'map_push_elem',
    'map_pop_elem',
    'map_peek_elem',
  ],
  ...['redirect_map', 'for_each_map_elem', 'map_lookup_percpu_elem'],
]);

/** What a helper becomes for one map; undefined: it is called as others are. */
export function mapCall(helper: string, map: VerifierMap, layout: KernelLayout): InsnFields[] | undefined {
  if (!BY_TYPE.has(helper)) return undefined;
  const written = helper === 'map_lookup_elem' ? lookup(map, layout) : undefined;
  if (written) return written;
  const symbol = operations.get(map.type)?.[helper];
  return symbol === undefined ? undefined : [call(symbol)];
}

const R0 = 0;
const MAP = 1;
const KEY = 2;
const rounded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** A number that is multiplied or, where that is the same, shifted. */
function scaled(register: number, by: number): InsnFields {
  const shift = 31 - Math.clz32(by);
  return by === 1 << shift ? aluImm('LSH', register, shift) : aluImm('MUL', register, by);
}

/** A lookup without a call, or with the call of what does the search alone (Linux: map_gen_lookup). */
function lookup(map: VerifierMap, layout: KernelLayout): InsnFields[] | undefined {
  const elements = (value: string, tail: InsnFields[], element: number) => {
    // The size of arrays inside of maps is not known yet.
    if (map.flags & MapFlag.InnerMap) return undefined;
    return [
      aluImm('ADD', MAP, layout.offset(value)),
      load(4, R0, KEY, 0),
      ...inRange(map, [scaled(R0, element), alu('ADD', R0, MAP), ...tail]),
    ];
  };
  const behindKey = layoutOfElement(map, layout);
  switch (map.type) {
    case MapType.Array:
      return elements('bpf_array.value', [], rounded(map.valueSize));
    case MapType.PercpuArray:
      return elements('bpf_array.pptrs', [load(8, R0, R0, 0), movPerCpu(R0, R0)], 8);
    case MapType.ArrayOfMaps:
      return elements(
        'bpf_array.value',
        [load(8, R0, R0, 0), jumpImm('JEQ', R0, 0, 1)],
        rounded(map.valueSize),
      );
    case MapType.Hash:
      return search([aluImm('ADD', R0, behindKey())]);
    case MapType.PercpuHash:
      return search([aluImm('ADD', R0, behindKey()), load(8, R0, R0, 0), movPerCpu(R0, R0)]);
    case MapType.HashOfMaps:
      return search([aluImm('ADD', R0, behindKey()), load(8, R0, R0, 0)]);
    case MapType.LruHash: {
      const used = layout.offset('htab_elem.lru_node') + layout.offset('bpf_lru_node.ref');
      return search([
        load(1, MAP, R0, used),
        jumpImm('JNE', MAP, 0, 1),
        storeImm(1, R0, used, 1),
        aluImm('ADD', R0, behindKey()),
      ]);
    }
    case MapType.Xskmap:
      return [
        load(4, R0, KEY, 0),
        jumpImm('JGE', R0, map.maxEntries, 5),
        aluImm('LSH', R0, 3),
        aluImm('ADD', MAP, layout.offset('xsk_map.xsk_map')),
        alu('ADD', R0, MAP),
        load(8, R0, R0, 0),
        goto(1),
        movImm(R0, 0),
      ];
    default:
      return undefined;
  }
}

const search = (found: InsnFields[]): InsnFields[] => [
  call(SEARCH),
  jumpImm('JEQ', R0, 0, found.length),
  ...found,
];

const layoutOfElement = (map: VerifierMap, layout: KernelLayout) => (): number =>
  layout.offset('htab_elem.key') + rounded(map.keySize);

/** The index is compared, and cut to the size of the array where whoever made the map may not be trusted with speculation. */
function inRange(map: VerifierMap, body: InsnFields[]): InsnFields[] {
  const mask = 2 ** Math.ceil(Math.log2(map.maxEntries)) - 1;
  const guarded = map.speculative ? [alu32Imm('AND', R0, mask), ...body] : body;
  return [jumpImm('JGE', R0, map.maxEntries, guarded.length + 1), ...guarded, goto(1), movImm(R0, 0)];
}
