// The scalar domain against the numbers it stands for: whatever an operation is given, the result holds every number
// that the operation can make of the operands. Exhaustive on small sets around each border, random at full width.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANY,
  type Claim,
  d,
  hex,
  holds,
  mustHold,
  read,
  s32,
  s64,
  tightest,
  u32,
  u64,
  write,
} from '../../../test/verifier/claims.js';
import { AluOp, JumpOp } from '../../isa/opcodes.js';
import type { Address } from './domain.js';

const [A, B, R, S] = d.temporary;

type Operation = (a: bigint, b: bigint) => bigint;

const OPERATIONS: readonly [string, number, Operation, Operation][] = [
  ['add', AluOp.ADD, (a, b) => a + b, (a, b) => a + b],
  ['sub', AluOp.SUB, (a, b) => a - b, (a, b) => a - b],
  ['mul', AluOp.MUL, (a, b) => a * b, (a, b) => a * b],
  ['and', AluOp.AND, (a, b) => a & b, (a, b) => a & b],
  ['or', AluOp.OR, (a, b) => a | b, (a, b) => a | b],
  ['xor', AluOp.XOR, (a, b) => a ^ b, (a, b) => a ^ b],
  ['lsh', AluOp.LSH, (a, b) => a << b, (a, b) => a << b],
  ['rsh', AluOp.RSH, (a, b) => u64(a) >> b, (a, b) => u32(a) >> b],
  ['arsh', AluOp.ARSH, (a, b) => s64(a) >> b, (a, b) => s32(a) >> b],
];
const isShift = (op: number) => op === AluOp.LSH || op === AluOp.RSH || op === AluOp.ARSH;

/** a op b of every pair; undefined where the domain does not compute it. */
function checkOperation(
  [name, op, wide, narrow]: (typeof OPERATIONS)[number],
  alu32: boolean,
  a: { claim: Claim; numbers: readonly bigint[] },
  b: { claim: Claim; numbers: readonly bigint[] },
): boolean {
  write(A, a.claim);
  write(B, b.claim);
  if (!d.wasm.aluComputable(op, B, alu32 ? 1 : 0)) return false;
  d.wasm.aluCompute(op, A, B, alu32 ? 1 : 0);
  const results: bigint[] = [];
  for (const x of a.numbers) {
    for (const y of b.numbers) {
      results.push(alu32 ? u32(narrow(u32(x), u32(y))) : u64(wide(u64(x), u64(y))));
    }
  }
  mustHold(A, results, () => `${name}${alu32 ? 32 : 64} of ${hex(a.claim)} and ${hex(b.claim)}`);
  return true;
}

/** The numbers that a tnum of `width` bits stands for. */
function tnumNumbers(value: number, mask: number, width: number): bigint[] {
  const numbers: bigint[] = [];
  for (let x = 0; x < 1 << width; x++) if ((x & ~mask) === value) numbers.push(BigInt(x));
  return numbers;
}

function tnumsOf(width: number): { value: number; mask: number }[] {
  const all: { value: number; mask: number }[] = [];
  for (let mask = 0; mask < 1 << width; mask++) {
    for (let value = 0; value < 1 << width; value++) if (!(value & mask)) all.push({ value, mask });
  }
  return all;
}

/** Small sets on both sides of every border: 0, 2^31, 2^32, 2^63. */
const BORDERS = [0n, 2n ** 31n, 2n ** 32n, 2n ** 63n, 5n, -(2n ** 31n)];
const SMALL = BORDERS.flatMap((border) => {
  const sets: bigint[][] = [];
  for (let from = -2; from < 2; from++) {
    for (let to = from; to < 2; to++) {
      sets.push(Array.from({ length: to - from + 1 }, (_, i) => u64(border + BigInt(from + i))));
    }
  }
  for (const { value, mask } of tnumsOf(2)) {
    if (mask) sets.push(tnumNumbers(value, mask, 2).map((x) => u64(border + x)));
  }
  return sets.map((numbers) => ({ numbers, claim: tightest(numbers) }));
});
const SHIFTS = Array.from({ length: 64 }, (_, by) => ({
  numbers: [BigInt(by)],
  claim: tightest([BigInt(by)]),
}));

