// The program types of the emulated kernel: all that Linux has can be loaded. A type without a run of its own here is one
// that BPF_PROG_TEST_RUN does not know either.

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { type ProgType, progTypeName } from '../../bpf/types.js';
import { programRules } from '../verifier/tables/contexts/index.js';
import { define, type ProgramTypeDefinition } from './definition.js';
import { flowDissector } from './flow-dissector.js';
import { netfilter } from './netfilter.js';
import type { ProgramRun } from './run.js';
import { skLookup } from './sk-lookup.js';
import { skbTypes } from './skb.js';
import { syscall } from './syscall.js';
import { rawTracepoint, tracing } from './tracing.js';
import { xdp } from './xdp.js';

const runnable: readonly ProgramTypeDefinition[] = [
  xdp,
  ...skbTypes,
  flowDissector,
  skLookup,
  netfilter,
  syscall,
  rawTracepoint,
  tracing,
];

const byType = new Map<ProgType, ProgramTypeDefinition>(runnable.map((row) => [row.type, row]));
for (const { type } of programRules) if (!byType.has(type)) byType.set(type, define(type));

/** The definition of a program type; undefined when Linux has no such type. */
export const programTypeDefinition = (type: ProgType): ProgramTypeDefinition | undefined => byType.get(type);

/** BPF_PROG_TEST_RUN. */
export async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  const { definition } = run;
  if (!definition.testRun) {
    const message = `Linux has no test runs of ${progTypeName(definition.type)} programs`;
    throw new BpfError('BPF_PROG_TEST_RUN', Errno.ENOTSUPP, message);
  }
  return definition.testRun(run, attr);
}
