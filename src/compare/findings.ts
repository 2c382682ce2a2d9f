// Differences as they are found: those that the caller expects apart, those beyond the limit only counted.

import type { Comparison, Difference, Expected } from './comparison.js';

/** Whether a difference is of the kind that `expected` names; bytes of map values are the reader's business. */
function isExpected(expected: Expected, difference: Difference): boolean {
  if (expected.what === 'map') {
    const ofMap = difference.what === 'map' || difference.what === 'record';
    return ofMap && expected.bytes === undefined && expected.map === difference.map;
  }
  if (expected.what !== difference.what) return false;
  if (expected.what === 'variable') {
    return difference.what === 'variable' && expected.variable === difference.variable;
  }
  return true;
}

export class Findings {
  readonly differences: Difference[] = [];
  total = 0;
  readonly #limit: number;
  readonly #expected: { expected: Expected; count: number; first?: Difference }[];

  constructor(limit: number, expected: readonly Expected[]) {
    this.#limit = limit;
    this.#expected = expected.map((one) => ({ expected: one, count: 0 }));
  }

  add(difference: Difference): void {
    const known = this.#expected.find(({ expected }) => isExpected(expected, difference));
    if (known !== undefined) {
      known.count++;
      known.first ??= difference;
      return;
    }
    this.total++;
    if (this.differences.length < this.#limit) this.differences.push(difference);
  }

  /** The bytes of a map's values that may differ. */
  freeBytes(map: string): (readonly [from: number, to: number])[] {
    return this.#expected.flatMap(({ expected }) =>
      expected.what === 'map' && expected.map === map && expected.bytes ? [expected.bytes] : [],
    );
  }

  /** A value differed, but only in bytes that may. */
  addFree(map: string, difference: Difference): void {
    for (const one of this.#expected) {
      if (one.expected.what !== 'map' || one.expected.map !== map || !one.expected.bytes) continue;
      one.count++;
      one.first ??= difference;
      return;
    }
  }

  /** A difference whose reason is known without the caller: it is counted with that reason. */
  addKnown(expected: Expected, difference: Difference): void {
    let known = this.#expected.find((one) => one.expected.reason === expected.reason);
    if (known === undefined) {
      known = { expected, count: 0, first: difference };
      this.#expected.push(known);
    }
    known.count++;
  }

  get expected(): Comparison['expected'] {
    return this.#expected;
  }
}