describe('arithmetic', () => {
  for (const operation of OPERATIONS) {
    test(`${operation[0]} holds every result of small sets around the borders, 64 and 32 bits`, () => {
      let computed = 0;
      for (const a of SMALL) {
        for (const b of isShift(operation[1]) ? SHIFTS : SMALL) {
          for (const alu32 of [false, true]) if (checkOperation(operation, alu32, a, b)) computed++;
        }
      }
      expect(computed).toBeGreaterThanOrEqual(SMALL.length * (isShift(operation[1]) ? 96 : SMALL.length * 2));
    });
  }

  test('a shift by what is not known, or by too much, is not computed', () => {
    for (const [, op] of OPERATIONS.filter(([, op]) => isShift(op))) {
      for (const [numbers, wide, narrow] of [
        [[1n, 2n], 0, 0],
        [[32n], 1, 0],
        [[64n], 0, 0],
      ] as const) {
        write(B, tightest(numbers));
        expect([d.wasm.aluComputable(op, B, 0), d.wasm.aluComputable(op, B, 1)]).toEqual([wide, narrow]);
      }
    }
  });

  test('of tnums of four bits nothing is lost by add, sub, and, or, xor', () => {
    const all = tnumsOf(4).map(({ value, mask }) => {
      const numbers = tnumNumbers(value, mask, 4);
      // The tnum alone: what the ranges would add is left out.
      return { numbers, claim: { ...ANY, value: BigInt(value), mask: BigInt(mask) } };
    });
    for (const [name, op, wide] of OPERATIONS.filter(([, op]) => !isShift(op) && op !== AluOp.MUL)) {
      for (const a of all) {
        for (const b of all) {
          write(A, a.claim);
          write(B, b.claim);
          d.wasm.regSync(A);
          d.wasm.regSync(B);
          d.wasm.aluCompute(op, A, B, 0);
          let ones = 2n ** 64n - 1n;
          let some = 0n;
          for (const x of a.numbers) {
            for (const y of b.numbers) {
              const z = u64(wide(x, y));
              ones &= z;
              some |= z;
            }
          }
          const { value, mask } = read(A);
          if (value !== ones || mask !== (some & ~ones)) {
            throw new Error(`${name} of ${hex(a.claim)} and ${hex(b.claim)}: ${value}/${mask}, not ${ones}`);
          }
        }
      }
    }
  });
});

describe('a range and a tnum together', () => {
  const shifts = [0n, 28n, 29n, 60n];
  test('hold what is in both, and are known when that is one number: all of four bits, at four places', () => {
    for (const shift of shifts) {
      for (const { value, mask } of tnumsOf(4)) {
        const members = tnumNumbers(value, mask, 4);
        for (let low = 0n; low < 16n; low++) {
          for (let high = low; high < 16n; high++) {
            const both = members.filter((x) => low <= x && x <= high).map((x) => x << shift);
            if (both.length === 0) continue;
            const bits = { value: BigInt(value) << shift, mask: BigInt(mask) << shift };
            const claim = { ...ANY, ...bits, umin: low << shift, umax: high << shift };
            write(R, claim);
            d.wasm.regSync(R);
            mustHold(R, both, () => hex(claim));
            if (both.length === 1 && read(R).mask !== 0n) throw new Error(`${hex(claim)} is one number`);
          }
        }
      }
    }
  });
});

describe('tnums of four bits', () => {
  const all = tnumsOf(4).map(({ value, mask }) => {
    const numbers = tnumNumbers(value, mask, 4);
    return { numbers, claim: { ...ANY, value: BigInt(value), mask: BigInt(mask) } };
  });
  test('multiplied hold every product', () => {
    const mul = OPERATIONS[2] as (typeof OPERATIONS)[number];
    for (const a of all) for (const b of all) checkOperation(mul, false, a, b);
  });
  test('shifted lose nothing', () => {
    for (const [name, op, wide] of OPERATIONS.filter(([, op]) => isShift(op))) {
      for (const a of all) {
        for (const by of [0n, 1n, 3n, 60n, 63n]) {
          write(A, a.claim);
          write(B, tightest([by]));
          d.wasm.regSync(A);
          d.wasm.aluCompute(op, A, B, 0);
          const { value, mask } = read(A);
          const want = tightest(a.numbers.map((x) => u64(wide(x, by))));
          if (value !== want.value || mask !== want.mask)
            throw new Error(`${name} of ${hex(a.claim)} by ${by}`);
        }
      }
    }
  });
});

type Set = (typeof SMALL)[number];

/** Operations on one register: name, what is called, what becomes of a number. */
const UNARY: readonly [string, (r: Address) => void, (x: bigint) => bigint][] = [
  ['sync', (r) => d.wasm.regSync(r), (x) => x],
  ['zero extension', zeroExtended(() => {}), u32],
  [
    'negation',
    (r) => {
      d.copyReg(S, r);
      d.known(r, 0);
      d.wasm.aluCompute(AluOp.SUB, r, S, 0);
    },
    (x) => -x,
  ],
  ...[1, 2, 4].map((size): (typeof UNARY)[number] => [
    `truncation to ${size}`,
    (r) => d.wasm.regTruncate(r, size),
    (x) => BigInt.asUintN(size * 8, x),
  ]),
  ...[1, 2, 4].map((size): (typeof UNARY)[number] => [
    `sign extension of ${size}`,
    (r) => d.wasm.regSignExtend(r, size),
    (x) => BigInt.asIntN(size * 8, x),
  ]),
  ...[1, 2].map((size): (typeof UNARY)[number] => [
    `sign extension of ${size} to 32 bits`,
    zeroExtended((r) => d.wasm.regSignExtend32(r, size)),
    (x) => u32(BigInt.asIntN(size * 8, x)),
  ]),
  ...[2, 4, 8].map((size): (typeof UNARY)[number] => [
    `byte swap of ${size}`,
    (r) => {
      d.wasm.regByteSwap(r, size);
      if (size < 8) d.wasm.regTruncate(r, size);
      d.wasm.regSync(r);
    },
    (x) => {
      let swapped = 0n;
      for (let i = 0; i < size; i++) swapped = (swapped << 8n) | ((x >> BigInt(i * 8)) & 255n);
      return swapped;
    },
  ]),
];

