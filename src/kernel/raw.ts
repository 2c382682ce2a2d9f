// Bare instructions without a program type: the memory is the packet of a frame, and three instructions before the
// first put its address into r1 and its length into r2.

import { SkepError } from '../base/error.js';
import { alu, load, reg } from '../isa/construct.js';
import type { Instruction } from '../isa/instruction.js';
import type { RunnableProgram } from './engine.js';
import { type KernelMemory, layout } from './memory/memory.js';
import { describeFault } from './program.js';
import { bufferSize, place, type XdpArena } from './programs/xdp-run.js';

export const RAW_PROLOGUE: readonly Instruction[] = [
  load(4, 2, 1, 4),
  load(4, 1, 1, 0),
  alu('sub', 2, reg(1)),
];

/** Runs a program that begins with RAW_PROLOGUE; r0, unsigned. */
export async function runRaw(
  memory: KernelMemory,
  arena: XdpArena,
  program: RunnableProgram,
  data: Uint8Array,
  budget: number,
): Promise<bigint> {
  const { frames, pages } = arena.reserve(bufferSize(data.length));
  place(memory, frames, pages, data, 0);
  const { fault } = program.run(frames, 0, 1, 0, budget);
  if (fault) {
    const { message } = describeFault(fault, 'these');
    throw new SkepError(message, { where: `instruction ${fault.slot - RAW_PROLOGUE.length}` });
  }
  return memory.view.getBigUint64(frames + layout.XdpFrame_result, true);
}
