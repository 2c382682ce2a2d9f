// What the analysis knows of the frame's contents: which store put what where. A load of it is then known to find the
// same, and needs not read memory.

import { layout } from '../memory/memory.js';
import type { MapConstant } from './code.js';
import { WORD_MAX } from './interval.js';
import {
  anyWord,
  constant,
  join,
  type Kept,
  numberOf,
  type Provenance,
  type State,
  same,
} from './provenance.js';

/** Forgets what any write to the frame's [offset, offset + size) could have changed. */
function forget(state: State, offset: number, size: number): void {
  for (const [at, kept] of state.frame) {
    if (at < offset + size && offset < at + kept.size) state.frame.delete(at);
  }
}

/** The lower half of a value. */
function lowerHalf(value: Provenance): Provenance {
  if (value?.kind !== 'number') return anyWord;
  const known = numberOf(value);
  if (known !== undefined) return constant(known >>> 0);
  return value.max <= WORD_MAX ? value : anyWord;
}

/** A write of `size` bytes through `base`: `value`, if that is known, by the store at `slot`, if it is a plain one. */
export function write(
  state: State,
  base: Provenance,
  displacement: number,
  size: number,
  slot: number | undefined,
  value: Provenance,
): void {
  if (base?.kind !== 'stack' || base.offset === undefined) {
    if (!missesStack(base, displacement, size)) state.frame.clear();
    return;
  }
  const offset = base.offset + displacement;
  forget(state, offset, size + base.slack);
  if (slot === undefined || base.slack > 0 || (size !== 4 && size !== 8)) return;
  state.frame.set(offset, { size, value: size === 8 ? value : lowerHalf(value), by: slot });
}

/** What is kept in the `size` bytes at `base + displacement`. */
export function keptAt(state: State, base: Provenance, displacement: number, size: number): Kept | undefined {
  if (base?.kind !== 'stack' || base.offset === undefined || base.slack > 0) return undefined;
  const kept = state.frame.get(base.offset + displacement);
  return kept?.size === size ? kept : undefined;
}

/** Whether lookups in the map are inlined, and need their key as a number only. */
export const isArray = (map: MapConstant | undefined): boolean =>
  map?.kind === 'array' || map?.kind === 'percpu-array';

/** The bytes at `base + displacement`, from r10, when they are known to lie in the frame and where; up to `to`. */
export function stackPlace(
  base: Provenance,
  displacement: number,
  size: number,
): { from: number; to: number } | undefined {
  if (base?.kind !== 'stack' || base.offset === undefined || base.slack > 0) return undefined;
  const from = base.offset + displacement;
  return from >= -layout.STACK_FRAME && from + size <= 0 ? { from, to: from + size } : undefined;
}

/** What holds of a place when either of two does; undefined when that is nothing. */
export function joinKept(a: Kept, b: Kept | undefined): Kept | undefined {
  if (a.size !== b?.size) return undefined;
  if (a.by === b.by && same(a.value, b.value)) return a;
  const value = join(a.value, b.value);
  const by = a.by === b.by ? a.by : undefined;
  return value === undefined && by === undefined ? undefined : { size: a.size, value, by };
}

/**
 * Whether a write through `base` that is not ended by a fault cannot have changed the stack. Pointer arithmetic leads
 * from every object to every other one; only what is proven to stay, and a packet pointer of which the base is known,
 * does not: stack addresses have an upper half, and it is too far away from there.
 */
export function missesStack(base: Provenance, displacement: number, size: number): boolean {
  switch (base?.kind) {
    case 'packet':
      return base.id !== undefined && base.offset !== undefined;
    case 'packet-end':
      return true;
    case 'value':
    case 'element': {
      if (base.offset === undefined) return false;
      const at = base.offset + displacement;
      return at >= 0 && at + base.slack + size <= base.map.valueSize;
    }
    default:
      return false;
  }
}
