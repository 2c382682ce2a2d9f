// Calls of helpers whose results are the same in every kernel, of subprograms, and tail calls.

import fc from 'fast-check';
import {
  alu,
  callHelper,
  callLocal,
  type Instruction,
  load,
  mov,
  reg,
  store,
} from '../../../src/isa/index.js';
import type { Code, Statement } from '../code.js';
import { FRAME_POINTER, PACKET, PACKET_POINTER, SCALARS, SCALARS_SIZE } from '../memory.js';
import { imm, register, value64 } from '../scalars.js';
import {
  ARGUMENT_SIZE,
  afterCall,
  CONTEXT,
  contextField,
  loadMap,
  loadValue,
  MAPS,
  refresh,
} from './frame.js';
import type { Slot } from './pointers.js';

const Helper = {
  map_update_elem: 2,
  map_delete_elem: 3,
  get_smp_processor_id: 8,
  tail_call: 12,
  redirect: 23,
  csum_diff: 28,
  get_numa_node_id: 42,
  xdp_adjust_head: 44,
  xdp_adjust_meta: 54,
  xdp_adjust_tail: 65,
  xdp_get_buff_len: 188,
  xdp_load_bytes: 189,
  xdp_store_bytes: 190,
} as const;

/** An address of at least `bytes` that can be read; `dst` is the only register it needs. */
type Address = (dst: number, bytes: number) => Code;

const onStack: fc.Arbitrary<Address> = fc
  .nat(SCALARS_SIZE / 8 - 1)
  .map((n) => (dst, bytes) => [
    mov(dst, reg(FRAME_POINTER)),
    alu('add', dst, SCALARS + Math.min(n * 8, (SCALARS_SIZE - bytes) & -8)),
  ]);
const inPacket: fc.Arbitrary<Address> = fc
  .nat(PACKET)
  .map((n) => (dst, bytes) => [mov(dst, reg(PACKET_POINTER)), alu('add', dst, Math.min(n, PACKET - bytes))]);
const inGlobals: fc.Arbitrary<Address> = fc
  .nat(MAPS.globals.valueSize)
  .map((n) => (dst, bytes) => [loadValue(dst, 'globals', Math.min(n, MAPS.globals.valueSize - bytes))]);
const inConstants: fc.Arbitrary<Address> = fc
  .nat(MAPS.constants.valueSize)
  .map((n) => (dst, bytes) => [loadValue(dst, 'constants', Math.min(n, MAPS.constants.valueSize - bytes))]);

const readable = fc.oneof(onStack, inPacket, inGlobals, inConstants);
/** Not in the packet, which the helpers that take these do not allow. */
const apart = fc.oneof(onStack, inGlobals);

const rest = fc.record({ value: imm, wide: value64 });

/** A call, which leaves the arguments' registers without data until they are written anew. */
const call = (id: number, { value, wide }: { value: number; wide: bigint }): Code => [
  callHelper(id),
  ...afterCall(value, wide),
];

const context = (dst = 1): Instruction => load(8, dst, FRAME_POINTER, CONTEXT);

/** A number in `dst` from another register, which keeps it if it is the same. */
const small = (dst: number, src: number, mask: number): Code => [mov(dst, reg(src)), alu('and', dst, mask)];

/** Puts the address of a key of `size` bytes into r2. */
type Key = (size: number) => Code;

/** A known number, data, or bytes somewhere. */
const key: fc.Arbitrary<Key> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.oneof(fc.nat(4), register.map(reg)), fc.nat(SCALARS_SIZE / 8 - 2)).map(
      ([value, n]): Key =>
        (size) => {
          const at = SCALARS + n * 8;
          return [
            ...(typeof value === 'number' ? [mov(2, value)] : small(2, value.register, 7)),
            ...(size > 4 ? [store(8, FRAME_POINTER, at + 8, 0)] : []),
            store(size > 4 ? 8 : 4, FRAME_POINTER, at, reg(2)),
            mov(2, reg(FRAME_POINTER)),
            alu('add', 2, at),
          ];
        },
    ),
  },
  {
    weight: 1,
    arbitrary: readable.map(
      (address): Key =>
        (size) =>
          address(2, size),
    ),
  },
);

const MAPS_TO_CHANGE = ['array', 'hash', 'hash8', 'hash12', 'percpu', 'perhash', 'globals'] as const;

const update: Statement = fc
  .record({ map: fc.constantFrom(...MAPS_TO_CHANGE), key, value: readable, flags: fc.nat(4), rest })
  .map(({ map, key, value, flags, rest }) => [
    ...key(MAPS[map].keySize),
    // The array of one long value is not worth a stack of its own.
    ...(map === 'globals' ? [loadValue(3, 'globals')] : value(3, MAPS[map].valueSize)),
    mov(4, flags % 4),
    loadMap(1, map),
    ...call(Helper.map_update_elem, rest),
  ]);

const remove: Statement = fc
  .record({
    map: fc.constantFrom(
      'hash' as const,
      'hash8' as const,
      'hash12' as const,
      'perhash' as const,
      'array' as const,
    ),
    key,
    rest,
  })
  .map(({ map, key, rest }) => [
    ...key(MAPS[map].keySize),
    loadMap(1, map),
    ...call(Helper.map_delete_elem, rest),
  ]);