/** The way of 32-bit instructions: the upper half is cleared, then the bounds learn from each other. */
function zeroExtended(operation: (r: Address) => void): (r: Address) => void {
  return (r) => {
    operation(r);
    d.wasm.regZeroExtend32(r);
    d.wasm.regSync(r);
  };
}

describe('operations on one register', () => {
  const bytes = [0x7fn, 0x7fffn, 0x80n, 0x8000n, 0xffn, 0x1_0000n, 0x7f_0000_0000n].map((border): Set => {
    const numbers = [border - 1n, border, border + 1n];
    return { numbers, claim: tightest(numbers) };
  });
  test.each(UNARY)('%s holds every result of small sets around the borders', (name, run, of) => {
    for (const { numbers, claim } of [...SMALL, ...bytes]) {
      write(R, claim);
      run(R);
      mustHold(R, numbers.map(of), () => `${name} of ${hex(claim)}`);
    }
  });
});

type Condition = (a: bigint, b: bigint) => boolean;
/** BPF_OP, and the comparison for unsigned and for signed operands. */
const CONDITIONS: readonly [string, number, boolean, Condition][] = [
  ['jeq', JumpOp.JEQ, false, (a, b) => a === b],
  ['jne', JumpOp.JNE, false, (a, b) => a !== b],
  ['jset', JumpOp.JSET, false, (a, b) => (a & b) !== 0n],
  ['jgt', JumpOp.JGT, false, (a, b) => a > b],
  ['jge', JumpOp.JGE, false, (a, b) => a >= b],
  ['jlt', JumpOp.JLT, false, (a, b) => a < b],
  ['jle', JumpOp.JLE, false, (a, b) => a <= b],
  ['jsgt', JumpOp.JSGT, true, (a, b) => a > b],
  ['jsge', JumpOp.JSGE, true, (a, b) => a >= b],
  ['jslt', JumpOp.JSLT, true, (a, b) => a < b],
  ['jsle', JumpOp.JSLE, true, (a, b) => a <= b],
];

function checkBranch(
  [name, op, signed, condition]: (typeof CONDITIONS)[number],
  jmp32: boolean,
  a: Set,
  b: Set,
): void {
  const as = jmp32 ? (signed ? s32 : u32) : signed ? s64 : u64;
  const what = () => `${name}${jmp32 ? 32 : ''} of ${hex(a.claim)} and ${hex(b.claim)}`;
  write(A, a.claim);
  write(B, b.claim);
  const taken = d.wasm.branchTaken(A, B, op, jmp32 ? 1 : 0);
  for (const way of [true, false]) {
    const left: bigint[] = [];
    const right: bigint[] = [];
    for (const x of a.numbers) {
      for (const y of b.numbers) {
        if (condition(as(x), as(y)) !== way) continue;
        left.push(x);
        right.push(y);
      }
    }
    if (left.length === 0) continue;
    if (taken === (way ? 0 : 1)) throw new Error(`${what()}: ${way} is ruled out`);
    if (taken >= 0) continue;
    write(A, a.claim);
    write(B, b.claim);
    d.wasm.branchRefine(A, B, op, jmp32 ? 1 : 0, way ? 1 : 0);
    mustHold(A, left, () => `${way}, left: ${what()}`);
    mustHold(B, right, () => `${way}, right: ${what()}`);
  }
}

describe('branches', () => {
  test.each(CONDITIONS)('%s rules out nothing that may be, and keeps what may be on each way', (...c) => {
    for (const a of SMALL) {
      for (const b of SMALL) {
        checkBranch(c, false, a, b);
        checkBranch(c, true, a, b);
      }
    }
  });

  test('constants are compared for certain', () => {
    const numbers = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 63n, -1n].map(u64);
    for (const [name, op, signed, condition] of CONDITIONS) {
      for (const x of numbers) {
        for (const y of numbers) {
          write(A, tightest([x]));
          write(B, tightest([y]));
          const as = signed ? s64 : u64;
          expect([name, x, y, d.wasm.branchTaken(A, B, op, 0)]).toEqual([
            name,
            x,
            y,
            condition(as(x), as(y)) ? 1 : 0,
          ]);
        }
      }
    }
  });
});

