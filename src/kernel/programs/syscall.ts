// Programs that user space runs by BPF_PROG_TEST_RUN; their context is whatever it gives (Linux: bpf_prog_test_run_syscall).

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { ProgType } from '../../bpf/types.js';
import { execute, placeContext, refuse, refuseArguments, resultOf } from './arguments.js';
import { define, plainFrame } from './definition.js';
import type { ProgramRun } from './run.js';

/** U16_MAX. */
const MAX_CONTEXT = 0xffff;

async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  refuseArguments(attr, ['dataIn', 'ctxSizeOut', 'repeat', 'flags', 'batchSize']);
  const context = attr.ctxIn ?? new Uint8Array(0);
  if (context.length < run.contextSize || context.length > MAX_CONTEXT) {
    refuse(`the context has ${context.length} bytes, not ${run.contextSize} to ${MAX_CONTEXT}`);
  }
  await run.program.prepare(1);
  const frame = placeContext(run, context);
  execute(run, frame, 1);
  const retval = resultOf(run, frame);
  return { retval, duration: 0, dataOut: new Uint8Array(0), ctxOut: run.memory.read(frame, context.length) };
}

export const syscall = define(ProgType.Syscall, plainFrame, testRun);
