// What can be known of a register without running the program: a number and its bounds, or a pointer, where it comes
// from and how far into it it points. The values form a lattice: `join` gives what holds when either of two does,
// and what is not known is `undefined`.

import type { AluName } from '../../isa/table.js';
import type { MapConstant } from './code.js';
import { compute, hull, type Interval, immediate, WORD_MAX } from './interval.js';

export type Provenance =
  | undefined
  /** Not a pointer: its bounds, and `value` (sign-extended) when it is always the same. */
  | ({ readonly kind: 'number'; readonly value: number | undefined } & Interval)
  | { readonly kind: 'ctx'; readonly offset: number }
  /** This function's frame; the place is from r10. */
  | ({ readonly kind: 'stack' } & Place)
  /**
   * A place from base `id` (the slot that made it; undefined when not known). The base is not before the packet, and
   * `range` bytes from it are known to be inside. A nullable one may also be 0.
   */
  | ({
      readonly kind: 'packet';
      readonly id: number | undefined;
      readonly range: number;
      readonly nullable: boolean;
    } & Place)
  /** The end of the packet. */
  | { readonly kind: 'packet-end' }
  | { readonly kind: 'map'; readonly map: MapConstant }
  /** Address in a map's first value, known when the program is loaded. */
  | ({ readonly kind: 'value'; readonly map: MapConstant } & Place)
  /** What the lookup at slot `site` found. A mixed one may be 0 even when the lookup did find something. */
  | ({
      readonly kind: 'element';
      readonly map: MapConstant;
      readonly site: number;
      readonly nonNull: boolean;
      readonly mixed: boolean;
    } & Place);

/** `offset` to `offset + slack` bytes from a base; anywhere when the offset is undefined. */
interface Place {
  readonly offset: number | undefined;
  readonly slack: number;
}

export const ANYWHERE: Place = { offset: undefined, slack: 0 };
const samePlace = (a: Place, b: Place): boolean => a.offset === b.offset && a.slack === b.slack;
const joinPlaces = (a: Place, b: Place): Place =>
  samePlace(a, b) ? { offset: a.offset, slack: a.slack } : ANYWHERE;

/** A pointer into the packet of which nothing else is known. */
export const somewhereInPacket: Provenance = {
  kind: 'packet',
  id: undefined,
  range: 0,
  nullable: true,
  ...ANYWHERE,
};

type Numeric = Extract<Provenance, { kind: 'number' }>;

export const within = ({ min, max }: Interval): Numeric => ({ kind: 'number', value: undefined, min, max });
export const upTo = (max: number): Numeric => within({ min: 0, max });
export const constant = (value: number): Numeric => ({ kind: 'number', value, ...immediate(value) });
export const anyNumber = upTo(Number.POSITIVE_INFINITY);
export const anyWord = upTo(WORD_MAX);

export const same = (a: Provenance, b: Provenance): boolean => {
  if (a === b) return true;
  if (!a || !b || a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'number': {
      const other = b as typeof a;
      return a.value === other.value && a.min === other.min && a.max === other.max;
    }
    case 'ctx':
      return a.offset === (b as typeof a).offset;
    case 'stack':
      return samePlace(a, b as typeof a);
    case 'packet': {
      const other = b as typeof a;
      return (
        a.id === other.id && samePlace(a, other) && a.range === other.range && a.nullable === other.nullable
      );
    }
    case 'packet-end':
      return true;
    case 'map':
      return a.map === (b as typeof a).map;
    case 'value':
      return a.map === (b as typeof a).map && samePlace(a, b as typeof a);
    case 'element': {
      const other = b as typeof a;
      return (
        a.map === other.map &&
        a.site === other.site &&
        samePlace(a, other) &&
        a.nonNull === other.nonNull &&
        a.mixed === other.mixed
      );
    }
  }
};

