// Programs that look at the kernel: registers at a probe, the record or the arguments of a tracepoint, the arguments
// of a function; and those that the kernel calls in place of functions (struct_ops, ext, syscall).

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { ProgramRules } from '../types.js';

const {
  TraceFentry,
  TraceFexit,
  ModifyReturn,
  TraceIter,
  TraceRawTp,
  TraceKprobeSession,
  TraceUprobeSession,
} = AttachType;
const anything = [{ range: 'any' }] as const;
const tracing = { capability: 'perfmon' } as const;

/** Arguments that a kernel function may have (MAX_BPF_FUNC_ARGS). */
const MAX_FUNC_ARGS = 12;
const rawArguments = {
  struct: 'bpf_raw_tracepoint_args',
  from: 0,
  size: 8 * MAX_FUNC_ARGS,
  writable: false,
} as const;

export const tracingPrograms: readonly ProgramRules[] = [
  {
    type: ProgType.Kprobe,
    ...tracing,
    kernelContext: 'pt_regs',
    // bpf_user_pt_regs_t of x86-64.
    context: { kind: 'memory', struct: 'pt_regs', from: 0, size: 168, writable: false },
    // For probes of user space; the kernel asks when it attaches.
    sleepable: 'yes',
    returns: [{ attach: [TraceKprobeSession, TraceUprobeSession], range: [0, 1] }, { range: 'any' }],
  },
  {
    type: ProgType.Tracepoint,
    ...tracing,
    // The first 8 bytes are the kernel's own; 8192 is PERF_MAX_TRACE_SIZE.
    context: { kind: 'memory', struct: 'tracepoint', from: 8, size: 8192, writable: false },
    returns: anything,
  },
  {
    type: ProgType.PerfEvent,
    ...tracing,
    kernelContext: 'bpf_perf_event_data_kern',
    context: {
      kind: 'fields',
      struct: 'bpf_perf_event_data',
      size: 184,
      fields: [
        { name: 'regs', offset: 0, size: 168, unit: 8, read: { sizes: 'exact' } },
        { name: 'sample_period', offset: 168, size: 8, read: { sizes: 'narrow' } },
        { name: 'addr', offset: 176, size: 8, read: { sizes: 'narrow' } },
      ],
    },
    returns: anything,
  },
  {
    type: ProgType.RawTracepoint,
    ...tracing,
    context: { kind: 'memory', ...rawArguments },
    returns: anything,
  },
  {
    type: ProgType.RawTracepointWritable,
    ...tracing,
    context: {
      kind: 'memory',
      ...rawArguments,
      // Only what begins at 0 is special: there, 8 bytes and no fewer.
      fields: [
        {
          name: 'buffer',
          offset: 0,
          size: 1,
          read: { sizes: 'exact', atLeast: 8, orBytes: 8 },
          yields: { kind: 'tp-buffer' },
        },
      ],
    },
    returns: anything,
  },
  {
    type: ProgType.Tracing,
    ...tracing,
    attachTypes: [TraceRawTp, TraceFentry, TraceFexit, ModifyReturn, TraceIter],
    attachBtf: true,
    context: {
      kind: 'arguments',
      maxArgs: MAX_FUNC_ARGS,
      returnSlot: [TraceFexit, ModifyReturn],
      trusted: [TraceRawTp, TraceIter],
    },
    sleepable: [TraceFentry, TraceFexit, ModifyReturn, TraceIter],
    returns: [
      { attach: [TraceFentry, TraceFexit], range: [0, 0] },
      { attach: [TraceIter], range: [0, 1] },
      { range: 'any' },
    ],
  },
  {
    type: ProgType.StructOps,
    ...tracing,
    attachBtf: true,
    context: { kind: 'arguments', maxArgs: MAX_FUNC_ARGS, returnSlot: [], trusted: 'all' },
    // A structure may refuse it for some of its members.
    sleepable: 'yes',
    returns: anything,
  },
  {
    type: ProgType.Ext,
    capability: 'both',
    attachBtf: true,
    context: { kind: 'target' },
    returns: anything,
  },
  {
    type: ProgType.Lsm,
    ...tracing,
    attachTypes: [AttachType.LsmMac, AttachType.LsmCgroup],
    attachBtf: true,
    context: { kind: 'arguments', maxArgs: MAX_FUNC_ARGS, returnSlot: [], trusted: 'all' },
    sleepable: [AttachType.LsmMac],
    returns: [{ range: 'hook' }],
  },
  {
    type: ProgType.Syscall,
    // What BPF_PROG_TEST_RUN is given as context.
    context: { kind: 'memory', struct: 'syscall', from: 0, size: 65536, writable: true },
    sleepable: 'always',
    returns: anything,
  },
];