/** Numbers of all sizes, and near the borders. */
const number = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc
    .tuple(
      fc.constantFrom(0n, 2n ** 7n, 2n ** 15n, 2n ** 31n, 2n ** 32n, 2n ** 63n, 2n ** 62n),
      fc.integer({ min: -3, max: 3 }),
    )
    .map(([border, by]) => u64(border + BigInt(by))),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.integer({ min: 0, max: 63 }))
    .map(([x, by]) => x >> BigInt(by)),
);

/** A number and a claim that holds it: bits unknown here and there, each range closed, near, or open. */
const claimed: fc.Arbitrary<Set> = fc
  .record({
    x: number,
    unknown: fc.oneof(
      fc.constant(0n),
      number,
      number.map((m) => u64(~m)),
      fc.constant(2n ** 64n - 1n),
    ),
    ranges: fc.array(fc.option(fc.tuple(number, number), { nil: undefined }), { minLength: 4, maxLength: 4 }),
  })
  .map(({ x, unknown, ranges }) => {
    const claim: Claim = { ...ANY, value: u64(x) & ~unknown, mask: unknown };
    const within = (i: number, as: (x: bigint) => bigint, low: bigint, high: bigint): [bigint, bigint] => {
      const range = ranges[i];
      if (!range) return [low, high];
      const min = as(x) - range[0];
      const max = as(x) + range[1];
      return [min < low ? low : min, max > high ? high : max];
    };
    [claim.umin, claim.umax] = within(0, u64, ANY.umin, ANY.umax);
    [claim.smin, claim.smax] = within(1, s64, ANY.smin, ANY.smax);
    [claim.u32min, claim.u32max] = within(2, u32, ANY.u32min, ANY.u32max);
    [claim.s32min, claim.s32max] = within(3, s32, ANY.s32min, ANY.s32max);
    write(R, claim);
    d.wasm.regSync(R);
    return { numbers: [u64(x)], claim: read(R) };
  });

describe('at full width', () => {
  const runs = { numRuns: 1500 };
  test('what is learned of one bound from the others keeps every number', () => {
    fc.assert(
      fc.property(claimed, ({ numbers, claim }) => {
        expect(holds(claim, numbers[0] as bigint)).toBe(true);
      }),
      runs,
    );
  });
  test('arithmetic holds its result', () => {
    fc.assert(
      fc.property(claimed, claimed, fc.constantFrom(...SHIFTS), (a, b, by) => {
        for (const operation of OPERATIONS) {
          for (const alu32 of [false, true]) {
            checkOperation(operation, alu32, a, isShift(operation[1]) ? by : b);
          }
        }
      }),
      runs,
    );
  });
  test('operations on one register hold their result', () => {
    fc.assert(
      fc.property(claimed, ({ numbers, claim }) => {
        for (const [name, run, of] of UNARY) {
          write(R, claim);
          run(R);
          mustHold(R, numbers.map(of), () => `${name} of ${hex(claim)}`);
        }
      }),
      runs,
    );
  });
  test('branches keep the way that is taken', () => {
    fc.assert(
      fc.property(claimed, claimed, fc.boolean(), (a, b, same) => {
        for (const condition of CONDITIONS) {
          checkBranch(condition, false, a, same ? a : b);
          checkBranch(condition, true, a, same ? a : b);
        }
      }),
      runs,
    );
  });
  test('pointers move by what is added or taken away, in the bounds of 64 bits', () => {
    fc.assert(
      fc.property(claimed, claimed, (a, b) => {
        for (const [name, move, of] of [
          ['plus', d.wasm.pointerAdd, (x: bigint, y: bigint) => x + y],
          ['minus', d.wasm.pointerSub, (x: bigint, y: bigint) => x - y],
        ] as const) {
          write(A, a.claim);
          write(B, b.claim);
          write(R, ANY);
          move(R, A, B);
          const result = u64(of(a.numbers[0] as bigint, b.numbers[0] as bigint));
          const claim = read(R);
          if (!holds(claim, result))
            throw new Error(`${name} of ${hex(a.claim)} and ${hex(b.claim)}: ${hex(claim)}`);
        }
      }),
      runs,
    );
  });
  test('a linked number is the known one plus the difference', () => {
    fc.assert(
      fc.property(claimed, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (a, delta) => {
        write(A, a.claim);
        d.wasm.regShifted(R, A, delta, 0, 0);
        mustHold(R, [u64((a.numbers[0] as bigint) + BigInt(delta))], () => `${hex(a.claim)} plus ${delta}`);
      }),
      runs,
    );
  });
});
