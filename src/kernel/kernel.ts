// The emulated kernel: bpf(2) without Linux. Objects behind descriptors, with ids and reference counts; programs
// checked, compiled and run; everything that a program touches in one linear memory.

import type { Machine } from '../bpf/machine.js';
import { decode } from '../isa/decode.js';
import { KernelMachine } from './machine.js';
import { MachineCommands } from './net/commands.js';
import type { EmulatedKernelOptions } from './options.js';
import { KernelProcess } from './process.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { xdp } from './programs/xdp.js';
import { RAW_PROLOGUE, runRaw } from './raw.js';
import { resolve } from './resolve.js';

export type { EmulatedKernelOptions, Safety } from './options.js';
export type { KernelProcess } from './process.js';

export interface ProcessOptions {
  name: string;
  pid: number;
  /** 0 (unless told otherwise) may do everything. */
  uid?: number;
}

/**
 * A kernel of its own in this process: its maps and programs are nobody else's and end with it. It has the map types of
 * `kernel/maps`, the helpers of `kernel/helpers`, the kernel functions of `kernel/kfuncs` and all program types; anything else is refused with Linux's errno.
 * It is its own first process; `process` makes further ones, with descriptors of their own over the same objects.
 */
export class EmulatedKernel extends KernelProcess {
  /** What is around the kernel: its network devices. */
  readonly surroundings: Machine = new MachineCommands(this.machine);

  constructor(options: EmulatedKernelOptions = {}) {
    super(new KernelMachine(options), { name: 'skep', pid: 1, uid: 0 });
  }

  process({ name, pid, uid = 0 }: ProcessOptions): KernelProcess {
    return new KernelProcess(this.machine, { name, pid, uid });
  }

  /**
   * Runs bare instructions over `data` with r1 = its address and r2 = its length in bytes: what the conformance suite
   * of the instruction set asks for. No program type's rules hold. The result is r0, unsigned 64 bits; a fault
   * throws a SkepError.
   */
  async runRaw(instructions: Uint8Array, data: Uint8Array): Promise<bigint> {
    const { memory, installer, arena, budget, safety } = this.machine;
    const insns = [...RAW_PROLOGUE, ...decode(instructions)];
    const definition: ProgramTypeDefinition = { ...xdp, packetLoads: true };
    const resolved = resolve(insns, memory, () => undefined);
    const installed = await installer.install(
      resolved,
      definition,
      true,
      safety !== 'trust',
      this.machine.blinds(this.task),
    );
    try {
      return runRaw(memory, arena, installed.runnable, data, budget);
    } finally {
      installer.uninstall(installed);
    }
  }
}
