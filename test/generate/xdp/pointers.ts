// Pointers to all kinds of memory, with the checks that Linux's verifier wants before they are used, and statements
// that use them.

import fc from 'fast-check';
import {
  alu,
  branch,
  callHelper,
  callLocal,
  exit,
  jump,
  load,
  loadImm64,
  mov,
  reg,
  slotCount,
  store,
} from '../../../src/isa/index.js';
import { type Code, type FunctionCode, guarded, SKIP, type Statement } from '../code.js';
import {
  type Access,
  access,
  FRAME_POINTER,
  PACKET,
  PACKET_POINTER,
  type Rights,
  SCALARS,
  SCALARS_SIZE,
} from '../memory.js';
import { bits, CONDITIONS, imm, register, value64 } from '../scalars.js';
import { ARGUMENT_SIZE, contextField, loadMap, loadValue, MAPS, type MapName } from './frame.js';

const LOOKUP = 1;
const LOOKUP_PER_CPU = 195;

/** Registers that are free for a statement; all of them must be data again behind it. */
interface Registers {
  /** The pointer. */
  readonly p: number;
  readonly q: number;
  readonly u: number;
  /** Data, to be bounded and used as an index. */
  readonly t: number;
}

/** r0 is left to results and to the value that cmpxchg compares with. */
const registers: fc.Arbitrary<Registers> = fc
  .shuffledSubarray([1, 2, 3, 4, 5, 7], { minLength: 4, maxLength: 4 })
  .map(([p = 1, q = 2, u = 3, t = 4]) => ({ p, q, u, t }));

/** Memory and the way to it. */
export interface Target {
  /** Puts the pointer into p, or jumps to SKIP. q and u are data afterwards, and so is r0. */
  readonly reach: (registers: Registers) => Code;
  /** Bytes behind the pointer, at least 8. */
  readonly size: number;
  readonly rights: Rights;
  /** Stays what it is whatever other statements do: not the packet, not an element that may be replaced. */
  readonly lasting: boolean;
}

/** A slot of the frame with a pointer to ARGUMENT_SIZE bytes. */
export interface Slot {
  readonly at: number;
  readonly atomic: boolean;
}

const STACK: Rights = { write: true, atomic: true, aligned: true };
const VALUE: Rights = { write: true, atomic: true, aligned: false };
const PACKET_BYTES: Rights = { write: true, atomic: false, aligned: false };
const CONSTANT: Rights = { write: false, atomic: false, aligned: false };

/** Makes t at most `max`, or jumps to SKIP. */
type Bound = (registers: Registers, max: number) => Code;

const below = (max: number): number => 2 ** Math.floor(Math.log2(max + 1)) - 1;

const limit: fc.Arbitrary<Bound> = fc.oneof(
  bits.map(
    (width): Bound =>
      ({ t }, max) => [alu('and', t, below(max), width)],
  ),
  bits.map(
    (width): Bound =>
      ({ t }, max) => {
        const count = Math.log2(below(max) + 1);
        return count === 0 ? [mov(t, 0)] : [alu('rsh', t, width - count, width)];
      },
  ),
  fc.constant<Bound>(({ t }, max) => [branch('gt', t, max, SKIP)]),
  fc.constant<Bound>(({ t }, max) => [branch('ge', t, max + 1, SKIP)]),
  fc.constant<Bound>(({ t }, max) => [branch('le', t, max, 1), jump(SKIP)]),
  fc.constant<Bound>(({ t }, max) => [branch('lt', t, max + 1, 1), jump(SKIP)]),
  fc.constant<Bound>(({ t }, max) => [branch('slt', t, 0, SKIP), branch('sgt', t, max, SKIP)]),
  fc.constant<Bound>(({ t }, max) => [mov(t, reg(t), 32), branch('gt', t, max, SKIP, 32)]),
  fc.constant<Bound>(({ t, q }, max) => [mov(q, max), branch('gt', t, reg(q), SKIP)]),
  fc.constant<Bound>(({ t, q }, max) => [mov(q, max), branch('lt', q, reg(t), SKIP)]),
  // From a byte of the packet.
  fc.nat(PACKET - 1).map(
    (at): Bound =>
      ({ t }, max) => [load(1, t, PACKET_POINTER, at), alu('and', t, below(max))],
  ),
);

