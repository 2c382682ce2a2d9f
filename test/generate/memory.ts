// The scalars of a frame and the bytes of the packet: statements at offsets that are known.
//
//   r10 - 8     left to the function
//   r10 - 72    64 bytes that hold data between statements, never pointers
//   r6          the packet, of which PACKET bytes are there

import fc from 'fast-check';
import {
  type AccessSize,
  type AtomicName,
  atomic,
  load,
  loadAcquire,
  reg,
  store,
  storeRelease,
} from '../../src/isa/index.js';
import type { Code, Statement } from './code.js';
import { imm, register, size } from './scalars.js';

/** Bytes of the packet that a function counts on. */
export const PACKET = 64;
export const PACKET_POINTER = 6;
export const FRAME_POINTER = 10;
/** Where the scalars of a frame begin, and how many bytes they are. */
export const SCALARS = -72;
export const SCALARS_SIZE = 64;

const ATOMICS: readonly AtomicName[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];

/** Memory that a register points to. */
export interface Memory {
  /** Not r0; it is never read or written as data. */
  readonly base: number;
  /** Behind the pointer, a multiple of 8. */
  readonly offset: number;
  /** At least 8. */
  readonly size: number;
  readonly rights: Rights;
}

export interface Rights {
  readonly write: boolean;
  /** The verifier allows no atomic instruction on a packet. */
  readonly atomic: boolean;
  /** Every access lies at a multiple of its size, as on the stack. */
  readonly aligned: boolean;
}

/** An access to any memory: a load where the rights do not allow it. */
export type Access = (memory: Memory) => Code;

/** The offset of an access of `bytes`, picked by `place`. */
const at = (
  { offset, size, rights }: Memory,
  place: number,
  bytes: AccessSize,
  aligned = rights.aligned,
): number => offset + (aligned ? (place % Math.floor(size / bytes)) * bytes : place % (size - bytes + 1));

/** Data in place of the pointer. */
const not = ({ base }: Memory, data: number): number => (data === base ? 0 : data);

const place = fc.nat(1 << 12);

const loading: fc.Arbitrary<Access> = fc
  .tuple(size, register, place, fc.boolean())
  .map(([bytes, dst, where, signed]) => (memory) => [
    load(bytes, not(memory, dst), memory.base, at(memory, where, bytes), signed && bytes < 8),
  ]);

const storing: fc.Arbitrary<Access> = fc
  .tuple(size, place, fc.oneof(register.map(reg), imm))
  .map(([bytes, where, value]) => (memory) => {
    const offset = at(memory, where, bytes);
    if (!memory.rights.write) return [load(bytes, 0, memory.base, offset)];
    return [
      store(bytes, memory.base, offset, typeof value === 'number' ? value : reg(not(memory, value.register))),
    ];
  });

const atomically: fc.Arbitrary<Access> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(...ATOMICS),
      fc.constantFrom(4 as const, 8 as const),
      place,
      register,
      fc.boolean(),
    )
    .map(
      ([op, bytes, where, src, fetch]): Access =>
        (memory) => {
          const offset = at(memory, where, bytes, true);
          if (!memory.rights.atomic) return [load(bytes, not(memory, src), memory.base, offset)];
          return [atomic(op, bytes, memory.base, offset, not(memory, src), fetch)];
        },
    ),
  fc.tuple(size, place, register, fc.boolean()).map(
    ([bytes, where, data, release]): Access =>
      (memory) => {
        const offset = at(memory, where, bytes, true);
        const register = not(memory, data);
        if (!memory.rights.atomic) return [load(bytes, register, memory.base, offset)];
        return release
          ? [storeRelease(bytes, memory.base, offset, register)]
          : [loadAcquire(bytes, register, memory.base, offset)];
      },
  ),
);

export const access: fc.Arbitrary<Access> = fc.oneof(
  { weight: 3, arbitrary: loading },
  { weight: 3, arbitrary: storing },
  { weight: 3, arbitrary: atomically },
);

const scalars: Memory = {
  base: FRAME_POINTER,
  offset: SCALARS,
  size: SCALARS_SIZE,
  rights: { write: true, atomic: true, aligned: true },
};
const packet: Memory = {
  base: PACKET_POINTER,
  offset: 0,
  size: PACKET,
  rights: { write: true, atomic: false, aligned: false },
};

/** An access to the scalars of the frame or to the packet. */
export const memory: Statement = fc
  .tuple(access, fc.constantFrom(scalars, packet))
  .map(([make, on]) => make(on));

/** Writes all scalars of the frame. */
export const clearScalars: Code = Array.from({ length: SCALARS_SIZE / 8 }, (_, i) =>
  store(8, FRAME_POINTER, SCALARS + i * 8, i * 0x01010101),
);
