// Atomic read-modify-writes and ordered accesses (RFC 9669, section 5.3; load_acquire and store_release of
// Linux). One CPU at a time runs on a memory that is not shared, so plain accesses are atomic and in order.

import { arena_address } from './arena';
import { fault, reachable } from './check';
import { Cpu, FAULT_ARGUMENT } from './layout';

// The operation, in the immediate. FETCH is a bit of it.
const ADD: u32 = 0x00;
const OR: u32 = 0x40;
const AND: u32 = 0x50;
const XOR: u32 = 0xa0;
const FETCH: u32 = 0x01;
const XCHG: u32 = 0xe1;
const CMPXCHG: u32 = 0xf1;
const LOAD_ACQUIRE: u32 = 0x100;
const STORE_RELEASE: u32 = 0x110;

/** An unsigned value of `size` bytes. */
@inline export function loadSized(at: usize, size: u32): u64 {
  return size == 8 ? load<u64>(at) : size == 4 ? load<u32>(at) : size == 2 ? load<u16>(at) : load<u8>(at);
}

@inline export function storeSized(at: usize, size: u32, value: u64): void {
  if (size == 8) store<u64>(at, value);
  else if (size == 4) store<u32>(at, value as u32);
  else if (size == 2) store<u16>(at, value as u16);
  else store<u8>(at, value as u8);
}

/**
 * Runs one instruction of class STX, mode ATOMIC, on `size` bytes, of the arena or not. What is fetched is zero-extended.
 */
export function atomic(cpu: Cpu, registers: usize, word: u64, size: u32, slot: u32, arena: bool = false): void {
  const operation = (word >> 32) as u32;
  const dst = registers + (((word as u32) >> 5) & 0x78);
  const src = registers + (((word as u32) >> 9) & 0x78);
  const offset = ((word as i32) >> 16) as i64;

  if (operation == LOAD_ACQUIRE) {
    const pointer = load<u64>(src) + offset;
    const from = arena ? arena_address(cpu, pointer as u32, size, 0, slot) : reachable(cpu, pointer, size, 0, slot);
    store<u64>(dst, loadSized(from, size));
    return;
  }
  const pointer = load<u64>(dst) + offset;
  const at = arena ? arena_address(cpu, pointer as u32, size, 1, slot) : reachable(cpu, pointer, size, 1, slot);
  const operand = load<u64>(src);
  if (operation == STORE_RELEASE) {
    storeSized(at, size, operand);
    return;
  }
  if (size < 4) fault(cpu, FAULT_ARGUMENT, slot, word, size);

  const old = loadSized(at, size);
  if (operation == CMPXCHG) {
    const expected = load<u64>(registers);
    if (size == 8 ? old == expected : (old as u32) == (expected as u32)) storeSized(at, size, operand);
    store<u64>(registers, old);
    return;
  }
  let value: u64 = 0;
  switch (operation == XCHG ? XCHG : operation & ~FETCH) {
    case ADD: value = old + operand; break;
    case OR: value = old | operand; break;
    case AND: value = old & operand; break;
    case XOR: value = old ^ operand; break;
    case XCHG: value = operand; break;
    default: fault(cpu, FAULT_ARGUMENT, slot, word, size);
  }
  storeSized(at, size, value);
  if (operation & FETCH) store<u64>(src, old);
}
