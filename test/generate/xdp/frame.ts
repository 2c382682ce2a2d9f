// What every function of a generated XDP program counts on between two statements, the maps, and the code that makes
// it so.
//
//   r0..r5, r7    data, see scalars.ts
//   r6            data of the context, of which PACKET bytes are compared with data_end
//   r8, r9        counters of loops
//   r10 - 8       the context
//   r10 - 72      scalars, see memory.ts
//   r10 - 80      a pointer to ARGUMENT_SIZE bytes, for the main function into `globals`, for others from the caller
//   r10 - 88 ...  pointers that are held while other statements run
//
// No address ever gets into data: Linux's are different from those of the emulated kernel.

import { MapFlag, MapType } from '../../../src/bpf/types.js';
import {
  alu,
  branch,
  type Instruction,
  jump,
  load,
  loadImm64,
  loadPseudo,
  mov,
  PseudoSource,
  reg,
} from '../../../src/isa/index.js';
import type { MapSpec } from '../../engines/machine.js';
import { type Code, OUT } from '../code.js';
import { FRAME_POINTER, PACKET, PACKET_POINTER } from '../memory.js';

export const CONTEXT = -8;
export const ARGUMENT = -80;
export const ARGUMENT_SIZE = 16;
const HELD = -88;
/** How many pointers may be held at a time: with may_goto's 16 bytes, four frames have 512. */
export const HELD_COUNT = 3;

/** Where pointer `number` is held. */
export const held = (number: number): number => HELD - 8 * number;

export const MAPS = {
  /** Everything that the main function ends with is added up here. */
  result: { type: MapType.Array, keySize: 4, valueSize: 144, maxEntries: 1 },
  globals: { type: MapType.Array, keySize: 4, valueSize: 64, maxEntries: 1 },
  constants: {
    type: MapType.Array,
    keySize: 4,
    valueSize: 40,
    maxEntries: 1,
    flags: MapFlag.RdonlyProg,
    frozen: true,
  },
  array: { type: MapType.Array, keySize: 4, valueSize: 24, maxEntries: 3 },
  hash: { type: MapType.Hash, keySize: 4, valueSize: 16, maxEntries: 4 },
  percpu: { type: MapType.PercpuArray, keySize: 4, valueSize: 16, maxEntries: 2 },
  /** Keys that engines look up in other ways. */
  hash8: { type: MapType.Hash, keySize: 8, valueSize: 16, maxEntries: 4 },
  hash12: { type: MapType.Hash, keySize: 12, valueSize: 16, maxEntries: 3 },
  perhash: { type: MapType.PercpuHash, keySize: 4, valueSize: 8, maxEntries: 3 },
  programs: { type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: 4 },
} as const satisfies Record<string, MapSpec>;

export type MapName = keyof typeof MAPS;
const NAMES = Object.keys(MAPS);

/** `dst` = the map, by its number in MAPS until it is loaded. */
export const loadMap = (dst: number, name: MapName): Instruction =>
  loadPseudo(dst, PseudoSource.MAP_FD, NAMES.indexOf(name));

/** `dst` = the address of byte `offset` of the map's first value. */
export const loadValue = (dst: number, name: MapName, offset = 0): Instruction =>
  loadPseudo(dst, PseudoSource.MAP_VALUE, NAMES.indexOf(name), offset);

/** Fields of struct xdp_md by offset. */
export const Field = { data: 0, data_end: 4, data_meta: 8, ingress_ifindex: 12, rx_queue_index: 16 } as const;

/** `dst` = a field of the context. */
export const contextField = (dst: number, field: keyof typeof Field): Code => [
  load(8, dst, FRAME_POINTER, CONTEXT),
  load(4, dst, dst, Field[field]),
];

/** Data for r1 to r5 after a call. */
export const afterCall = (value: number, wide: bigint): Code => [
  mov(1, value),
  loadImm64(2, wide),
  mov(3, reg(0)),
  mov(4, value, 32),
  mov(5, reg(7)),
];

/** r6 anew, after the packet may have moved; out of the function when it has become too short. */
export const refresh = (value: number): Code => {
  const data = [mov(1, reg(0)), mov(2, value), mov(3, reg(7), 32)];
  return [
    ...contextField(PACKET_POINTER, 'data'),
    ...contextField(2, 'data_end'),
    mov(3, reg(PACKET_POINTER)),
    alu('add', 3, PACKET),
    branch('le', 3, reg(2), data.length + 1),
    ...data,
    jump(OUT),
    ...data,
  ];
};
