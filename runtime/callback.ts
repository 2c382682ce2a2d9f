// How the runtime calls a function of the program that called it: compiled code through a table, which has one entry a
// program, interpreted code by going on interpreting.

import { interpret_callback } from './interpreter';
import { CODE_BASE, Cpu, Program } from './layout';

/** Calls the function at `address` (what `ld_imm64` of it loads); its r0. */
export function call_back(cpu: Cpu, address: u64, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const program = changetype<Program>(cpu.program);
  const entry = ((address - CODE_BASE) >> 3) as u32;
  if (!program.callback) return interpret_callback(cpu, entry, r1, r2, r3, r4, r5);
  const frame = cpu.frame;
  const result = call_indirect<u64>(program.callback, entry, r1, r2, r3, r4, r5, frame);
  cpu.frame = frame;
  return result;
}
