// The interpreter as an engine.

import type { RunnableProgram, RunOutcome } from '../engine.js';
import { catchFault } from '../memory/fault.js';
import { type KernelMemory, layout } from '../memory/memory.js';

export class InterpretedProgram implements RunnableProgram {
  readonly codeSize = 0;
  readonly #memory: KernelMemory;
  readonly #cpu: number;
  readonly #program: number;

  /** `cpu` and `program` are addresses of a Cpu and a Program. */
  constructor(memory: KernelMemory, cpu: number, program: number) {
    this.#memory = memory;
    this.#cpu = cpu;
    this.#program = program;
  }

  run(frames: number, from: number, count: number, stride: number, budget: number): RunOutcome {
    const { runtime } = this.#memory;
    const interpretFrames = runtime.interpret_frames as (...args: number[]) => void;
    this.#memory.setU32(this.#cpu + layout.Cpu_frameIndex, from);
    const fault = catchFault(this.#memory, this.#cpu, () => {
      interpretFrames(this.#cpu, this.#program, frames, count, stride, budget);
    });
    return { index: this.#memory.u32(this.#cpu + layout.Cpu_frameIndex), fault };
  }

  async prepare(): Promise<void> {}

  dispose(): void {}
}
