// Runs a program once a frame, so that a batch of packets crosses from JavaScript once:
//
//    run(program, frames, count, stride, budget, stack)    on frames Cpu.frameIndex to count, `stride` bytes apart
//
// A call costs more than many a program, so a program without loops is written into this one (in others V8 would have
// too few registers left); `main`, which tail calls go to, is then a run on the frame that is there already.

import { layout, POINTER_BASE } from '../memory/memory.js';
import type { FrameShape } from './code.js';
import { type Home, MAIN_TYPE } from './translator.js';
import { FunctionBody, type FunctionType, I32, I64, Op } from './wasm.js';

export const RUN_TYPE: FunctionType = { params: [I32, I32, I32, I32, I32, I32], results: [] };

/** What a run leaves behind, so that the next one must begin with it set anew; and where a frame has what. */
export interface Traces {
  readonly tailCalls: boolean;
  readonly redirects: boolean;
  readonly budget: boolean;
  readonly shape: FrameShape;
}

/**
 * The body of `run`, for a program that is a function of its own or that `main` writes. What only other programs use is
 * set only when these can be reached by a tail call.
 */
export function driver(
  { tailCalls, redirects, budget: counts, shape }: Traces,
  main: number | ((home: Home) => void),
): FunctionBody {
  const body = new FunctionBody(RUN_TYPE);
  const [program, frames, count, stride, budget, stack] = [0, 1, 2, 3, 4, 5];
  const cpu = body.local(I32);
  const frame = body.local(I32);
  const index = body.local(I32);
  const result = body.local(I64);
  const setCpu = (field: number, push: () => void) => {
    body.get(cpu);
    push();
    body.memory(Op.i32_store, field);
  };
  const ofFrame = (field: number) => () => body.get(frame).memory(Op.i32_load, field);
  const pushContext = () => body.get(frame).op(Op.i64_extend_i32_u).i64big(POINTER_BASE).op(Op.i64_or);
  body.op(Op.global_get).unsigned(0).set(cpu);
  body.get(cpu).memory(Op.i32_load, layout.Cpu_frameIndex).set(index);
  setCpu(layout.Cpu_program, () => body.get(program));
  body.open(Op.block).open(Op.loop);
  body.get(index).get(count).op(Op.i32_ge_u).op(Op.br_if).unsigned(1);
  body.get(frames).get(index).get(stride).op(Op.i32_mul).op(Op.i32_add).set(frame);
  setCpu(layout.Cpu_frameIndex, () => body.get(index));
  if (tailCalls) setCpu(layout.Cpu_program, () => body.get(program));
  setCpu(layout.Cpu_ctx, () => body.get(frame));
  setCpu(layout.Cpu_packetStart, ofFrame(shape.packetStart));
  setCpu(layout.Cpu_packetEnd, ofFrame(shape.packetEnd));
  if (tailCalls) setCpu(layout.Cpu_tailCalls, () => body.i32(0));
  if (tailCalls || counts) setCpu(layout.Cpu_budget, () => body.get(budget));
  if (tailCalls || redirects) setCpu(layout.Cpu_redirectIfindex, () => body.i32(0));
  if (typeof main === 'number') {
    pushContext();
    body.get(stack).call(main).set(result);
  } else {
    // As in a function, registers begin with 0.
    const registers = Array.from({ length: 10 }, () => body.local(I64));
    registers.forEach((local, r) => {
      if (r === 1) pushContext();
      else body.i64(0);
      body.set(local);
    });
    body.open(Op.block);
    const { depth } = body;
    main({
      body,
      arguments: new Map(registers.entries()),
      frame: stack,
      leave: (r0) =>
        body
          .get(r0)
          .set(result)
          .op(Op.br)
          .unsigned(body.depth - depth),
    });
    body.end();
  }
  body.get(frame).get(result).memory(Op.i64_store, shape.result);
  if (tailCalls || redirects) {
    body.get(frame).get(cpu).memory(Op.i32_load, layout.Cpu_redirectIfindex);
    body.memory(Op.i32_store, shape.redirectIfindex);
  }
  body.get(index).i32(1).op(Op.i32_add).set(index);
  body.op(Op.br).unsigned(0).end().end();
  return body;
}

/** The body of `main(ctx, stack)` for a program that is written into `run`. */
export function single(run: number, shape: FrameShape): FunctionBody {
  const body = new FunctionBody(MAIN_TYPE);
  const stack = 1;
  const pushCpu = (field: number) => body.op(Op.global_get).unsigned(0).memory(Op.i32_load, field);
  pushCpu(layout.Cpu_program);
  pushCpu(layout.Cpu_ctx);
  pushCpu(layout.Cpu_frameIndex).i32(1).op(Op.i32_add);
  body.i32(0);
  pushCpu(layout.Cpu_budget);
  body.get(stack).call(run);
  pushCpu(layout.Cpu_ctx).memory(Op.i64_load, shape.result);
  return body;
}
