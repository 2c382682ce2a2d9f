// What test runs of all program types have in common: refusals, contexts that come and go, how often to run.

import type { ProgTestRunAttr, RunFault } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { layout } from '../memory/memory.js';
import type { ProgramRun } from './run.js';

export function refuse(detail: string, errno: Errno = Errno.EINVAL): never {
  throw new BpfError('BPF_PROG_TEST_RUN', errno, detail);
}

/** How often to run: 0 is once. */
export function repeats({ repeat = 1 }: ProgTestRunAttr): number {
  if (!Number.isInteger(repeat) || repeat < 0 || repeat > 0xffffffff) refuse(`repeat is ${repeat}`);
  return Math.max(repeat, 1);
}

/** Refuses what is set of these, as types do that know no such argument. */
export function refuseArguments(
  attr: ProgTestRunAttr,
  names: readonly ('dataIn' | 'dataSizeOut' | 'ctxSizeOut' | 'repeat' | 'flags' | 'cpu' | 'batchSize')[],
): void {
  for (const name of names) {
    const value = attr[name];
    const isSet = value instanceof Uint8Array ? value.length > 0 : value !== undefined && value !== 0;
    if (isSet) refuse(`${name} cannot be given to programs of this type`);
  }
}

/** The given context, padded or cut to `size` bytes; undefined when there is none (Linux: bpf_ctx_init). */
export function givenContext({ ctxIn }: ProgTestRunAttr, size: number): Uint8Array | undefined {
  if (!ctxIn?.length) return undefined;
  if (ctxIn.subarray(size).some((byte) => byte !== 0)) {
    refuse(`the context has ${size} bytes; what follows must be zero`, Errno.E2BIG);
  }
  const bytes = new Uint8Array(size);
  bytes.set(ctxIn.subarray(0, size));
  return bytes;
}

/** The context as it goes back (Linux: bpf_ctx_finish). */
export function returnedContext(
  context: Uint8Array | undefined,
  { ctxSizeOut }: ProgTestRunAttr,
): Uint8Array {
  if (!context || ctxSizeOut === 0) return new Uint8Array(0);
  if (ctxSizeOut !== undefined && ctxSizeOut < context.length) {
    refuse(`the context has ${context.length} bytes, there is room for ${ctxSizeOut}`, Errno.ENOSPC);
  }
  return context;
}

/** Refuses an output for which there is no room (Linux: bpf_test_finish). */
export function checkRoom(size: number, { dataSizeOut = 0 }: ProgTestRunAttr): void {
  if (dataSizeOut !== 0 && dataSizeOut < size) {
    refuse(`the packet has ${size} bytes afterwards, there is room for ${dataSizeOut}`, Errno.ENOSPC);
  }
}

/** A run that checked mode ended. */
export class FaultedRun extends BpfError {
  readonly runFault: RunFault;
  constructor(runFault: RunFault) {
    const { message, slot, instruction, source } = runFault;
    const line = source ? ` (${source.file}:${source.line}: ${source.text})` : '';
    super('BPF_PROG_TEST_RUN', Errno.EFAULT, `${message}; insn ${slot}: ${instruction}${line}`);
    this.runFault = runFault;
  }
}

/** Runs the program `count` times on the frame; mean nanoseconds. A fault ends the test run with EFAULT. */
export function execute(run: ProgramRun, frame: number, count: number): number {
  const begin = run.now();
  const { fault } = run.program.run(frame, 0, count, 0, run.budget);
  const duration = Math.floor((run.now() - begin) / count);
  if (fault) throw new FaultedRun(run.explain(fault));
  return duration;
}

/** r0 of the last run, unsigned 32 bits. */
export const resultOf = ({ memory, definition }: ProgramRun, frame: number): number =>
  memory.u32(frame + definition.context.frame.result);

/** Lays out a context of its own, for programs without packets. */
export function placeContext({ memory, arena }: ProgramRun, context: Uint8Array): number {
  const frame = arena.placeContext(layout.PlainFrame_size);
  memory.u8.fill(0, frame, frame + layout.PlainFrame_size);
  memory.write(frame, context);
  return frame;
}
