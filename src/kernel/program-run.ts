// What a run of a program is given of the machine around it.

import type { RunFault } from '../bpf/bpf.js';
import type { RunnableProgram } from './engine.js';
import type { KernelMachine } from './machine.js';
import type { Fault } from './memory/fault.js';
import type { KernelProgram } from './program.js';
import type { ProgramRun } from './programs/run.js';

/** `program` as it runs on this machine, by `runnable`. */
export function runOn(
  machine: KernelMachine,
  program: KernelProgram,
  runnable: RunnableProgram = program.parts.runnable,
): ProgramRun {
  const { definition, expectedAttachType, contextSize } = program.parts;
  return {
    memory: machine.memory,
    arena: machine.arena,
    program: runnable,
    definition,
    maps: program.parts.maps,
    expectedAttachType,
    contextSize,
    cpus: machine.cpus,
    budget: machine.budget,
    now: () => performance.now() * 1e6,
    withClock: (clock, body) => machine.withClock(clock, body),
    hasDevice: (ifindex) => machine.devices.byIndex(ifindex) !== undefined,
    // The fault may be in a program that was tail-called.
    explain: (fault: Fault): RunFault => (machine.programs.get(fault.program) ?? program).explain(fault),
  };
}
