// Random programs for comparing verifiers: about half are meant to be accepted. The generator follows one path and keeps in
// mind what each register and stack slot holds, so that most statements make sense; now and then one does not, and a whole
// program may be altered here and there afterwards.

import {
  callLocal,
  exit,
  type Instruction,
  isLocalCall,
  mov,
  reg,
  slotCount,
  slotsOf,
} from '../../../src/isa/index.js';
import type { Random } from '../../fuzz/mutate.js';
import { Body } from './body.js';
import { KINDS, type ProgramKind } from './world.js';

/** A program, with maps by their number in MAPS. */
export interface VerifierProgram {
  readonly kind: ProgramKind;
  readonly insns: readonly Instruction[];
}

/** The next program of the generator, of one of these types. `altered`: whether it may be damaged. */
export function verifierProgram(
  random: Random,
  { altered = true, kinds = KINDS }: { altered?: boolean; kinds?: readonly ProgramKind[] } = {},
): VerifierProgram {
  const kind = kinds[random.below(kinds.length)] as ProgramKind;
  const callees = random.below(3) === 0 ? 1 + random.below(2) : 0;
  const functions: Instruction[][] = [];
  for (let number = 0; number <= callees; number++) {
    const body = new Body(random, kind, number, callees);
    functions.push(body.whole(2 + random.below(number === 0 ? 12 : 5)));
  }
  const insns = link(functions);
  const faults = altered && random.below(3) === 0 ? 1 + random.below(2) : 0;
  for (let i = 0; i < faults; i++) alter(random, insns);
  return { kind, insns };
}

/** The functions that are called, one behind the other; a call has the number of its function until then. */
function link(functions: readonly Instruction[][]): Instruction[] {
  const used = new Set([0]);
  for (const number of used) {
    for (const insn of functions[number] ?? []) if (isLocalCall(insn)) used.add(insn.imm);
  }
  const order = [...used].sort((a, b) => a - b);
  const starts = new Map<number, number>();
  let slot = 0;
  for (const number of order) {
    starts.set(number, slot);
    slot += slotCount(functions[number] ?? []);
  }
  let at = 0;
  return order
    .flatMap((number) => functions[number] ?? [])
    .map((insn) => {
      at += slotsOf(insn);
      return isLocalCall(insn) ? callLocal((starts.get(insn.imm) ?? 0) - at) : insn;
    });
}

/** Changes one field of one instruction, or takes an instruction away. */
function alter(random: Random, insns: Instruction[]): void {
  const at = random.below(insns.length);
  const insn = insns[at] as Instruction;
  switch (random.below(7)) {
    case 0:
      insns[at] = { ...insn, dst: random.below(11) };
      return;
    case 1:
      insns[at] = { ...insn, src: random.below(11) };
      return;
    case 2:
      insns[at] = { ...insn, offset: insn.offset + ([-8, -1, 1, 4, 8, 16][random.below(6)] as number) };
      return;
    case 3:
      insns[at] = {
        ...insn,
        imm: (insn.imm + ([-8, -1, 1, 7, 64, -0x8000_0000][random.below(6)] as number)) | 0,
      };
      return;
    case 4:
      // The same of 32 or 64 bits, or with the other operand.
      if ((insn.opcode & 7) >= 4) insns[at] = { ...insn, opcode: insn.opcode ^ (random.below(2) ? 8 : 3) };
      return;
    case 5:
      insns[at] = slotsOf(insn) === 1 ? mov(random.below(10), reg(random.below(11))) : insn;
      return;
    default:
      if (insns.length > 2 && slotsOf(insn) === 1) insns[at] = random.below(8) ? mov(0, 0) : exit();
  }
}