/** Makes t at most `max` and a multiple of `scale`, a power of two. */
const scaled =
  (make: Bound, scale: number): Bound =>
  (registers, max) => [
    ...make(registers, Math.floor(max / scale)),
    ...(scale > 1 ? [alu('lsh', registers.t, Math.log2(scale))] : []),
  ];

const bound = fc.oneof(
  limit.map((make) => ({ make, scale: 1 })),
  fc.tuple(limit, fc.constantFrom(2, 4, 8)).map(([make, scale]) => ({ make: scaled(make, scale), scale })),
);

/** An offset in `size` bytes that leaves room for at least 8; a multiple of 8. */
const aligned = (size: number): fc.Arbitrary<number> => fc.nat(Math.floor(size / 8) - 1).map((n) => n * 8);

/** Comparisons that go to SKIP when the pointer u is beyond the end in q. */
const beyond: fc.Arbitrary<(u: number, q: number) => Code> = fc.constantFrom(
  (u: number, q: number) => [branch('gt', u, reg(q), SKIP)],
  (u: number, q: number) => [branch('lt', q, reg(u), SKIP)],
  (u: number, q: number) => [branch('ge', u, reg(q), SKIP)],
  (u: number, q: number) => [branch('le', q, reg(u), SKIP)],
  (u: number, q: number) => [branch('le', u, reg(q), 1), jump(SKIP)],
  (u: number, q: number) => [branch('ge', q, reg(u), 1), jump(SKIP)],
  (u: number, q: number) => [branch('lt', u, reg(q), 1), jump(SKIP)],
  (u: number, q: number) => [branch('gt', q, reg(u), 1), jump(SKIP)],
);

/** A part of the packet at a fixed offset that is known to be there. */
const packetPart: fc.Arbitrary<Target> = fc.nat(PACKET - 8).map((at) => ({
  reach: ({ p }) => [mov(p, reg(PACKET_POINTER)), alu('add', p, at)],
  size: PACKET - at,
  rights: PACKET_BYTES,
  lasting: false,
}));

/** A part of the packet at a known or computed offset, compared with data_end (or metadata, with data). */
const packetChecked: fc.Arbitrary<Target> = fc
  .record({
    offset: fc.oneof(fc.nat(200), bound),
    most: fc.integer({ min: 1, max: 250 }),
    /** A second index on top, as with a header behind a header of any length. */
    more: fc.option(bound, { freq: 4 }),
    size: fc.integer({ min: 8, max: 40 }),
    beyond,
    meta: fc.nat(5).map((n) => n === 0),
    value: imm,
  })
  .map(({ offset, most, more, size, beyond, meta, value }) => ({
    reach: (registers) => {
      const { p, q, u, t } = registers;
      const compare = [mov(u, reg(p)), alu('add', u, size), ...beyond(u, q), mov(q, value), mov(u, reg(0))];
      if (meta) return [...contextField(p, 'data_meta'), ...contextField(q, 'data'), ...compare];
      const second = more ? [...more.make({ ...registers, t: u }, most), alu('add', p, reg(u))] : [];
      return [
        ...(typeof offset === 'number' ? [] : offset.make(registers, most)),
        mov(p, reg(PACKET_POINTER)),
        alu('add', p, typeof offset === 'number' ? offset : reg(t)),
        ...second,
        ...contextField(q, 'data_end'),
        ...compare,
      ];
    },
    size,
    rights: PACKET_BYTES,
    lasting: false,
  }));

/** Scalars of the frame, at an offset that is known or computed. */
const stack: fc.Arbitrary<Target> = fc.oneof(
  aligned(SCALARS_SIZE).map(
    (at): Target => ({
      reach: ({ p }) => [mov(p, reg(FRAME_POINTER)), alu('add', p, SCALARS + at)],
      size: SCALARS_SIZE - at,
      rights: STACK,
      lasting: true,
    }),
  ),
  fc.tuple(limit, fc.boolean()).map(
    ([make, first]): Target => ({
      reach: (registers) => {
        const { p, t } = registers;
        const index = scaled(make, 8)(registers, SCALARS_SIZE - 8);
        return first
          ? [...index, mov(p, SCALARS), alu('add', p, reg(FRAME_POINTER)), alu('add', p, reg(t))]
          : [...index, mov(p, reg(FRAME_POINTER)), alu('add', p, reg(t)), alu('add', p, SCALARS)];
      },
      size: 8,
      // Nor does the verifier allow one on the stack when the offset is not known.
      rights: { ...STACK, atomic: false },
      lasting: true,
    }),
  ),
);

