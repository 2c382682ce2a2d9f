// Bounds of numbers: what arithmetic and comparisons say of them, all as unsigned 64-bit integers. A bound that is not
// an exact JavaScript number says nothing: then the least is 0 and the most is infinite.

import type { AluName, ConditionName } from '../../isa/table.js';

/** At least `min`, at most `max`. */
export interface Interval {
  readonly min: number;
  readonly max: number;
}

export const WORD_MAX = 0xffffffff;
const INT_MAX = 0x7fffffff;
const ANY: Interval = { min: 0, max: Number.POSITIVE_INFINITY };
const WORD: Interval = { min: 0, max: WORD_MAX };

const isExact = (n: number): boolean => n <= Number.MAX_SAFE_INTEGER;
const upTo = (max: number): Interval => ({ min: 0, max });
const bounded = (min: number, max: number): Interval => (isExact(max) ? { min, max } : ANY);

/** What an immediate operand is: sign-extended to 64 bits. */
export const immediate = (imm: number): Interval => (imm >= 0 ? { min: imm, max: imm } : ANY);

/** Both. */
export const hull = (a: Interval, b: Interval): Interval => ({
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
});

const LIMITS = [0xff, 0xffff, WORD_MAX, Number.POSITIVE_INFINITY];

/** `to`, where bounds beyond those of `from` go on to the next of a few: a growing number is soon at the last one. */
export const widen = (from: Interval, to: Interval): Interval => ({
  min: to.min < from.min ? 0 : to.min,
  max: to.max > from.max ? (LIMITS.find((limit) => to.max <= limit) ?? to.max) : to.max,
});

/** The lower half of a number. */
const lowerHalf = (a: Interval): Interval => (a.max <= WORD_MAX ? a : WORD);

/** `a + constant` where the constant may be negative. */
function shifted(a: Interval, by: number): Interval {
  return a.min + by >= 0 ? bounded(a.min + by, a.max + by) : ANY;
}

/** The smallest number of the form 2^n - 1 that is not below `max`. */
function ones(max: number): number {
  if (!isExact(max)) return max;
  let power = 1;
  while (power - 1 < max) power *= 2;
  return power - 1;
}

/**
 * The result of `a op b`, `bits` wide. `constant` is b as a signed number, when it is always the same.
 * Divisions by zero give 0, remainders then the dividend (RFC 9669, section 4.1).
 */
export function compute(
  op: AluName,
  bits: 32 | 64,
  a: Interval,
  b: Interval,
  constant: number | undefined,
): Interval {
  if (bits === 64) return compute64(op, a, b, constant);
  const isShift = op === 'lsh' || op === 'rsh';
  const half = constant === undefined ? undefined : isShift ? constant & 31 : constant | 0;
  const operand = half === undefined ? lowerHalf(b) : immediate(half >>> 0);
  return lowerHalf(compute64(op, lowerHalf(a), operand, half));
}

function compute64(op: AluName, a: Interval, b: Interval, constant: number | undefined): Interval {
  switch (op) {
    case 'mov':
      return b;
    case 'add':
      return constant === undefined ? bounded(a.min + b.min, a.max + b.max) : shifted(a, constant);
    case 'sub':
      if (constant !== undefined) return shifted(a, -constant);
      return a.min >= b.max ? { min: a.min - b.max, max: a.max - b.min } : ANY;
    case 'mul':
      return bounded(a.min * b.min, a.max * b.max);
    case 'and':
      return bounded(0, Math.min(a.max, b.max));
    case 'or':
    case 'xor':
      return bounded(op === 'or' ? Math.max(a.min, b.min) : 0, ones(Math.max(a.max, b.max)));
    case 'div':
      return constant !== undefined && constant > 0
        ? bounded(Math.floor(a.min / constant), Math.floor(a.max / constant))
        : upTo(a.max);
    case 'mod':
      return constant !== undefined && constant > 0 ? upTo(Math.min(a.max, constant - 1)) : upTo(a.max);
    case 'lsh': {
      if (constant === undefined) return ANY;
      const by = 2 ** (constant & 63);
      return bounded(a.min * by, a.max * by);
    }
    case 'rsh': {
      if (constant === undefined) return upTo(a.max);
      const by = 2 ** (constant & 63);
      return bounded(Math.floor(a.min / by), Math.floor(Math.min(a.max, 2 ** 64) / by));
    }
    default:
      return ANY;
  }
}

const UNSIGNED: Partial<Record<ConditionName, ConditionName>> = {
  sgt: 'gt',
  sge: 'ge',
  slt: 'lt',
  sle: 'le',
};

/** What is known of `a` when `a CONDITION b` holds, `bits` wide. */
export function narrow(a: Interval, condition: ConditionName, bits: 32 | 64, b: Interval): Interval {
  // The lower halves that are compared are the numbers themselves, and so are signed ones without a sign.
  if (bits === 32 && (a.max > WORD_MAX || b.max > WORD_MAX)) return a;
  const unsigned = UNSIGNED[condition];
  if (unsigned && (a.max > INT_MAX || b.max > INT_MAX)) return a;
  let { min, max } = a;
  switch (unsigned ?? condition) {
    case 'eq':
      min = Math.max(min, b.min);
      max = Math.min(max, b.max);
      break;
    case 'ne':
      if (b.min === b.max && min === b.min) min++;
      if (b.min === b.max && max === b.min) max--;
      break;
    case 'lt':
      max = Math.min(max, b.max - 1);
      break;
    case 'le':
      max = Math.min(max, b.max);
      break;
    case 'gt':
      min = Math.max(min, b.min + 1);
      break;
    case 'ge':
      min = Math.max(min, b.min);
      break;
  }
  // A way that cannot be taken tells nothing.
  return min <= max ? { min, max } : a;
}
