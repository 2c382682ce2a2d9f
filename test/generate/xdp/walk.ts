// Loops that walk over memory with their counter or with a pointer, as compilers write them for arrays and headers.

import fc from 'fast-check';
import {
  type AccessSize,
  alu,
  branch,
  jump,
  load,
  mov,
  reg,
  slotCount,
  store,
} from '../../../src/isa/index.js';
import { type Code, guarded, SKIP, type Statement } from '../code.js';
import { INNER, OUTER } from '../control.js';
import { FRAME_POINTER, PACKET, PACKET_POINTER, SCALARS, SCALARS_SIZE } from '../memory.js';
import { imm, register, size } from '../scalars.js';
import { contextField, loadValue, MAPS } from './frame.js';

/** What is walked over: the pointer to it in `dst`, and how many bytes there are. */
interface Ground {
  readonly start: (dst: number) => Code;
  readonly size: number;
  /** Accesses must lie at multiples of their size. */
  readonly aligned: boolean;
}

const ground: fc.Arbitrary<Ground> = fc.oneof(
  fc.constant<Ground>({ start: (dst) => [mov(dst, reg(PACKET_POINTER))], size: PACKET, aligned: false }),
  fc.nat(24).map(
    (at): Ground => ({
      start: (dst) => [mov(dst, reg(PACKET_POINTER)), alu('add', dst, at)],
      size: PACKET - at,
      aligned: false,
    }),
  ),
  fc.constant<Ground>({
    start: (dst) => [mov(dst, reg(FRAME_POINTER)), alu('add', dst, SCALARS)],
    size: SCALARS_SIZE,
    aligned: true,
  }),
  fc.constant<Ground>({
    start: (dst) => [loadValue(dst, 'globals')],
    size: MAPS.globals.valueSize,
    aligned: false,
  }),
);

interface Round {
  readonly bytes: AccessSize;
  readonly data: number;
  readonly write: boolean;
  readonly signed: boolean;
}

const round: fc.Arbitrary<Round> = fc.record({
  bytes: size,
  data: fc.constantFrom(0, 1, 2, 3),
  write: fc.boolean(),
  signed: fc.boolean(),
});

/** r4 and r5 are the walk's own; `base` is one of them or r8. */
const visit = ({ bytes, data, write, signed }: Round, base: number): Code =>
  write
    ? [alu('add', data, 0x111), store(bytes, base, 0, reg(data))]
    : [load(bytes, 4, base, 0, signed && bytes < 8), alu('mul', data, 31), alu('add', data, reg(4))];

const pieces = {
  ground,
  round,
  step: fc.constantFrom(1, 2, 4, 8),
  first: fc.constantFrom(0, 0, 1, 8),
  rounds: fc.integer({ min: 1, max: 8 }),
  width: fc.constantFrom(32 as const, 64 as const),
  value: imm,
};

/** A step and a start that every access of `bytes` can live with. */
const fitting = (
  step: number,
  first: number,
  bytes: number,
  aligned: boolean,
): [step: number, first: number] =>
  aligned ? [Math.max(step, bytes), first < bytes ? 0 : first] : [step, first];

/** The counter is the index; tested before or after the round, in several ways. */
const byIndex: Statement = fc
  .record({
    ...pieces,
    test: fc.constantFrom('lt', 'slt', 'ne', 'le', 'gt'),
    where: fc.constantFrom('before', 'after', 'exit'),
    early: fc.boolean(),
  })
  .map(({ ground, round, step: wish, first: start, rounds, width, value, test, where, early }) => {
    const [step, first] = fitting(wish, start, round.bytes, ground.aligned);
    const most = Math.floor((ground.size - round.bytes - first) / step) + 1;
    const count = Math.min(rounds, most);
    const limit = first + count * step;
    const inside = [
      ...ground.start(5),
      alu('add', 5, reg(OUTER)),
      ...visit(round, 5),
      mov(5, value),
      // Out of the loop for reasons of its own.
      ...(early ? [branch('eq', round.data, value, SKIP)] : []),
      alu('add', OUTER, step, width),
    ];
    const again = (distance: number) => {
      if (test === 'le') return branch('le', OUTER, limit - step, distance, width);
      if (test === 'gt') return branch('gt', 5, reg(OUTER), distance, width);
      return branch(test, OUTER, limit, distance, width);
    };
    // For a comparison with a register.
    const bound = test === 'gt' ? [mov(5, limit)] : [];
    const length = slotCount(inside) + slotCount(bound);
    const begin = mov(OUTER, first, width);
    if (where === 'after')
      return [...guarded([begin, ...inside, ...bound, again(-length - 1)]), mov(4, value), mov(5, value)];
    const code =
      where === 'before'
        ? [begin, jump(slotCount(inside)), ...inside, ...bound, again(-length - 1)]
        : [begin, ...bound, again(1), jump(slotCount(inside) + 1), ...inside, jump(-length - 3)];
    return [...guarded(code), mov(4, value), mov(5, value)];
  });

