// An engine runs loaded programs. There are two, with one meaning: the JIT and the interpreter.

import type { Fault } from './memory/fault.js';

export type EngineName = 'jit' | 'interpreter';

/** A program that an engine can run. */
export interface RunnableProgram {
  /** Bytes of code that the engine made; 0 when it interprets. */
  readonly codeSize: number;
  /**
   * Runs it on frames `from` to `count` of an array of XdpFrames, `stride` bytes apart (0: always the same frame).
   * Returns how many ended, and the fault when one ended the next.
   */
  run(frames: number, from: number, count: number, stride: number, budget: number): RunOutcome;
  /** Says that `runs` more runs are coming: a hot program gets better code first. */
  prepare(runs: number): Promise<void>;
  /** Frees what the engine holds for it. */
  dispose(): void;
}

export interface RunOutcome {
  /** Index of the first frame that was not completed; `count` when all were. */
  readonly index: number;
  readonly fault: Fault | undefined;
}
