// The instructions of an accepted program as the engines get them, slot by slot where they were. Branches that always go one
// way are jumps, and what no path comes to is an exit, so that nothing needs to make sense in it.

import { classOf, slotsOf } from '../isa/classify.js';
import type { Instruction } from '../isa/instruction.js';
import { InsnClass } from '../isa/opcodes.js';
import { rewriteContextAccesses } from './context-rewrites.js';
import { withoutDeadBranches } from './dead-branches.js';
import type { ProgramTypeDefinition } from './programs/definition.js';
import { layout } from './verifier/domain.js';
import type { RewriteFacts } from './verifier/rewrites/facts.js';

export function forEngines(
  insns: readonly Instruction[],
  definition: ProgramTypeDefinition,
  facts: RewriteFacts,
): Instruction[] {
  const isContext = (slot: number) => facts.pointerType.get(slot) === layout.CTX;
  const live = rewriteContextAccesses(withoutDeadBranches(insns, facts), definition, isContext);
  let slot = 0;
  return live.map((insn) => {
    const at = slot;
    slot += slotsOf(insn);
    // The kernel's half of an arena's pointer is all that counts.
    if (facts.arenaAlu.has(at) && classOf(insn.opcode) === InsnClass.ALU64) {
      return { ...insn, opcode: (insn.opcode & ~0x07) | InsnClass.ALU };
    }
    return insn;
  });
}
