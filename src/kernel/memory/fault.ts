// Why a run ended early: what the runtime noted on the CPU before it trapped (runtime/check.ts).

import { type KernelMemory, layout } from './memory.js';

export interface Fault {
  /** FAULT_* of the layout. */
  readonly kind: number;
  /** The instruction, in slots of `program`. */
  readonly slot: number;
  /** Address of the Program that was running. */
  readonly program: number;
  /** The offending pointer or value, unsigned. */
  readonly address: bigint;
  /** Bytes of the access. */
  readonly size: number;
}

/** Runs `body` on the CPU at address `cpu`; the fault that ended it, or undefined when it came to its end. */
export function catchFault(memory: KernelMemory, cpu: number, body: () => void): Fault | undefined {
  memory.setU32(cpu + layout.Cpu_faultKind, layout.FAULT_NONE);
  try {
    body();
    return undefined;
  } catch (error) {
    const kind = memory.u32(cpu + layout.Cpu_faultKind);
    if (!(error instanceof WebAssembly.RuntimeError) || kind === layout.FAULT_NONE) throw error;
    return {
      kind,
      slot: memory.u32(cpu + layout.Cpu_faultSlot),
      program: memory.u32(cpu + layout.Cpu_faultProgram),
      address: memory.view.getBigUint64(cpu + layout.Cpu_faultAddress, true),
      size: memory.u32(cpu + layout.Cpu_faultSize),
    };
  }
}
