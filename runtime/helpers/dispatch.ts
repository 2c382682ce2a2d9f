// Helpers by their number: what the interpreter does at a call. The JIT calls the same functions directly.

import { fault } from '../check';
import { Cpu, FAULT_ARGUMENT, HELPERS } from '../layout';

// @ts-ignore: decorator
@external('host', 'call_host')
declare function call_host(cpu: usize, id: u32): void;

/** The kinds of each helper's arguments, packed (ARG_*): u32[HELPERS]. */
const kinds = memory.data(1024, 4);

/** Where that table lies; the kernel fills it from its helper definitions. */
export function helper_table(): usize {
  return kinds;
}

/** The packed argument kinds of helper `id`. */
export function helper_arguments(cpu: Cpu, id: u32, slot: u32): u32 {
  if (id >= HELPERS) fault(cpu, FAULT_ARGUMENT, slot, id, 0);
  return load<u32>(kinds + (id << 2));
}

/** Calls helper `id`, its arguments checked before; its result, 0 for a helper without one. */
export function call_helper(cpu: Cpu, id: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  cpu.arg1 = r1;
  cpu.arg2 = r2;
  cpu.arg3 = r3;
  cpu.arg4 = r4;
  cpu.arg5 = r5;
  call_host(changetype<usize>(cpu), id);
  return cpu.result;
}
