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

/** What an access may do with memory. */
export interface Rights {
  readonly write: boolean;
  /** The verifier allows none on a packet. */
  readonly atomic: boolean;
  /** Every access lies at a multiple of its size, as on the stack. */
  readonly aligned: boolean;
}

/** An access through `base`; the last may overwrite `base` itself. */
type Access = (base: number, offset: number, size: number) => Code;

/** An offset in `[offset, offset + size)` for `bytes`, picked by `place`. */
const at = (place: number, offset: number, size: number, bytes: AccessSize, aligned: boolean): number =>
  offset + (aligned ? (place % Math.floor(size / bytes)) * bytes : place % (size - bytes + 1));

const place = fc.nat(1 << 12);

/** One access, at a random place in what `base` points to: `size` bytes of at least 8, at a multiple of 8. */
export function access(rights: Rights): fc.Arbitrary<Access> {
  const { aligned } = rights;
  const forms: fc.WeightedArbitrary<Access>[] = [
    {
      weight: 3,
      arbitrary: fc
        .tuple(size, register, place, fc.boolean())
        .map(([bytes, dst, where, signed]) => (base, offset, room) => [
          load(bytes, dst, base, at(where, offset, room, bytes, aligned), signed && bytes < 8),
        ]),
    },
  ];
  if (rights.write) {
    forms.push({
      weight: 3,
      arbitrary: fc
        .tuple(size, place, fc.oneof(register.map(reg), imm))
        .map(([bytes, where, value]) => (base, offset, room) => [
          store(bytes, base, at(where, offset, room, bytes, aligned), value),
        ]),
    });
  }
  if (rights.atomic) {
    forms.push(
      {
        weight: 2,
        arbitrary: fc
          .tuple(
            fc.constantFrom(...ATOMICS),
            fc.constantFrom(4 as const, 8 as const),
            place,
            register,
            fc.boolean(),
          )
          .map(([op, bytes, where, src, fetch]) => (base, offset, room) => [
            atomic(op, bytes, base, at(where, offset, room, bytes, true), src, fetch),
          ]),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(size, place, register).map(([bytes, where, dst]) => (base, offset, room) => [
          loadAcquire(bytes, dst, base, at(where, offset, room, bytes, true)),
        ]),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(size, place, register).map(([bytes, where, src]) => (base, offset, room) => [
          storeRelease(bytes, base, at(where, offset, room, bytes, true), src),
        ]),
      },
    );
  }
  return fc.oneof(...forms);
}

/** An access to the scalars of the frame or to the packet. */
export const memory: Statement = fc.oneof(
  access({ write: true, atomic: true, aligned: true }).map((make) =>
    make(FRAME_POINTER, SCALARS, SCALARS_SIZE),
  ),
  access({ write: true, atomic: false, aligned: false }).map((make) => make(PACKET_POINTER, 0, PACKET)),
);

/** Writes all scalars of the frame. */
export const clearScalars: Code = Array.from({ length: SCALARS_SIZE / 8 }, (_, i) =>
  store(8, FRAME_POINTER, SCALARS + i * 8, i * 0x01010101),
);
