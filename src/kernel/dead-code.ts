// What the verifier found that no path comes to: the engines see an exit there, so that nothing needs to make sense in it
// (Linux: sanitize_dead_code). Slots stay where they are.

import type { Instruction } from '../isa/instruction.js';

const EXIT: Instruction = { opcode: 0x95, dst: 0, src: 0, offset: 0, imm: 0 };

/** `seen` says whether any path comes to a slot. */
export function withoutDeadCode(
  insns: readonly Instruction[],
  seen: (slot: number) => boolean,
): readonly Instruction[] {
  let slot = 0;
  return insns.flatMap((insn) => {
    const at = slot;
    const wide = insn.immHigh !== undefined;
    slot += wide ? 2 : 1;
    if (seen(at)) return insn;
    return wide ? [EXIT, EXIT] : EXIT;
  });
}
