// Rewriting: from the program that was verified to the one that Linux runs and shows (`bpftool prog dump xlated`). It is
// for showing only: the emulated kernel's memory is laid out in its own way, and the JIT compiles what was loaded.
//
//     loaded -> without fast calls' spills -> bpf_loop written out -> without dead code -> context accesses
//            -> calls, divisions, masks -> bytes
//
// Each step is a room that works on the list (code.ts) with what verification found out (facts.ts). Sequences and their order
// are those of Linux 6.18 on x86-64.

import type { Btf } from '../../../btf/index.js';
import { KernelTypesNeeded } from '../kernel-types.js';
import { buildCode, encodeCode, type Rewritten } from './build.js';
import type { Code } from './code.js';
import { convertContexts } from './contexts/index.js';
import { removeDeadCode, removeFastcallSpills } from './dead-code.js';
import type { RewriteFacts } from './facts.js';
import { addExceptionCallback, addPrologue, fixInstructions } from './fixups.js';
import { KernelLayout } from './layout.js';
import { inlineLoops } from './loops.js';
import type { KernelNames } from './names.js';

export type { Rewritten } from './build.js';
export type { RewriteFacts } from './facts.js';
export type { KernelNames } from './names.js';

/** The kernel that the program is shown in. */
export interface RewriteEnvironment {
  /** Asked when the layout of a structure is needed. */
  readonly kernelTypes: () => Promise<Btf>;
  readonly names: KernelNames;
}

/** Rewrites a program that was accepted. */
export async function rewrite(
  facts: RewriteFacts,
  { kernelTypes, names }: RewriteEnvironment,
): Promise<Rewritten> {
  try {
    return rewriteWith(facts, undefined, names);
  } catch (error) {
    if (!(error instanceof KernelTypesNeeded)) throw error;
    return rewriteWith(facts, await kernelTypes(), names);
  }
}

/** The same where the kernel's types are there, or are not needed. */
export function rewriteWith(facts: RewriteFacts, types: Btf | undefined, names: KernelNames): Rewritten {
  const layout = new KernelLayout(() => {
    if (!types) throw new KernelTypesNeeded();
    return types;
  });
  const code = buildCode(facts);
  numberLines(code, facts);
  removeFastcallSpills(code, facts);
  inlineLoops(code, facts);
  removeDeadCode(code, facts);
  addPrologue(code, facts, layout);
  convertContexts(code, facts, layout);
  addExceptionCallback(code, facts);
  fixInstructions(code, facts, layout);
  return encodeCode(code, facts, names);
}

const LINE_RECORD = 16;

function numberLines(code: Code, { program: { lineInfo } }: RewriteFacts): void {
  if (!lineInfo) return;
  const view = new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
  const records = new Map<number, number>();
  for (let i = 0; (i + 1) * LINE_RECORD <= lineInfo.length; i++)
    records.set(view.getUint32(i * LINE_RECORD, true), i);
  for (const insn of code) insn.line = records.get(insn.origin) ?? -1;
}
