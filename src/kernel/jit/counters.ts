// Loop counters at work in the analysis: what induction.ts found in the code, with the first values that the analysis
// brings to it, becomes bounds of registers at a loop's header and the number of its rounds.

import type { Loop } from './induction.js';
import { join, MAX_SLACK, move, number, numberOf, type Provenance, type State, same } from './provenance.js';

/** The loop counters of a function while it is analysed, and the registers that move along with them. */
export class Counters {
  readonly #loops: ReadonlyMap<number, Loop>;
  /** What the ways into a loop bring in a register, by header and register. */
  readonly #first = new Map<string, Provenance>();
  /** What was taken for a counter, or for a register that moves along, and is none. */
  readonly #none = new Set<string>();
  /** How many rounds a loop takes: at most, and exactly at most where nothing else ends it. */
  readonly #rounds = new Map<number, { most: number; decided: number | undefined }>();

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
    let most = Number.POSITIVE_INFINITY;
    let decided: number | undefined;
    for (const { register, step, maximum, decides } of loop.inductions) {
      const key = keyOf(loop.header, register);
      if (this.#none.has(key)) continue;
      const first = numberOf(this.#first.get(key));
      const last = first === undefined || first < 0 ? undefined : maximum(first);
      if (first === undefined || last === undefined) {
        this.#none.add(key);
        changed = true;
        continue;
      }
      state.regs[register] = number(last);
      const rounds = Math.floor((last - first) / step) + 1;
      most = Math.min(most, rounds);
      if (decides) decided = rounds;
    }
    if (most === Number.POSITIVE_INFINITY) this.#rounds.delete(loop.header);
    else this.#rounds.set(loop.header, { most, decided });
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

  /** Rounds of the loops that only their counters end, by header. */
  rounds(): Map<number, number> {
    const found = new Map<number, number>();
    for (const [header, { decided }] of this.#rounds) if (decided !== undefined) found.set(header, decided);
    return found;
  }
}

const keyOf = (header: number, register: number): string => `${header}:${register}`;

/** `pointer` and up to `distance` bytes further; undefined when its place is not known. */
function spread(pointer: Provenance, distance: number): Provenance {
  if (pointer?.kind !== 'packet' && pointer?.kind !== 'stack' && pointer?.kind !== 'value') return undefined;
  if (pointer.kind === 'packet' && (pointer.id === undefined || pointer.nullable)) return undefined;
  const slack = pointer.slack + distance;
  return pointer.offset === undefined || slack > MAX_SLACK ? undefined : { ...pointer, slack };
}

/** Whether two pointers point to the same place from the same base, whatever is known of what lies around it. */
function sameBase(a: Provenance, b: Provenance): boolean {
  if (a?.kind === 'packet' && b?.kind === 'packet') return same(a, { ...b, range: a.range });
  return same(a, b);
}
