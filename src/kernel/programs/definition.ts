// A program type is one definition: what its context looks like, what it may do and how it is tried out. Contexts and
// attach types are those of the verifier's tables.

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import type { AttachType, ProgType } from '../../bpf/types.js';
import type { ContextShape, FrameShape } from '../jit/code.js';
import { layout } from '../memory/memory.js';
import { rulesOf } from '../verifier/tables/contexts/index.js';
import type { ContextDefinition } from '../verifier/tables/types.js';
import type { ProgramRun } from './run.js';

/** BPF_PROG_TEST_RUN of a program type. */
export type TestRun = (run: ProgramRun, attr: ProgTestRunAttr) => Promise<ProgTestRunResult>;

export interface ProgramTypeDefinition {
  readonly type: ProgType;
  /** The context that the program sees. */
  readonly context: ContextShape;
  /** Expected attach types that a load may name; 0 is always allowed. Absent: Linux does not look. */
  readonly attachTypes: readonly AttachType[] | undefined;
  /** LD_ABS and LD_IND are allowed (Linux: may_access_skb). */
  readonly packetLoads: boolean;
  /** Absent: Linux has none (ENOTSUPP). */
  readonly testRun: TestRun | undefined;
}

/** A frame of programs without packets. */
export const plainFrame: FrameShape = {
  size: layout.PlainFrame_size,
  packetStart: layout.PlainFrame_packet,
  packetEnd: layout.PlainFrame_packet,
  data: layout.PlainFrame_packet,
  result: layout.PlainFrame_result,
  redirectIfindex: layout.PlainFrame_redirectIfindex,
  objects: { from: 0, to: 0 },
};

/** Most bytes of a context that consists of arguments: one slot each, and one for the result. */
const argumentBytes = (maxArgs: number): number => 8 * (maxArgs + 1);

function sizeOf(context: ContextDefinition): number {
  switch (context.kind) {
    case 'arguments':
      return argumentBytes(context.maxArgs);
    case 'target':
      return 0;
    default:
      return context.size;
  }
}

/** What checked mode lets programs write: whole fields. */
function writableBytes(context: ContextDefinition): Uint8Array {
  const bits = new Uint8Array(Math.ceil(sizeOf(context) / 8));
  if (context.kind === 'memory' && context.writable) return bits.fill(0xff);
  for (const field of context.kind === 'fields' ? context.fields : []) {
    for (let at = field.offset; field.write && at < field.offset + field.size; at++) {
      bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
    }
  }
  return bits;
}

function shapeOf(context: ContextDefinition, frame: FrameShape): ContextShape {
  const packetFields = new Map<number, 'start' | 'end'>();
  for (const { offset, yields } of context.kind === 'fields' ? context.fields : []) {
    if (yields?.kind === 'packet' || yields?.kind === 'packet-meta') packetFields.set(offset, 'start');
    if (yields?.kind === 'packet-end') packetFields.set(offset, 'end');
  }
  return { size: sizeOf(context), packetFields, writable: writableBytes(context), frame };
}

/** The definition of a type of which the verifier's tables say the rest. */
export function define(
  type: ProgType,
  frame: FrameShape = plainFrame,
  testRun: TestRun | undefined = undefined,
): ProgramTypeDefinition {
  const rules = rulesOf(type);
  if (!rules) throw new Error(`there is no program type ${type}`);
  return {
    type,
    context: shapeOf(rules.context, frame),
    attachTypes: rules.attachTypes,
    packetLoads: rules.packetLoads ?? false,
    testRun,
  };
}
