// What a test may watch of a verification: the state before each instruction of every path.

import type { Verifier } from './verifier.js';

export interface Observer {
  /** Before the instruction at `v.insn`, in the state `v.state`. What it throws ends the verification. */
  instruction(v: Verifier): void;
  /** No path ends because an earlier one covers it: what is shown then holds of every run, not only of the numbers that matter. */
  readonly exhaustive: boolean;
}

/** The observer of all verifications; only tests have one. */
let current: Observer | undefined;

export const observer = (): Observer | undefined => current;
export const observe = (wanted: Observer | undefined): void => {
  current = wanted;
};
