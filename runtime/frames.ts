// Frames: packets laid out as a driver would have put them (src/kernel/programs/frames.ts has the picture), and the
// interpreter run once a frame, as compiled programs do by themselves (src/kernel/jit/driver.ts).

import { interpret } from './interpreter';
import { Cpu, PAGE, POINTER_BASE, Program, XDP_HEADROOM, XDP_TAILROOM, XdpFrame } from './layout';

/** Runs `program` on frames Cpu.frameIndex to `count`, `stride` bytes apart. */
export function interpret_frames(
  address: usize, program: usize, frames: usize, count: u32, stride: u32, budget: i32,
): void {
  const cpu = changetype<Cpu>(address);
  const shape = changetype<Program>(program);
  for (let index = cpu.frameIndex; index < count; index++) {
    const at = frames + index * stride;
    cpu.frameIndex = index;
    cpu.program = program;
    cpu.ctx = at;
    cpu.packetStart = load<u32>(at + shape.startField);
    cpu.packetEnd = load<u32>(at + shape.endField);
    cpu.tailCalls = 0;
    cpu.budget = budget;
    cpu.redirectIfindex = 0;
    store<u64>(at + shape.resultField, interpret(address, program, POINTER_BASE | (at as u64)));
    store<u32>(at + shape.redirectField, cpu.redirectIfindex);
  }
  cpu.frameIndex = count;
}

/** Bytes of the buffer around a packet: whole pages. */
export function frame_buffer_size(length: u32): u32 {
  return (XDP_HEADROOM + length + XDP_TAILROOM + PAGE - 1) / PAGE * PAGE;
}

/**
 * Makes a frame of the packet that lies XDP_HEADROOM - `meta` bytes into the buffer at `at`: `meta` bytes of metadata,
 * then `length` bytes of data. The room before them is cleared.
 */
export function frame_init(at: usize, buffer: usize, length: u32, meta: u32): void {
  const data = (buffer as u32) + XDP_HEADROOM;
  memory.fill(buffer, 0, XDP_HEADROOM - meta);
  const frame = changetype<XdpFrame>(at);
  frame.data = data;
  frame.dataEnd = data + length;
  frame.dataMeta = data - meta;
  frame.ingressIfindex = 1;
  frame.rxQueueIndex = 0;
  frame.egressIfindex = 0;
  frame.hardStart = buffer as u32;
  frame.hardEnd = (buffer as u32) + frame_buffer_size(length) - XDP_TAILROOM;
}

/** Makes `count` frames of the packets at `packets`, which end where `ends` (u32, from `packets`) says. */
export function frames_init(frames: usize, buffers: usize, packets: usize, ends: usize, count: u32): void {
  let from: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const end = load<u32>(ends + (i << 2));
    const length = end - from;
    memory.copy(buffers + XDP_HEADROOM, packets + from, length);
    frame_init(frames + i * offsetof<XdpFrame>(), buffers, length, 0);
    buffers += frame_buffer_size(length);
    from = end;
  }
}
