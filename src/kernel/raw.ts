// Bare instructions without a program type: the memory is the packet of a frame, and three instructions before the
// first put its address into r1 and its length into r2.

import { SkepError } from '../base/error.js';
import { alu, load, reg } from '../isa/construct.js';
import type { Instruction } from '../isa/instruction.js';
import type { RunnableProgram } from './engine.js';
import { type KernelMemory, layout } from './memory/memory.js';
import { describeFault } from './program.js';
import type { FrameArena } from './programs/frames.js';

export const RAW_PROLOGUE: readonly Instruction[] = [
  load(4, 2, 1, 4),
  load(4, 1, 1, 0),
  alu('sub', 2, reg(1)),
];

/** Runs a program that begins with RAW_PROLOGUE; r0, unsigned. */
export function runRaw(
  memory: KernelMemory,
  arena: FrameArena,
  program: RunnableProgram,
  data: Uint8Array,
  budget: number,
): bigint {
  const frame = arena.place(data);
  const { fault } = program.run(frame, 0, 1, 0, budget);
  if (fault) {
    const { message } = describeFault(fault, 'these');
    throw new SkepError(message, { where: `instruction ${fault.slot - RAW_PROLOGUE.length}` });
  }
  return memory.view.getBigUint64(frame + layout.XdpFrame_result, true);
}
