// Random XDP programs whose pointer arithmetic and checks are often wrong, as assembly text for pair.ts.
//
//   r6       the context            r8   the end of the packet, or of one that was
//   r9       what was read so far   r0, r5, r7   pointers to anything, or null, or none
//   r2..r4   numbers                stack   eight slots, where pointers are spilled too
//
// Statements nest; `@` in a label is made unique. Nothing keeps a program from faulting, and most do sooner or later,
// so they are short. Loops may not end: the budget sees to that.

import fc from 'fast-check';
import { MAP_NAMES } from './pair.js';

/** Lines of a program. */
type Lines = readonly string[];
type Statement = fc.Arbitrary<Lines>;

const pick = fc.constantFrom;
const pointer = pick('r7', 'r5', 'r0');
const scalar = pick('r2', 'r3', 'r4');
const anything = pick('r7', 'r5', 'r0', 'r2', 'r3', 'r4');
const sizes = pick('u8', 'u16', 'u32', 'u64');
const signedSizes = pick('s8', 's16', 's32');
const small = fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: -12, max: 70 }));
const unsigned = fc.oneof(fc.integer({ min: 0, max: 9 }), pick(14, 16, 20, 63, 255, 0xffff));
const slot = fc.integer({ min: 1, max: 8 }).map((n) => n * 8);
const compare = pick('>', '>=', '<', '<=', '==', '!=');
const signedCompare = pick('>', '>=', '<', '<=', '==', '!=', 's>', 's<', 's>=', 's<=', '&');
const maps = pick(...MAP_NAMES.filter((name) => name !== 'bystander'));
const scalarMaps = pick('globals', 'globals', 'rodata');

const signed = (offset: number): string => (offset < 0 ? `- ${-offset}` : `+ ${offset}`);

/** Adds what was read to the result. */
const fold = (register: string): Lines => ['r9 *= 31', `r9 += ${register}`];

const access: Statement = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(sizes, pointer, small, scalar)
      .map(([size, p, at, s]) => [`${s} = *(${size} *)(${p} ${signed(at)})`, ...fold(s)]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(signedSizes, pointer, small, scalar)
      .map(([size, p, at, s]) => [`${s} = *(${size} *)(${p} ${signed(at)})`, ...fold(s)]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(sizes, pointer, small, scalar)
      .map(([size, p, at, s]) => [`*(${size} *)(${p} ${signed(at)}) = ${s}`]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(sizes, pointer, small)
      .map(([size, p, at]) => [`*(${size} *)(${p} ${signed(at)}) = 77`]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('u32', 'u64'), pointer, small, scalar)
      .map(([size, p, at, s]) => [`lock *(${size} *)(${p} ${signed(at)}) += ${s}`]),
  },
);

const arithmetic: Statement = fc.oneof(
  fc.tuple(scalar, unsigned).map(([s, n]) => [`${s} = ${n}`]),
  fc.tuple(scalar, pick(1, 3, 7, 15, 63, 255, 0xffff, -8)).map(([s, n]) => [`${s} &= ${n}`]),
  fc
    .tuple(scalar, pick('<<=', '>>=', 's>>='), fc.integer({ min: 0, max: 6 }))
    .map(([s, op, n]) => [`${s} ${op} ${n}`]),
  fc
    .tuple(scalar, pick('+=', '-=', '*=', '|=', '^=', '/=', '%='), fc.integer({ min: 1, max: 9 }))
    .map(([s, op, n]) => [`${s} ${op} ${n}`]),
  fc.tuple(scalar, pick('+=', '-=', '=', '&='), scalar).map(([s, op, t]) => [`${s} ${op} ${t}`]),
  scalar.map((s) => [`w${s.slice(1)} = w${s.slice(1)}`]),
  fc.tuple(scalar, fc.integer({ min: -4, max: 9 })).map(([s, n]) => [`w${s.slice(1)} += ${n}`]),
  fc.tuple(scalar, anything).map(([s, p]) => [`w${s.slice(1)} = w${p.slice(1)}`]),
);

const moves: Statement = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(pointer, pick(0, 8, 4)).map(([p, at]) => [`${p} = *(u32 *)(r6 + ${at})`]),
  },
  { weight: 1, arbitrary: fc.constant(['r8 = *(u32 *)(r6 + 4)']) },
  { weight: 3, arbitrary: fc.tuple(pointer, pointer).map(([p, q]) => [`${p} = ${q}`]) },
  { weight: 4, arbitrary: fc.tuple(pointer, small).map(([p, n]) => [`${p} += ${n}`]) },
  { weight: 4, arbitrary: fc.tuple(pointer, scalar).map(([p, s]) => [`${p} += ${s}`]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pointer, scalar, pick(3, 7, 15))
      .map(([p, s, mask]) => [`${s} &= ${mask}`, `${p} += ${s}`]),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(pointer, pointer, scalar).map(([p, q, s]) => [`${p} = ${s}`, `${p} += ${q}`]),
  },
  { weight: 1, arbitrary: fc.tuple(pointer, anything).map(([p, q]) => [`${p} -= ${q}`]) },
  { weight: 1, arbitrary: pointer.map((p) => [`${p} = 0`]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pointer, fc.integer({ min: -72, max: 4 }))
      .map(([p, n]) => [`${p} = r10`, `${p} += ${n}`]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pointer, scalarMaps, fc.integer({ min: 0, max: 15 }))
      .map(([p, map, at]) => [`${p} = value ${map}+${at}`]),
  },
);

