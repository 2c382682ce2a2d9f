// Test runs of programs that trace. A raw tracepoint's program is run on the given arguments; the others would run when
// the kernel's test functions do, if they were attached, and the run says what those functions return.

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { AttachType, ProgType } from '../../bpf/types.js';
import { execute, placeContext, refuse, refuseArguments, resultOf } from './arguments.js';
import { define, plainFrame } from './definition.js';
import type { ProgramRun } from './run.js';

/** BPF_F_TEST_RUN_ON_CPU. */
const ON_CPU = 1;
/** MAX_BPF_FUNC_ARGS, 8 bytes each. */
const MAX_CONTEXT = 12 * 8;

const nothing = { duration: 0, dataOut: new Uint8Array(0), ctxOut: new Uint8Array(0) } as const;

/** Linux: bpf_prog_test_run_raw_tp. */
async function testRunRaw(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  refuseArguments(attr, ['dataIn', 'ctxSizeOut', 'repeat', 'batchSize']);
  const { ctxIn: context = new Uint8Array(0), flags = 0, cpu = 0 } = attr;
  if (context.length < run.contextSize || context.length > MAX_CONTEXT) {
    refuse(`the context has ${context.length} bytes, not ${run.contextSize} to ${MAX_CONTEXT}`);
  }
  if (!(flags & ON_CPU) && cpu !== 0) refuse('a CPU is named, but BPF_F_TEST_RUN_ON_CPU is not set');
  if (cpu >>> 0 >= run.cpus) refuse(`there is no CPU ${cpu}`, Errno.ENXIO);
  await run.program.prepare(1);
  const frame = placeContext(run, context);
  execute(run, frame, 1);
  return { ...nothing, retval: resultOf(run, frame) };
}

/** What bpf_modify_return_test and its like return, and that both changed what they were given, when nothing is attached. */
const UNMODIFIED = 0x2_0000 | (4 + 29);

/** Linux: bpf_prog_test_run_tracing. */
async function testRunTracing(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  refuseArguments(attr, ['flags', 'cpu', 'batchSize']);
  switch (run.expectedAttachType) {
    case AttachType.TraceFentry:
    case AttachType.TraceFexit:
      return { ...nothing, retval: 0 };
    case AttachType.ModifyReturn:
      return { ...nothing, retval: UNMODIFIED };
    default:
      return refuse('Linux test-runs no programs of this attach type', Errno.EFAULT);
  }
}

export const rawTracepoint = define(ProgType.RawTracepoint, plainFrame, testRunRaw);
export const tracing = define(ProgType.Tracing, plainFrame, testRunTracing);