/** `base`, which has `target.size` bytes, and an index in it. */
const indexed = (base: fc.Arbitrary<Target>): fc.Arbitrary<Target> =>
  fc
    .tuple(base, bound, fc.constantFrom('add', 'sub', 'commuted'))
    .filter(([target]) => target.size > 8)
    .map(([target, { make, scale }, how]) => {
      const most = target.size - 8;
      return {
        reach: (registers) => {
          const { p, q, t } = registers;
          // t is bounded behind the way to the base, which may leave other data in it.
          const index = [...target.reach(registers), ...make(registers, most)];
          if (how === 'add') return [...index, alu('add', p, reg(t))];
          if (how === 'sub') return [...index, alu('add', p, 16), alu('add', p, reg(t)), alu('sub', p, 16)];
          return [...index, mov(q, reg(t)), alu('add', q, reg(p)), mov(p, reg(q)), mov(q, reg(t))];
        },
        size: 8,
        rights: { ...target.rights, atomic: target.rights.atomic && scale === 8 },
        lasting: target.lasting,
      };
    });

/** The value of an array, by its address. */
const direct = (name: MapName, rights: Rights): fc.Arbitrary<Target> =>
  aligned(MAPS[name].valueSize).map((at) => ({
    reach: ({ p }) => [loadValue(p, name, at)],
    size: MAPS[name].valueSize - at,
    rights,
    lasting: true,
  }));

/** Number of the function that gives an element of `array`, or null, for the key in r1. */
const FINDER = 4;

export const finder: FunctionCode = {
  body: [
    store(4, FRAME_POINTER, -4, reg(1)),
    mov(2, reg(FRAME_POINTER)),
    alu('add', 2, -4),
    loadMap(1, 'array'),
    callHelper(LOOKUP),
  ],
  epilogue: [exit()],
};

type Found = 'array' | 'hash' | 'hash8' | 'hash12' | 'percpu' | 'perhash' | 'globals';

/** An element found by its key, which may not be there; sometimes nobody knows in which of two maps. */
const element = (name: Found, other?: Found): fc.Arbitrary<Target> =>
  fc
    .record({
      key: fc.oneof(fc.nat(5), limit),
      most: fc.integer({ min: 1, max: 7 }),
      at: fc.nat((SCALARS_SIZE - MAPS[name].keySize) >> 3).map((n) => n * 8),
      cpu: fc.nat(5),
      value: imm,
      wide: value64,
      far: fc.boolean(),
      called: fc.nat(3).map((n) => n === 0),
      when: register,
    })
    .map(({ key, most, at, cpu, value, wide, far, called, when }) => {
      const perCpu = cpu < 2 && name.startsWith('per');
      const { keySize } = MAPS[name];
      const map =
        other === undefined
          ? [loadMap(1, name)]
          : [mov(1, reg(when)), branch('eq', 1, value, 3), loadMap(1, name), jump(2), loadMap(1, other)];
      return {
        reach: (registers) => {
          const { p, t } = registers;
          const find =
            called && name === 'array' && other === undefined
              ? [mov(1, reg(t)), callLocal(FINDER)]
              : [
                  store(4, FRAME_POINTER, SCALARS + at, reg(t)),
                  ...(keySize > 4 ? [store(4, FRAME_POINTER, SCALARS + at + 4, 0)] : []),
                  ...(keySize > 8 ? [store(4, FRAME_POINTER, SCALARS + at + 8, 0)] : []),
                  ...map,
                  mov(2, reg(FRAME_POINTER)),
                  alu('add', 2, SCALARS + at),
                  ...(perCpu ? [mov(3, cpu)] : []),
                  callHelper(perCpu ? LOOKUP_PER_CPU : LOOKUP),
                ];
          return [
            ...(typeof key === 'number' ? [mov(t, key)] : key(registers, most)),
            ...find,
            ...(far ? [mov(7, reg(0))] : []),
            mov(1, value),
            loadImm64(2, wide),
            mov(3, value, 32),
            mov(4, reg(8)),
            mov(5, reg(9)),
            ...(far ? [branch('eq', 7, 0, SKIP)] : [branch('ne', 0, 0, 1), jump(SKIP)]),
            mov(p, reg(far ? 7 : 0)),
            mov(0, value),
            ...(far && p !== 7 ? [mov(7, value)] : []),
          ];
        },
        size: Math.min(MAPS[name].valueSize, MAPS[other ?? name].valueSize),
        rights: VALUE,
        lasting: !`${name}${other}`.includes('hash'),
      };
    });

