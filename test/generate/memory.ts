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
  byteOrder,
  load,
  loadAcquire,
  loadImm64,
  mov,
  reg,
  store,
  storeRelease,
} from '../../src/isa/index.js';
import type { Code, Statement } from './code.js';
import { imm, register, size, value64 } from './scalars.js';

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
  /** It may be the stack: every access lies at a multiple of its size. */
  readonly aligned: boolean;
}

/**
 * An atomic operation, and what keeps two errors of Linux 6.18 out of the comparison:
 *
 * - Its verifier follows a register for which the value matters back past the atomic instruction that has fetched it,
 *   and not to the stack where it came from. Two paths that differ only there are then taken for one, and a branch that
 *   goes one way on the first is removed. What comes from the stack is made unknown: its bytes are swapped twice.
 * - On x86, r0 behind a cmpxchg of 32 bits is extended only if the verifier has seen a read of all of it on this very
 *   path, which may have ended before in a state that is known already. So it is read at once.
 */
function operate(
  { base, rights }: Memory,
  op: AtomicName,
  bytes: 4 | 8,
  offset: number,
  src: number,
  fetch: boolean,
): Code {
  const insn = atomic(op, bytes, base, offset, src, fetch);
  const fetched = op === 'cmpxchg' ? 0 : fetch || op === 'xchg' ? src : undefined;
  if (fetched === undefined) return [insn];
  if (rights.aligned) return [insn, byteOrder('bswap', fetched, 64), byteOrder('bswap', fetched, 64)];
  return op === 'cmpxchg' && bytes === 4 ? [insn, mov(0, reg(0))] : [insn];
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

/** An atomic operation with registers of these. */
export const operationOn = (register: fc.Arbitrary<number>): fc.Arbitrary<Access> =>
  fc
    .tuple(
      fc.constantFrom(...ATOMICS),
      fc.constantFrom(4 as const, 8 as const),
      place,
      register,
      fc.boolean(),
    )
    .map(([op, bytes, where, src, fetch]) => (memory) => {
      const offset = at(memory, where, bytes, true);
      if (!memory.rights.atomic) return [load(bytes, not(memory, src), memory.base, offset)];
      return operate(memory, op, bytes, offset, not(memory, src), fetch);
    });

/** An access that takes its data from registers of these, and loads into them. */
export function accessOn(register: fc.Arbitrary<number>): fc.Arbitrary<Access> {
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
        store(
          bytes,
          memory.base,
          offset,
          typeof value === 'number' ? value : reg(not(memory, value.register)),
        ),
      ];
    });
  const ordered: fc.Arbitrary<Access> = fc
    .tuple(size, place, register, fc.boolean())
    .map(([bytes, where, data, release]) => (memory) => {
      const offset = at(memory, where, bytes, true);
      const register = not(memory, data);
      if (!memory.rights.atomic) return [load(bytes, register, memory.base, offset)];
      return release
        ? [storeRelease(bytes, memory.base, offset, register)]
        : [loadAcquire(bytes, register, memory.base, offset)];
    });
  return fc.oneof(
    { weight: 4, arbitrary: loading },
    { weight: 4, arbitrary: storing },
    { weight: 3, arbitrary: operationOn(register) },
    { weight: 1, arbitrary: ordered },
  );
}

export const access = accessOn(register);

export const scalars: Memory = {
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

/** A compare-and-exchange with what is there, or with something that differs in its upper half or a little. */
export const compareExchange: Statement = fc
  .record({
    value: value64,
    by: fc.constantFrom(0n, 0n, 1n, 1n << 32n, 1n << 63n, 0xffff_ffffn << 32n),
    stored: fc.constantFrom(4 as const, 8 as const),
    bytes: fc.constantFrom(4 as const, 8 as const),
    n: fc.nat(SCALARS_SIZE / 8 - 1),
    src: register,
  })
  .map(({ value, by, stored, bytes, n, src }) => [
    loadImm64(0, value),
    store(stored, FRAME_POINTER, SCALARS + n * 8, reg(0)),
    ...(by === 0n ? [] : [loadImm64(0, BigInt.asIntN(64, value ^ by))]),
    ...operate(scalars, 'cmpxchg', bytes, SCALARS + n * 8, src, true),
  ]);

/** Writes all scalars of the frame. */
export const clearScalars: Code = Array.from({ length: SCALARS_SIZE / 8 }, (_, i) =>
  store(8, FRAME_POINTER, SCALARS + i * 8, i * 0x01010101),
);
