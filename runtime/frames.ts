// Runs the interpreter once a frame, as compiled programs do by themselves (src/kernel/jit/module.ts).

import { interpret } from './interpreter';
import { Cpu, POINTER_BASE, XdpFrame } from './layout';

/** Runs `program` on frames Cpu.frameIndex to `count`, `stride` bytes apart. */
export function interpret_frames(
  address: usize, program: usize, frames: usize, count: u32, stride: u32, budget: i32,
): void {
  const cpu = changetype<Cpu>(address);
  for (let index = cpu.frameIndex; index < count; index++) {
    const at = frames + index * stride;
    const frame = changetype<XdpFrame>(at);
    cpu.frameIndex = index;
    cpu.program = program;
    cpu.ctx = at;
    cpu.packetStart = frame.dataMeta;
    cpu.packetEnd = frame.dataEnd;
    cpu.tailCalls = 0;
    cpu.budget = budget;
    cpu.redirectIfindex = 0;
    frame.result = interpret(address, program, POINTER_BASE | (at as u64));
    frame.redirectIfindex = cpu.redirectIfindex;
  }
  cpu.frameIndex = count;
}