/** The counter is the index and goes down to where it ends. */
const downwards: Statement = fc
  .record({ ...pieces, test: fc.constantFrom('gt', 'ge', 'sgt', 'sge', 'ne'), early: fc.boolean() })
  .map(({ ground, round, step: wish, first: start, rounds, width, value, test, early }) => {
    const [step, last] = fitting(wish, start, round.bytes, ground.aligned);
    const most = Math.floor((ground.size - round.bytes - last) / step) + 1;
    const count = Math.min(rounds, most);
    const inside = [
      // Before the visit or behind it.
      ...(early ? [alu('sub', OUTER, step, width)] : []),
      ...ground.start(5),
      alu('add', 5, reg(OUTER)),
      ...visit(round, 5),
      mov(5, value),
      ...(early ? [] : [alu('add', OUTER, -step, width)]),
    ];
    // Where the counter is when it is tested for the last time; below 0 only as a signed number.
    const end = early ? last : last - step;
    const limit = { gt: end, sgt: end, ne: end, ge: end + step, sge: end + step }[test];
    const usable = end < 0 && test !== 'ne' ? (test === 'ge' || test === 'sge' ? 'sge' : 'sgt') : test;
    return [
      mov(OUTER, last + (count - (early ? 0 : 1)) * step, width),
      ...inside,
      branch(usable, OUTER, limit, -slotCount(inside) - 1, width),
      mov(OUTER, 0),
      mov(4, value),
    ];
  });

/** A pointer moves along with a counter. */
const byPointer: Statement = fc
  .record({ ...pieces, down: fc.boolean(), order: fc.boolean() })
  .map(({ ground, round, step: wish, first: start, rounds, width, value, down, order }) => {
    const [step, first] = fitting(wish, start, round.bytes, ground.aligned);
    const most = Math.floor((ground.size - round.bytes - first) / step) + 1;
    const count = Math.min(rounds, most);
    const move = [alu('add', INNER, step), alu('add', OUTER, down ? -1 : 1, width)];
    const inside = [...visit(round, INNER), ...(order ? move : [...move].reverse())];
    return [
      ...ground.start(INNER),
      alu('add', INNER, first),
      mov(OUTER, down ? count : 0, width),
      ...inside,
      branch('ne', OUTER, down ? 0 : count, -slotCount(inside) - 1, width),
      mov(INNER, 0),
      mov(4, value),
    ];
  });

/** The number of rounds comes from data, or every round compares with the end of the packet. */
const toTheEnd: Statement = fc
  .record({ ...pieces, from: register, checked: fc.boolean() })
  .map(({ round, step, rounds, width, value, from, checked }) => {
    const begin = [mov(5, reg(from)), alu('and', 5, 7), mov(OUTER, 0, width)];
    if (!checked) {
      const inside = [
        mov(4, reg(PACKET_POINTER)),
        alu('add', 4, reg(OUTER)),
        ...visit({ ...round, write: true }, 4),
        mov(4, value),
        alu('add', OUTER, step, width),
      ];
      // 7 rounds of 8 bytes at most, the last of which ends at 64.
      const scale = alu('lsh', 5, Math.log2(step), width);
      const length = slotCount(inside);
      return [
        ...begin,
        scale,
        branch('ge', OUTER, reg(5), length + 1, width),
        ...inside,
        jump(-length - 2),
        mov(5, value),
      ];
    }
    const inside = [
      ...contextField(4, 'data_end'),
      mov(5, reg(INNER)),
      alu('add', 5, 16),
      branch('gt', 5, reg(4), SKIP),
      ...visit({ ...round, write: true }, INNER),
      mov(4, value),
      mov(5, value),
      alu('add', INNER, step * 4),
      alu('add', OUTER, 1, width),
    ];
    return [
      mov(INNER, reg(PACKET_POINTER)),
      mov(OUTER, 0, width),
      ...guarded([...inside, branch('ne', OUTER, rounds, -slotCount(inside) - 1, width)]),
      mov(INNER, 0),
      mov(4, value),
      mov(5, value),
    ];
  });

/** Where both counters are free. */
export const walk: Statement = fc.oneof(byIndex, downwards, byPointer, toTheEnd);
