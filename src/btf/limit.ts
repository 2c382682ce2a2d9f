// A bound on what is made from BTF. Types may repeat each other without end (an anonymous struct that holds
// another twice, and so on), so that a few hundred bytes can ask for more text or time than any machine has.

import { SkepError } from '../base/error.js';
import type { Btf } from './btf.js';

/** Counts down from what a BTF of this size may fairly ask for: 4 million and 64 for each of its bytes. */
export class Allowance {
  readonly #what: string;
  #left: number;

  /** `what` is made: "the C text". */
  constructor(btf: Btf, what: string) {
    this.#what = what;
    this.#left = (1 << 22) + 64 * (btf.bytes.length + (btf.base?.bytes.length ?? 0));
  }

  /** Throws a SkepError when nothing is left. */
  spend(amount: number): void {
    this.#left -= amount;
    if (this.#left >= 0) return;
    throw new SkepError(`${this.#what} would be out of all proportion to the types`, {
      where: 'BTF',
      hint: 'they repeat anonymous definitions, padding or names without end, as no compiler does',
    });
  }
}
