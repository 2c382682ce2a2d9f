// Fields of struct __sk_buff that Linux keeps in fewer bytes than the structure shows. A narrow load anywhere in such a
// field gives its beginning, and a store keeps no more than there is room for (Linux: bpf_convert_ctx_access). The frame
// has the structure as programs see it, so that such instructions are made to say what they do.

import type { Instruction } from '../isa/instruction.js';
import { Mode, Size } from '../isa/opcodes.js';
import { rowOf } from '../isa/table.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { isSkbType } from './programs/skb.js';

/** Bytes that Linux has for the 4 bytes at an offset. */
const narrow: ReadonlyMap<number, number> = new Map([
  [4, 1], // pkt_type
  [12, 2], // queue_mapping
  [16, 2], // protocol
  [24, 2], // vlan_tci
  [28, 2], // vlan_proto
  [44, 2], // tc_index
  [72, 2], // tc_classid
]);

const FIELD = 4;
const SIZE_BITS = 0x18;
const sizeCodes: Readonly<Record<number, number>> = { 1: Size.B, 2: Size.H };

function rewritten(insn: Instruction): Instruction {
  const does = rowOf(insn)?.semantics;
  if (does?.kind !== 'load' && does?.kind !== 'store') return insn;
  const begin = insn.offset - (insn.offset % FIELD);
  const kept = narrow.get(begin);
  if (kept === undefined || (insn.opcode & 0xe0) !== Mode.MEM) return insn;
  if (does.kind === 'load') return does.size >= kept ? { ...insn, offset: begin } : insn;
  return { ...insn, opcode: (insn.opcode & ~SIZE_BITS) | (sizeCodes[kept] ?? 0) };
}

/** `isContext` says whether the instruction at a slot accesses the context. */
export function rewriteContextAccesses(
  insns: readonly Instruction[],
  definition: ProgramTypeDefinition,
  isContext: (slot: number) => boolean,
): readonly Instruction[] {
  if (!isSkbType(definition)) return insns;
  let slot = 0;
  return insns.map((insn) => {
    const at = slot;
    slot += insn.immHigh === undefined ? 1 : 2;
    return isContext(at) ? rewritten(insn) : insn;
  });
}