const spills: Statement = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(anything, slot).map(([p, at]) => [`*(u64 *)(r10 - ${at}) = ${p}`]) },
  { weight: 3, arbitrary: fc.tuple(anything, slot).map(([p, at]) => [`${p} = *(u64 *)(r10 - ${at})`]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('u8', 'u16', 'u32'), slot, fc.nat(7))
      .map(([size, at, more]) => [`*(${size} *)(r10 - ${at - Math.min(more, 4)}) = 1`]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(scalar, slot, pick(3, 7, 15, 24))
      .map(([s, at, mask]) => [`${s} &= ${mask}`, 'r1 = r10', `r1 += ${s}`, `*(u8 *)(r1 - ${at}) = 2`]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(slot, fc.integer({ min: 0, max: 9 }))
      .map(([at, size]) => [
        'r1 = r6',
        'r2 = 0',
        'r3 = r10',
        `r3 += -${at}`,
        `r4 = ${size}`,
        'call 189',
        'r3 = 0',
      ]),
  },
);

const helpers: Statement = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        maps,
        fc.oneof(fc.integer({ min: 0, max: 4 }).map(String), scalar),
        pick(true, true, false),
        pick(undefined, 'r7', 'r5'),
      )
      .map(([map, key, checked, to]) => [
        `*(u32 *)(r10 - 64) = ${key}`,
        'r2 = r10',
        'r2 += -64',
        `r1 = map ${map}`,
        'call 1',
        'r2 = 0',
        ...(to ? [`${to} = r0`] : []),
        ...(checked ? ['if r0 == 0 goto out'] : []),
      ]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('percpu', 'perhash', 'array'), fc.nat(3), fc.nat(3), pick('r7', 'r5'))
      .map(([map, key, cpu, to]) => [
        `*(u32 *)(r10 - 64) = ${key}`,
        'r2 = r10',
        'r2 += -64',
        `r3 = ${cpu}`,
        `r1 = map ${map}`,
        'call 195',
        'r2 = 0',
        `${to} = r0`,
      ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pick(44, 54, 65), pick(-8, -4, -1, 0, 1, 4, 8))
      .map(([id, by]) => ['r1 = r6', `r2 = ${by}`, `call ${id}`, ...fold('r0')]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('hash', 'array', 'globals', 'perhash'), pointer, pick(0, 1, 2))
      .map(([map, p, flags]) => [
        'r2 = r10',
        'r2 += -64',
        `r3 = ${p}`,
        `r4 = ${flags}`,
        `r1 = map ${map}`,
        'call 2',
        ...fold('r0'),
      ]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('hash', 'array', 'perhash'), pointer)
      .map(([map, p]) => [`r2 = ${p}`, `r1 = map ${map}`, 'call 3', ...fold('r0')]),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pointer, pick(0, 4, 8, 20), pointer, scalar)
      .map(([p, n, q, s]) => [
        `r1 = ${p}`,
        `r3 = ${q}`,
        `r4 = ${s}`,
        `r2 = ${n}`,
        'r5 = 0',
        'call 28',
        ...fold('r0'),
      ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(pointer, pick('a', 'b'))
      .map(([p, f]) => [
        `r1 = ${p}`,
        'r2 = r8',
        `call sub_${f}`,
        ...fold('r0'),
        'r2 = 0',
        'r3 = 1',
        'r4 = 2',
        'r5 = r7',
      ]),
  },
);