const checksum: Statement = fc
  .record({
    from: readable,
    to: readable,
    fromSize: fc.nat(32),
    toSize: fc.oneof(fc.nat(32), register.map(reg)),
    fromNull: fc.nat(3).map((n) => n === 0),
    seed: register,
    rest,
  })
  .map(({ from, to, fromSize, toSize, fromNull, seed, rest }) => [
    mov(5, reg(seed)),
    ...(typeof toSize === 'number' ? [mov(4, toSize)] : small(4, toSize.register, 31)),
    ...(fromNull ? [mov(1, 0), mov(2, 0)] : [...from(1, 32), mov(2, fromSize)]),
    ...to(3, 32),
    ...call(Helper.csum_diff, rest),
  ]);

const bytes: Statement = fc
  .record({
    offset: fc.oneof(fc.nat(120), register.map(reg)),
    mask: fc.constantFrom(63, 127, 0xffff, -1),
    size: fc.oneof(fc.integer({ min: 1, max: 24 }), register.map(reg)),
    memory: apart,
    store: fc.boolean(),
    rest,
  })
  .map(({ offset, mask, size, memory, store, rest }) => [
    ...(typeof offset === 'number' ? [mov(2, offset)] : small(2, offset.register, mask)),
    ...(typeof size === 'number' ? [mov(4, size)] : [...small(4, size.register, 15), alu('add', 4, 1)]),
    ...memory(3, 24),
    context(),
    ...call(store ? Helper.xdp_store_bytes : Helper.xdp_load_bytes, rest),
  ]);

const simple: Statement = fc
  .record({
    id: fc.constantFrom('get_smp_processor_id', 'get_numa_node_id', 'xdp_get_buff_len', 'redirect'),
    flags: fc.nat(1),
    rest,
  })
  .map(({ id, flags, rest }) => [
    ...(id === 'redirect' ? [mov(1, 1), mov(2, flags)] : [context()]),
    ...call(Helper[id], rest),
  ]);

/** Numbers of the context that are the same in every kernel, and the packet's length. */
const fields: Statement = fc
  .record({ p: fc.constantFrom(1, 2, 3, 4, 5, 7), q: fc.constantFrom(0), field: fc.nat(3) })
  .map(({ p, q, field }) => {
    if (field < 2) return contextField(p, field === 0 ? 'ingress_ifindex' : 'rx_queue_index');
    return [
      ...contextField(p, field === 2 ? 'data_end' : 'data'),
      ...contextField(q, field === 2 ? 'data' : 'data_meta'),
      alu('sub', p, reg(q)),
      mov(q, reg(p)),
    ];
  });

/** Helpers that leave the packet where it is. */
export const helpers: Statement = fc.oneof(
  { weight: 4, arbitrary: update },
  { weight: 2, arbitrary: remove },
  { weight: 2, arbitrary: checksum },
  { weight: 2, arbitrary: bytes },
  { weight: 1, arbitrary: simple },
  { weight: 1, arbitrary: fields },
);

/** Helpers that move the packet's ends. */
export const adjust: Statement = fc
  .record({
    id: fc.constantFrom('xdp_adjust_head', 'xdp_adjust_meta', 'xdp_adjust_tail'),
    by: fc.oneof(
      fc.constantFrom(-8, -4, -1, 0, 1, 4, 8),
      fc.integer({ min: -300, max: 40 }),
      register.map(reg),
    ),
    rest,
  })
  .map(({ id, by, rest }) => [
    ...(typeof by === 'number' ? [mov(2, by)] : [...small(2, by.register, 15), alu('sub', 2, 8)]),
    context(),
    ...call(Helper[id], rest),
    ...refresh(rest.value),
  ]);

/** Goes on behind the call when there is no such program. Functions without BTF may not do that. */
export const tailCall: Statement = fc
  .record({ index: fc.oneof(fc.nat(5), register.map(reg)), rest })
  .map(({ index, rest }) => [
    ...(typeof index === 'number' ? [mov(3, index)] : small(3, index.register, 7)),
    loadMap(2, 'programs'),
    context(),
    callHelper(Helper.tail_call),
    mov(0, rest.value),
    ...afterCall(rest.value, rest.wide),
    ...refresh(rest.value),
  ]);

/** A function that can be called. */
export interface Callee {
  readonly number: number;
  /** It may move the packet. */
  readonly moves: boolean;
  /** Its memory may be in the packet; then it has no atomic instruction on it. */
  readonly packetArgument: boolean;
}

/** r1 = context, r2 = packet, r3 = ARGUMENT_SIZE bytes, r4 and r5 data. */
export const callFunction = (callees: readonly Callee[], slots: readonly Slot[]): Statement =>
  fc
    .record({
      callee: fc.constantFrom(...callees),
      memory: fc.oneof(onStack, inGlobals.map(aligned)),
      packet: fc.tuple(fc.boolean(), inPacket),
      slot: fc.constantFrom(undefined, ...slots),
      rest,
    })
    .map(({ callee, memory, packet: [inside, packet], slot, rest }) => {
      const { number, moves, packetArgument } = callee;
      const usable = slot && (slot.atomic || packetArgument) ? slot : undefined;
      const address = packetArgument && inside ? packet : memory;
      return [
        ...(usable ? [load(8, 3, FRAME_POINTER, usable.at)] : address(3, ARGUMENT_SIZE)),
        context(),
        mov(2, reg(PACKET_POINTER)),
        callLocal(number),
        ...afterCall(rest.value, rest.wide),
        ...(moves ? refresh(rest.value) : []),
      ];
    });

/** Atomic instructions want their alignment. */
const aligned =
  (address: Address): Address =>
  (dst, bytes) =>
    address(dst, bytes).map((insn) =>
      insn.immHigh === undefined ? insn : { ...insn, immHigh: insn.immHigh & -8 },
    );