/** What holds when either of the two does. */
export function join(a: Provenance, b: Provenance): Provenance {
  if (same(a, b)) return a;
  if (!a || !b) return undefined;
  if (a.kind === 'number' && b.kind === 'number') {
    return { ...within(hull(a, b)), value: a.value === b.value ? a.value : undefined };
  }
  if (a.kind === 'packet' && b.kind === 'packet' && a.id === b.id && samePlace(a, b)) {
    return { ...a, range: Math.min(a.range, b.range), nullable: a.nullable || b.nullable };
  }
  const orNull = (p: Provenance, q: Provenance): Provenance => {
    if (q?.kind !== 'number' || q.value !== 0) return undefined;
    if (p?.kind === 'packet') return { ...p, nullable: true };
    if (p?.kind === 'element' && p.offset === 0 && p.slack === 0)
      return { ...p, nonNull: false, mixed: true };
    return undefined;
  };
  const nullable = orNull(a, b) ?? orNull(b, a);
  if (nullable) return nullable;
  // A number where a packet pointer is wanted is never inside the packet, so the check of the latter is right for both.
  const inPacket = (p: Provenance) =>
    p?.kind === 'packet' || p?.kind === 'packet-end' || p?.kind === 'number';
  if (inPacket(a) && inPacket(b)) return somewhereInPacket;
  if (a.kind === 'stack' && b.kind === 'stack') return { ...a, ...joinPlaces(a, b) };
  if (a.kind === 'value' && b.kind === 'value' && a.map === b.map) return { ...a, ...joinPlaces(a, b) };
  if (a.kind === 'element' && b.kind === 'element' && a.map === b.map && a.site === b.site) {
    const [nonNull, mixed] = [a.nonNull && b.nonNull, a.mixed || b.mixed];
    return { ...a, ...joinPlaces(a, b), nonNull, mixed };
  }
  return undefined;
}

/** `pointer + distance`, a constant. */
export function move(pointer: Provenance, distance: number): Provenance {
  if (!pointer) return undefined;
  const moved = (offset: number | undefined) => {
    const to = offset === undefined ? undefined : offset + distance;
    return to !== undefined && Math.abs(to) < 2 ** 30 ? to : undefined;
  };
  switch (pointer.kind) {
    case 'ctx': {
      const offset = moved(pointer.offset);
      return offset === undefined ? undefined : { kind: 'ctx', offset };
    }
    case 'packet':
      return pointer.nullable ? somewhereInPacket : { ...pointer, offset: moved(pointer.offset) };
    case 'packet-end':
      return somewhereInPacket;
    case 'number':
    case 'map':
      return undefined;
    default:
      return { ...pointer, offset: moved(pointer.offset) };
  }
}

export const numberOf = (p: Provenance): number | undefined => (p?.kind === 'number' ? p.value : undefined);
/** The bounds of what is, or may be, a number. */
export const boundsOf = (p: Provenance): Interval => (p?.kind === 'number' ? p : anyNumber);
export const isPointer = (p: Provenance): boolean => p !== undefined && p.kind !== 'number';

/** Constants beyond this are not followed, so that none is lost to rounding. */
const LARGEST = 2 ** 52;

/** The result of arithmetic on numbers, as far as its bounds are of use. */
export function arithmetic(op: AluName, bits: 32 | 64, a: Provenance, b: Provenance): Provenance {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (bits === 32 && op === 'mov' && y !== undefined) return constant(y >>> 0);
  if (bits === 64 && (op === 'add' || op === 'sub') && x !== undefined && y !== undefined) {
    const result = op === 'add' ? x + y : x - y;
    if (Math.abs(result) < LARGEST) return constant(result);
  }
  return within(compute(op, bits, boundsOf(a), boundsOf(b), y));
}

/** Distances up to this are worth following; larger ones leave every object. */
export const MAX_SLACK = 2 ** 20;

/** What the frame holds at a known place. */
export interface Kept {
  /** Bytes: 4 or 8. */
  readonly size: number;
  readonly value: Provenance;
  /** The slot of the store that put it there; undefined when it may be one of several. */
  readonly by: number | undefined;
}

/** Registers r0 to r10, and what the frame is known to hold, by offset from r10. */
export interface State {
  readonly regs: Provenance[];
  readonly frame: Map<number, Kept>;
}

/** Changes everything that is known in `state` by `to`. */
export function rewrite(state: State, to: (p: Provenance) => Provenance): void {
  for (let r = 0; r <= 9; r++) state.regs[r] = to(state.regs[r]);
  for (const [offset, kept] of state.frame) state.frame.set(offset, { ...kept, value: to(kept.value) });
}