/** What a packet pointer is compared with, and how. */
const bounds = (body: Statement): Statement =>
  fc
    .tuple(
      pointer,
      fc.oneof(small, scalar),
      compare,
      fc.boolean(),
      pick('r1', 'same', 'none'),
      body,
      fc.boolean(),
    )
    .map(([p, more, op, swapped, copy, then, skip]) => {
      const q = copy === 'same' ? p : 'r1';
      const before =
        copy === 'r1'
          ? [`r1 = ${p}`, `r1 += ${more}`]
          : copy === 'same'
            ? [`${p} += ${more}`]
            : [`r1 = ${p}`];
      const test = swapped ? `if r8 ${op} ${q}` : `if ${q} ${op} r8`;
      return skip
        ? [...before, `${test} goto over@`, ...then, 'over@:']
        : [...before, `${test} goto out`, ...then];
    });

/** A comparison that is right, so that more is left to go wrong behind it. */
const rightBounds = (body: Statement): Statement =>
  fc
    .tuple(pointer, fc.integer({ min: 1, max: 24 }), body)
    .map(([p, n, then]) => [
      `${p} = *(u32 *)(r6 + 0)`,
      'r8 = *(u32 *)(r6 + 4)',
      `r1 = ${p}`,
      `r1 += ${n}`,
      'if r1 > r8 goto out',
      ...then,
    ]);

const conditional = (body: Statement): Statement =>
  fc.oneof(
    fc
      .tuple(scalar, signedCompare, fc.oneof(unsigned, scalar), pick('r', 'w'), body)
      .map(([s, op, value, width, then]) => {
        const left = `${width}${s.slice(1)}`;
        const right = typeof value === 'number' ? value : `${width}${value.slice(1)}`;
        return [`if ${left} ${op} ${right} goto over@`, ...then, 'over@:'];
      }),
    fc
      .tuple(scalar, compare, unsigned, body, body)
      .map(([s, op, n, then, other]) => [
        `if ${s} ${op} ${n} goto else@`,
        ...then,
        'goto over@',
        'else@:',
        ...other,
        'over@:',
      ]),
    fc
      .tuple(pointer, pick('==', '!='), body)
      .map(([p, op, then]) => [`if ${p} ${op} 0 goto over@`, ...then, 'over@:']),
    // Null or what it was.
    fc
      .tuple(pointer, scalar, compare, unsigned)
      .map(([p, s, op, n]) => [`if ${s} ${op} ${n} goto over@`, `${p} = 0`, 'over@:']),
  );

