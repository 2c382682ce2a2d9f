// What a run of a program needs of the kernel around it.

import type { RunFault } from '../../bpf/bpf.js';
import type { AttachType } from '../../bpf/types.js';
import type { RunnableProgram } from '../engine.js';
import type { KernelMap } from '../maps/index.js';
import type { Fault } from '../memory/fault.js';
import type { KernelMemory } from '../memory/memory.js';
import type { ProgramTypeDefinition } from './definition.js';
import type { FrameArena } from './frames.js';

export interface ProgramRun {
  readonly memory: KernelMemory;
  readonly arena: FrameArena;
  readonly program: RunnableProgram;
  readonly definition: ProgramTypeDefinition;
  /** Where the program said it would be attached; 0 when it did not say. */
  readonly expectedAttachType: AttachType | 0;
  /** The maps that the program refers to. */
  readonly maps: readonly KernelMap[];
  /** Whether there is a network device of this number. */
  hasDevice(ifindex: number): boolean;
  /** CPUs of the machine. */
  readonly cpus: number;
  /** How many bytes of context the program looks at. */
  readonly contextSize: number;
  /** Instructions that one run may take, where the engine counts them (EmulatedKernelOptions). */
  readonly budget: number;
  /** Nanoseconds of the host's clock. */
  now(): number;
  /** Runs `body` while programs see `time` (of the frame they run on) as the time. */
  withClock<T>(time: ((frame: number) => number) | undefined, body: () => T): T;
  explain(fault: Fault): RunFault;
}
