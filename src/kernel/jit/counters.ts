// Loop counters at work in the analysis: what induction.ts found in the code, with the first values that the analysis
// brings to it, becomes bounds of registers at a loop's header and the number of its rounds.

import type { Induction, Loop } from './induction.js';
import { join, MAX_SLACK, move, type Provenance, type State, same, within } from './provenance.js';

/** How many rounds a loop takes. */
export interface Rounds {
  /** At most so many are begun. */
  readonly most: number;
  /** It is known before the loop begins that it will be exactly so many. */
  readonly exact: boolean;
  /** What counts them. */
  readonly counter: Induction;
}

/** The loop counters of a function while it is analysed, and the registers that move along with them. */
export class Counters {
  readonly #loops: ReadonlyMap<number, Loop>;
  /** What the ways into a loop bring in a register, by header and register. */
  readonly #first = new Map<string, Provenance>();
  /** What was taken for a counter, or for a register that moves along, and is none. */
  readonly #none = new Set<string>();
  readonly #rounds = new Map<number, Rounds>();

  constructor(loops: ReadonlyMap<number, Loop>) {
    this.#loops = loops;
  }

  /**
   * Puts what is known of the counters of the loop at `header` into a state that arrives there from block `from`
   * (undefined: from outside the function). True when something turned out to be none.
   */
  enter(header: number, state: State, from: number | undefined, known: State | undefined): boolean {
    const loop = this.#loops.get(header);
    if (!loop) return false;
    if (from !== undefined && loop.members.has(from)) return this.#comeBack(loop, state, known);
    for (const { register } of loop.strides) {
      const key = keyOf(header, register);
      const arriving = state.regs[register];
      this.#first.set(key, this.#first.has(key) ? join(this.#first.get(key), arriving) : arriving);
    }
    const changed = this.#count(loop, state);
    return this.#moveAlong(loop, state) || changed;
  }

  /** Counters: from their first value to the one before the test ends the loop. */
  #count(loop: Loop, state: State): boolean {
    let changed = false;
    this.#rounds.delete(loop.header);
    for (const counter of loop.inductions) {
      const { register } = counter;
      const key = keyOf(loop.header, register);
      if (this.#none.has(key)) continue;
      const first = this.#first.get(key);
      const course = first?.kind === 'number' ? counter.course(first) : undefined;
      if (first?.kind !== 'number' || !course) {
        this.#none.add(key);
        changed = true;
        continue;
      }
      state.regs[register] = within(course);
      const known = this.#rounds.get(loop.header);
      if (known && known.most <= course.rounds) continue;
      const exact = counter.decides && first.min === first.max;
      this.#rounds.set(loop.header, { most: course.rounds, exact, counter });
    }
    return changed;
  }

  /** Pointers that move by a constant in each of a known number of rounds. */
  #moveAlong(loop: Loop, state: State): boolean {
    let changed = false;
    const rounds = this.#rounds.get(loop.header)?.most;
    for (const { register, step } of loop.strides) {
      const key = keyOf(loop.header, register);
      const first = this.#first.get(key);
      if (this.#none.has(key) || this.#isCounter(loop, register)) continue;
      const along = rounds === undefined ? undefined : spread(first, (rounds - 1) * step);
      if (along) state.regs[register] = along;
      else {
        this.#none.add(key);
        changed = true;
      }
    }
    return changed;
  }

  #isCounter(loop: Loop, register: number): boolean {
    return loop.inductions.some((induction) => induction.register === register);
  }

  /** From a round to the next: what the header says stays true, if the register is still what it was. */
  #comeBack(loop: Loop, state: State, known: State | undefined): boolean {
    let changed = false;
    for (const { register, step } of loop.strides) {
      const key = keyOf(loop.header, register);
      if (this.#none.has(key) || !known) continue;
      const before = known.regs[register];
      if (!this.#isCounter(loop, register) && !sameBase(state.regs[register], move(before, step))) {
        this.#none.add(key);
        changed = true;
      } else state.regs[register] = before;
    }
    return changed;
  }

  /** Rounds of the loops that are known to end, by header. */
  get rounds(): ReadonlyMap<number, Rounds> {
    return this.#rounds;
  }
}

const keyOf = (header: number, register: number): string => `${header}:${register}`;

/** `pointer` and up to `distance` bytes further, either way; undefined when its place is not known. */
function spread(pointer: Provenance, distance: number): Provenance {
  if (pointer?.kind !== 'packet' && pointer?.kind !== 'stack' && pointer?.kind !== 'value') return undefined;
  if (pointer.kind === 'packet' && (pointer.id === undefined || pointer.nullable)) return undefined;
  if (pointer.offset === undefined) return undefined;
  const offset = pointer.offset + Math.min(distance, 0);
  const slack = pointer.slack + Math.abs(distance);
  // A base is not before the packet; what is before a base may be.
  if (slack > MAX_SLACK || (pointer.kind === 'packet' && offset < 0)) return undefined;
  return { ...pointer, offset, slack };
}

/** Whether two pointers point to the same place from the same base, whatever is known of what lies around it. */
function sameBase(a: Provenance, b: Provenance): boolean {
  if (a?.kind === 'packet' && b?.kind === 'packet') return same(a, { ...b, range: a.range });
  return same(a, b);
}