/** Loops with a counter, right or wrong. */
const loop = (body: Statement): Statement =>
  fc
    .record({
      counter: scalar,
      first: fc.oneof(
        fc.integer({ min: 0, max: 4 }).map((n) => [`= ${n}`]),
        pick(['+= 0'], ['&= 7'], ['= -2'], ['= 100']),
      ),
      step: pick(1, 1, 2, 3, 8),
      limit: pick(1, 5, 8, 12, 14, 16, 24, 100),
      op: pick('!=', '<', '<=', 's<', 's<=', '!='),
      bits: pick('r', 'r', 'w'),
      wide: pick('r', 'r', 'w'),
      where: pick('before', 'after', 'exit', 'middle', 'twice'),
      p: pointer,
      use: pick(true, true, false),
      size: sizes,
      body,
      read: scalar,
    })
    .map(({ counter: c, first, step, limit, op, bits, wide, where, p, use, size, body: inside, read }) => {
      const n = c.slice(1);
      const test = `${bits}${n} ${op} ${limit}`;
      const add = `${wide}${n} += ${step}`;
      const work = [
        ...(use ? [`r1 = ${p}`, `r1 += ${c}`, `${read === c ? 'r9' : read} = *(${size} *)(r1 + 0)`] : []),
        ...inside,
      ];
      const start = `${c} ${first[0]}`;
      switch (where) {
        case 'before':
          return [start, 'loop@:', add, ...work, `if ${test} goto loop@`];
        case 'after':
          return [start, 'loop@:', ...work, add, `if ${test} goto loop@`];
        case 'exit':
          return [
            start,
            'loop@:',
            `if ${test} goto go@`,
            'goto over@',
            'go@:',
            ...work,
            add,
            'goto loop@',
            'over@:',
          ];
        case 'middle':
          return [
            start,
            `if ${p} != 0 goto middle@`,
            'loop@:',
            ...work,
            'middle@:',
            add,
            `if ${test} goto loop@`,
          ];
        default:
          return [
            start,
            'loop@:',
            ...work,
            add,
            `if ${p} == 0 goto no@`,
            add,
            'no@:',
            `if ${test} goto loop@`,
          ];
      }
    });

function statements(depth: number, length: number): Statement {
  const parts: fc.WeightedArbitrary<Lines>[] = [
    { weight: 5, arbitrary: access },
    { weight: 4, arbitrary: arithmetic },
    { weight: 4, arbitrary: moves },
    { weight: 2, arbitrary: spills },
    { weight: 3, arbitrary: helpers },
  ];
  if (depth > 0) {
    const body = statements(depth - 1, 3);
    parts.push(
      { weight: 3, arbitrary: bounds(body) },
      { weight: 4, arbitrary: rightBounds(body) },
      { weight: 3, arbitrary: conditional(body) },
      { weight: 2, arbitrary: loop(body) },
    );
  }
  return fc.array(fc.oneof(...parts), { maxLength: length }).map((all) => all.flatMap(unique));
}

let labels = 0;

/** Makes the labels of one statement its own: those that are not yet. */
function unique(lines: Lines): Lines {
  const id = labels++;
  return lines.map((line) => line.replace('@', `_${id}`));
}

/** Every slot of a frame written, every register that is no argument a number. */
const clear: Lines = Array.from({ length: 9 }, (_, i) => `*(u64 *)(r10 - ${72 - i * 8}) = ${i}`);

/** A function of r1, a pointer, and r2, an end: it looks like the main one. */
const subprogram = (name: string, body: Lines): Lines => [
  `${name}:`,
  'r7 = r1',
  'r5 = r1',
  'r8 = r2',
  'r9 = 1',
  'r0 = 0',
  'r3 = 3',
  'r4 = 1',
  'r2 = 2',
  ...clear,
  ...body
    .filter((line) => !/r6|call sub/.test(line))
    .map((line) => line.replace('goto out', `goto ${name}_out`)),
  `${name}_out:`,
  'r0 = r9',
  'exit',
];

/** A random program, as text. */
export function wrongProgram(): fc.Arbitrary<string> {
  return fc
    .record({ main: statements(3, 12), a: statements(1, 5), b: statements(2, 4) })
    .map(({ main, a, b }) => {
      const calls = (name: string) => main.some((line) => line.includes(`call ${name}`));
      return [
        'r6 = r1',
        'r9 = 0',
        'r7 = *(u32 *)(r6 + 0)',
        'r8 = *(u32 *)(r6 + 4)',
        'r5 = r7',
        'r0 = 0',
        'r2 = *(u8 *)(r7 + 1)',
        'r3 = 3',
        'r4 = 0',
        ...clear,
        ...main,
        'out:',
        'r0 = r9',
        'exit',
        ...(calls('sub_a') ? subprogram('sub_a', a) : []),
        ...(calls('sub_b') ? subprogram('sub_b', b) : []),
      ].join('\n');
    });
}