/** What a slot of the frame points to: one's own stack, the caller's, a map's value. */
const slotted = (slots: readonly Slot[]): fc.Arbitrary<Target> =>
  fc.constantFrom(...slots).map(({ at, atomic }) => ({
    reach: ({ p }) => [load(8, p, FRAME_POINTER, at)],
    size: ARGUMENT_SIZE,
    rights: { write: true, atomic, aligned: true },
    lasting: atomic,
  }));

/** One of two pointers. */
const selected = (one: fc.Arbitrary<Target>, other: fc.Arbitrary<Target>): fc.Arbitrary<Target> =>
  fc
    .record({
      a: one,
      b: other,
      name: fc.constantFrom(...CONDITIONS),
      dst: register,
      value: imm,
      width: bits,
    })
    .map(({ a, b, name, dst, value, width }) => ({
      reach: (registers) => {
        const [first, second] = [a.reach(registers), b.reach(registers)];
        return [
          branch(name, dst, value, slotCount(first) + 1, width),
          ...first,
          jump(slotCount(second)),
          ...second,
        ];
      },
      size: Math.min(a.size, b.size),
      rights: {
        write: a.rights.write && b.rights.write,
        atomic: a.rights.atomic && b.rights.atomic,
        aligned: a.rights.aligned || b.rights.aligned,
      },
      lasting: a.lasting && b.lasting,
    }));

const values = fc.oneof(
  direct('globals', VALUE),
  direct('constants', CONSTANT),
  element('array'),
  element('hash'),
  element('hash8'),
  element('hash12'),
  element('hash', 'array'),
  element('array', 'globals'),
  element('percpu'),
  element('perhash'),
  element('globals'),
);

const target = (slots: readonly Slot[]): fc.Arbitrary<Target> => {
  const one = fc.oneof(
    { weight: 2, arbitrary: packetPart },
    { weight: 3, arbitrary: packetChecked },
    { weight: 2, arbitrary: stack },
    { weight: 3, arbitrary: values },
    { weight: 2, arbitrary: indexed(values) },
    { weight: 3, arbitrary: slotted(slots) },
  );
  return fc.oneof({ weight: 6, arbitrary: one }, { weight: 1, arbitrary: selected(one, one) });
};

const accesses = fc.array(access, { minLength: 1, maxLength: 4 });

/** What `throughPointer` may do with the pointer while it has it. */
export interface Holding {
  /** Slots of pointers that are there already. */
  readonly slots: readonly Slot[];
  /** The slot that is free for this one. */
  readonly free: number;
  /** Statements that run while that slot holds a pointer that may be written and atomic. */
  readonly body: Statement;
}

/** Gets a pointer, with its checks, and uses it; perhaps keeps it on the stack while other statements run. */
export function throughPointer({ slots, free, body }: Holding): Statement {
  return fc
    .record({
      registers,
      target: target(slots),
      before: accesses,
      after: accesses,
      kept: fc.constantFrom('register', 'register', 'slot', 'body'),
      body,
      last: fc.boolean(),
      nullTest: fc.constantFrom(undefined, undefined, 'eq' as const, 'ne' as const),
      value: imm,
    })
    .map(({ registers, target, before, after, kept, body, last, nullTest, value }) => {
      const { p, q, u } = registers;
      const { size, rights, lasting } = target;
      const use = (all: readonly Access[]) =>
        all.flatMap((make) => make({ base: p, offset: 0, size, rights }));
      const others = kept === 'body' && lasting && rights.write && rights.atomic && size >= ARGUMENT_SIZE;
      const again = [
        store(8, FRAME_POINTER, free, reg(p)),
        mov(p, value),
        ...(others ? body : []),
        load(8, p, FRAME_POINTER, free),
        ...use(after),
      ];
      return [
        ...guarded([
          ...target.reach(registers),
          // Needless, but compilers write it.
          ...(nullTest === 'eq' ? [branch('eq', p, 0, SKIP)] : []),
          ...(nullTest === 'ne' ? [branch('ne', p, 0, 1), jump(SKIP)] : []),
          ...use(before),
          ...(kept === 'register' ? [] : again),
          ...(last ? [load(8, p, p, 0), store(8, FRAME_POINTER, SCALARS, reg(p))] : []),
        ]),
        mov(p, value),
        mov(q, reg(0)),
        mov(u, value, 32),
      ];
    });
}
