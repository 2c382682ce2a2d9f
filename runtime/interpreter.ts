// The interpreter: runs the instructions of a Program one after the other, as RFC 9669 and Linux define
// them. Nothing is trusted: every access is checked, every instruction counts against the CPU's budget, and
// what cannot be run ends the run with a fault.
//
//    63            32 31     16 15  12 11   8 7      0
//   +----------------+---------+------+------+--------+
//   |      imm       | offset  | src  | dst  | opcode |    one slot, as one little-endian word
//   +----------------+---------+------+------+--------+
//
// Registers lie in linear memory (an operand's number is only known when it runs), the next instruction's
// address and the instructions left in locals. A run is cut into stretches: an engine that compiles WebAssembly
// in two tiers only moves to its optimised code when a function is called again, and a stretch is that call.

import { check_arguments, fault, reachable } from './check';
import { arena_address } from './arena';
import { atomic, loadSized, storeSized } from './atomic';
import { call_helper, helper_arguments } from './helpers/dispatch';
import { call_kfunc } from './kfuncs/dispatch';
import { BPF_F_NO_USER_CONV } from './maps/types';
import { packet_address } from './skb';
import {
  ARG_BITS, ARG_CTX, ARG_PROG_ARRAY, BpfMap, Cpu, FAULT_ARGUMENT, FAULT_BUDGET, FAULT_STACK, Interpreter, InterpreterFrame,
  Interpreter_frames, Interpreter_registers, KfuncCall, INTERPRETER_EXITED, INTERPRETER_RUNNING, MAX_CALL_FRAMES, MAX_LOOPS,
  MAX_TAIL_CALLS, POINTER_BASE, Program, STACK_FRAME, STACK_SIZE,
} from './layout';

const TAIL_CALL: u32 = 12;
/** addr_space_cast from the kernel's address space to that of user space. */
const TO_USER_SPACE: u32 = 1 << 16;
/** Instructions of one stretch. */
const STRETCH: u32 = 65536;

const R0: usize = 0;
const R1: usize = 8;
const R2: usize = 16;
const R3: usize = 24;
const R4: usize = 32;
const R5: usize = 40;
const R6: usize = 48;
const R7: usize = 56;
const R8: usize = 64;
const R9: usize = 72;
const R10: usize = 80;

@inline function imm64(word: u64): u64 { return ((word as i64) >> 32) as u64; }
@inline function imm32(word: u64): u32 { return (word >> 32) as u32; }
@inline function offset(word: u64): i32 { return (word as i32) >> 16; }

/** Writes a 32-bit result: the upper half of the register becomes 0. */
@inline function set32(register: usize, value: u32): void {
  store<u64>(register, value as u64);
}

/** The address of the instruction that comes after a conditional jump. */
@inline function jump(taken: bool, next: usize, word: u64): usize {
  return taken ? next + ((offset(word) as usize) << 3) : next;
}

@inline function divide64(a: u64, b: u64): u64 { return b ? a / b : 0; }
@inline function modulo64(a: u64, b: u64): u64 { return b ? a % b : a; }
@inline function divide32(a: u32, b: u32): u32 { return b ? a / b : 0; }
@inline function modulo32(a: u32, b: u32): u32 { return b ? a % b : a; }

// The smallest number divided by -1 overflows: it stays as it is, and the remainder is 0.
function signedDivide64(a: i64, b: i64): i64 { return b == 0 ? 0 : b == -1 ? 0 - a : a / b; }
function signedModulo64(a: i64, b: i64): i64 { return b == 0 ? a : b == -1 ? 0 : a % b; }
function signedDivide32(a: i32, b: i32): i32 { return b == 0 ? 0 : b == -1 ? 0 - a : a / b; }
function signedModulo32(a: i32, b: i32): i32 { return b == 0 ? a : b == -1 ? 0 : a % b; }

function swap(value: u64, bits: u32): u64 {
  return bswap(value) >> ((64 - bits) as u64);
}

function truncate(value: u64, bits: u32): u64 {
  return bits == 64 ? value : value & ((1 << (bits as u64)) - 1);
}

/**
 * Where `pointer` is in linear memory, when the program may read (write) `size` bytes there. The stack and the
 * packet are looked at here, whatever else the program may touch elsewhere.
 */
@inline function reach(cpu: Cpu, stack: u64, pointer: u64, size: u32, write: u32, slot: u32): usize {
  if (pointer - stack > STACK_SIZE - size) {
    const inside = pointer - (cpu.packetStart as u64);
    const length = (cpu.packetEnd - cpu.packetStart) as u64;
    if (inside >= length || inside + size > length) return reachable(cpu, pointer, size, write, slot);
  }
  return pointer as usize;
}

/** Gets ready to run `program` from its first instruction. The rest of the CPU is the caller's to prepare. */
export function interpreter_begin(address: usize, program: usize, ctx: u64): void {
  const cpu = changetype<Cpu>(address);
  if (!cpu.interpreter) {
    const frames = (STACK_SIZE / STACK_FRAME) * offsetof<InterpreterFrame>();
    cpu.interpreter = heap.alloc(Interpreter_frames + frames);
  }
  memory.fill(cpu.interpreter, 0, Interpreter_frames);
  const state = changetype<Interpreter>(cpu.interpreter);
  state.status = INTERPRETER_RUNNING;
  state.loops = MAX_LOOPS;
  cpu.program = program;
  const registers = cpu.interpreter + Interpreter_registers;
  store<u64>(registers + R1, ctx);
  store<u64>(registers + R10, POINTER_BASE | (cpu.stackEnd as u64));
}

/** Runs at most `steps` instructions more. INTERPRETER_RUNNING or INTERPRETER_EXITED, then r0 is the result. */
export function interpreter_resume(address: usize, steps: u32): u32 {
  const cpu = changetype<Cpu>(address);
  const state = changetype<Interpreter>(cpu.interpreter);
  while (steps && state.status == INTERPRETER_RUNNING) {
    if (cpu.budget <= 0) fault(cpu, FAULT_BUDGET, state.slot, 0, 0);
    const some = min(min(steps, STRETCH), cpu.budget as u32);
    steps -= some;
    stretch(cpu, state, some);
  }
  return state.status;
}

/** Runs `program` until it ends; its r0. */
export function interpret(address: usize, program: usize, ctx: u64): u64 {
  interpreter_begin(address, program, ctx);
  while (interpreter_resume(address, STRETCH) == INTERPRETER_RUNNING) {}
  return load<u64>(changetype<Cpu>(address).interpreter + Interpreter_registers);
}

/** Enters a subprogram: saves what it must not change, gives it a stack frame and iterations of its own. */
function enter(cpu: Cpu, state: Interpreter, slot: u32): void {
  const registers = changetype<usize>(state) + Interpreter_registers;
  const r10 = load<u64>(registers + R10);
  if (state.level + 1 >= MAX_CALL_FRAMES || (r10 as usize) - 2 * STACK_FRAME < cpu.stackStart) {
    fault(cpu, FAULT_STACK, slot, r10, STACK_FRAME);
  }
  const frame = changetype<InterpreterFrame>(
    changetype<usize>(state) + Interpreter_frames + state.depth * offsetof<InterpreterFrame>(),
  );
  frame.program = cpu.program;
  frame.slot = slot + 1;
  frame.level = state.level;
  frame.loops = state.loops;
  frame.r6 = load<u64>(registers + R6);
  frame.r7 = load<u64>(registers + R7);
  frame.r8 = load<u64>(registers + R8);
  frame.r9 = load<u64>(registers + R9);
  store<u64>(registers + R10, r10 - STACK_FRAME);
  // The callee has nothing but its arguments; what it has not written is 0, as in compiled code.
  store<u64>(registers + R0, 0);
  memory.fill(registers + R6, 0, R10 - R6);
  state.depth++;
  state.level++;
  state.loops = MAX_LOOPS;
}

/** Leaves a function: back to its caller, or out of the program. */
function leave(cpu: Cpu, state: Interpreter): void {
  if (!state.depth) {
    state.status = INTERPRETER_EXITED;
    return;
  }
  state.depth--;
  const registers = changetype<usize>(state) + Interpreter_registers;
  const frame = changetype<InterpreterFrame>(
    changetype<usize>(state) + Interpreter_frames + state.depth * offsetof<InterpreterFrame>(),
  );
  cpu.program = frame.program;
  state.slot = frame.slot;
  state.level = frame.level;
  state.loops = frame.loops;
  store<u64>(registers + R6, frame.r6);
  store<u64>(registers + R7, frame.r7);
  store<u64>(registers + R8, frame.r8);
  store<u64>(registers + R9, frame.r9);
  store<u64>(registers + R10, load<u64>(registers + R10) + STACK_FRAME);
  memory.fill(registers + R1, 0, R6 - R1);
}

/**
 * bpf_tail_call: whether another program takes the place of the running function. As in Linux it does not
 * when the index (32 bits) is out of range, its slot is empty or MAX_TAIL_CALLS were made, which an empty
 * slot does not count towards.
 */
function tailCall(cpu: Cpu, state: Interpreter, slot: u32): bool {
  const registers = changetype<usize>(state) + Interpreter_registers;
  const r1 = load<u64>(registers + R1);
  const r2 = load<u64>(registers + R2);
  if (!changetype<Program>(cpu.program).trusted) check_arguments(cpu, ARG_CTX | (ARG_PROG_ARRAY << ARG_BITS), slot, r1, r2, 0, 0, 0);
  const map = changetype<BpfMap>(r2 as usize);
  const index = load<u32>(registers + R3);
  if (index >= map.maxEntries || cpu.tailCalls >= MAX_TAIL_CALLS) return false;
  const program = load<u32>(map.values + index * map.elementSize);
  if (!program) return false;
  cpu.tailCalls++;
  cpu.program = program;
  state.level = 0;
  state.loops = MAX_LOOPS;
  store<u64>(registers + R0, 0);
  memory.fill(registers + R2, 0, R10 - R2);
  return true;
}

/** A helper, with its arguments in r1 to r5 and its result in r0. */
function callHelper(cpu: Cpu, registers: usize, id: u32, slot: u32): void {
  const r1 = load<u64>(registers + R1);
  const r2 = load<u64>(registers + R2);
  const r3 = load<u64>(registers + R3);
  const r4 = load<u64>(registers + R4);
  const r5 = load<u64>(registers + R5);
  const kinds = helper_arguments(cpu, id, slot);
  if (kinds && !changetype<Program>(cpu.program).trusted) check_arguments(cpu, kinds, slot, r1, r2, r3, r4, r5);
  store<u64>(registers + R0, call_helper(cpu, id, r1, r2, r3, r4, r5));
}

/** A legacy load from the packet, in network byte order; false when it is not all inside the packet. */
function loadPacket(cpu: Cpu, registers: usize, at: u64, size: u32): bool {
  const address = packet_address(cpu, at as i32, size);
  if (!address) return false;
  if (size == 4) store<u64>(registers, bswap<u32>(load<u32>(address)));
  else if (size == 2) store<u64>(registers, bswap<u16>(load<u16>(address)));
  else store<u64>(registers, load<u8>(address));
  return true;
}

/**
 * Runs the function at slot `entry` of the running program to its end, in the middle of the call of a helper; its r0.
 */
export function interpret_callback(cpu: Cpu, entry: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const state = changetype<Interpreter>(cpu.interpreter);
  const registers = cpu.interpreter + Interpreter_registers;
  const floor = state.floor;
  const slot = state.slot;
  enter(cpu, state, slot);
  store<u64>(registers + R1, r1);
  store<u64>(registers + R2, r2);
  store<u64>(registers + R3, r3);
  store<u64>(registers + R4, r4);
  store<u64>(registers + R5, r5);
  state.slot = entry;
  state.floor = state.depth;
  while (state.depth >= state.floor) {
    if (cpu.budget <= 0) fault(cpu, FAULT_BUDGET, state.slot, 0, 0);
    stretch(cpu, state, min(STRETCH, cpu.budget as u32));
  }
  state.floor = floor;
  state.slot = slot;
  return load<u64>(registers + R0);
}

/** A kernel function, as a helper is called. */
function callKfunc(cpu: Cpu, registers: usize, index: u32): void {
  const call = changetype<KfuncCall>(changetype<Program>(cpu.program).kfuncs + index * offsetof<KfuncCall>());
  if (call.typeAt) store<u64>(registers + (call.typeAt << 3), call.type as u64);
  if (call.offsetAt) store<u64>(registers + (call.offsetAt << 3), call.offset as u64);
  const r1 = load<u64>(registers + R1);
  const r2 = load<u64>(registers + R2);
  const r3 = load<u64>(registers + R3);
  const r4 = load<u64>(registers + R4);
  const r5 = load<u64>(registers + R5);
  store<u64>(registers + R0, call_kfunc(cpu, call.number, r1, r2, r3, r4, r5));
}

/** addr_space_cast: to the kernel's half of a pointer, or back to all of one of user space. */
function castPointer(program: Program, pointer: u32, spaces: u32): u64 {
  const arena = changetype<BpfMap>(program.arena);
  if (spaces != TO_USER_SPACE || !pointer || arena.flags & BPF_F_NO_USER_CONV) return pointer;
  return ((arena.extraHigh as u64) << 32) | (pointer as u64);
}

/**
 * Loads and stores of the arena, in modes that only the loader gives (Linux: BPF_PROBE_MEM32): 0xa0 in the place of MEM,
 * 0xc0 of MEMSX, 0xe0 of ATOMIC. False for any other instruction.
 */
function arenaAccess(cpu: Cpu, registers: usize, word: u64, slot: u32): bool {
  const opcode = (word as u32) & 0xff;
  const kind = opcode & 7;
  const mode = opcode & 0xe0;
  const code = (opcode >> 3) & 3;
  const size: u32 = code == 0 ? 4 : code == 1 ? 2 : code == 2 ? 1 : 8;
  const d = registers + (((word as u32) >> 5) & 0x78);
  const s = registers + (((word as u32) >> 9) & 0x78);
  if (!changetype<Program>(cpu.program).arena) return false;
  if (mode == 0xe0 && kind == 3) {
    atomic(cpu, registers, word, size, slot, true);
    return true;
  }
  const signed = mode == 0xc0;
  if (kind < 1 || kind > 3 || (mode != 0xa0 && !(signed && kind == 1))) return false;
  const pointer = load<u32>(kind == 1 ? s : d) + offset(word);
  const at = arena_address(cpu, pointer, size, kind == 1 ? 0 : 1, slot);
  if (kind != 1) storeSized(at, size, kind == 2 ? imm64(word) : load<u64>(s));
  else {
    const shift = signed ? ((8 - size) << 3) as u64 : 0;
    const value = loadSized(at, size) << shift;
    store<u64>(d, signed ? (((value as i64) >> (shift as i64)) as u64) : value);
  }
  return true;
}

/** The loop: at most `steps` instructions from where the state stands. */
function stretch(cpu: Cpu, state: Interpreter, steps: u32): void {
  const r: usize = changetype<usize>(state) + Interpreter_registers;
  const stack: u64 = POINTER_BASE | (cpu.stackStart as u64);
  let program = changetype<Program>(cpu.program);
  let insns: usize = program.insns;
  let bytes: usize = (program.insnCount as usize) << 3;
  let next: usize = insns + ((state.slot as usize) << 3);
  let left: i32 = steps as i32;

  do {
    const at: usize = next - insns;
    if (at >= bytes) fault(cpu, FAULT_ARGUMENT, (at >> 3) as u32, 0, 0);
    const slot: u32 = (at >> 3) as u32;
    const word: u64 = load<u64>(next);
    const d: usize = r + (((word as u32) >> 5) & 0x78);
    const s: usize = r + (((word as u32) >> 9) & 0x78);
    next += 8;

    switch ((word as u32) & 0xff) {
      // Arithmetic on 64 bits, with an immediate (sign-extended) or a register.
      case 0x07: store<u64>(d, load<u64>(d) + imm64(word)); continue; // add
      case 0x0f: store<u64>(d, load<u64>(d) + load<u64>(s)); continue;
      case 0x17: store<u64>(d, load<u64>(d) - imm64(word)); continue; // sub
      case 0x1f: store<u64>(d, load<u64>(d) - load<u64>(s)); continue;
      case 0x27: store<u64>(d, load<u64>(d) * imm64(word)); continue; // mul
      case 0x2f: store<u64>(d, load<u64>(d) * load<u64>(s)); continue;
      case 0x47: store<u64>(d, load<u64>(d) | imm64(word)); continue; // or
      case 0x4f: store<u64>(d, load<u64>(d) | load<u64>(s)); continue;
      case 0x57: store<u64>(d, load<u64>(d) & imm64(word)); continue; // and
      case 0x5f: store<u64>(d, load<u64>(d) & load<u64>(s)); continue;
      case 0xa7: store<u64>(d, load<u64>(d) ^ imm64(word)); continue; // xor
      case 0xaf: store<u64>(d, load<u64>(d) ^ load<u64>(s)); continue;
      case 0x67: store<u64>(d, load<u64>(d) << (imm64(word) & 63)); continue; // lsh
      case 0x6f: store<u64>(d, load<u64>(d) << (load<u64>(s) & 63)); continue;
      case 0x77: store<u64>(d, load<u64>(d) >> (imm64(word) & 63)); continue; // rsh
      case 0x7f: store<u64>(d, load<u64>(d) >> (load<u64>(s) & 63)); continue;
      case 0xc7: store<i64>(d, load<i64>(d) >> ((imm64(word) & 63) as i64)); continue; // arsh
      case 0xcf: store<i64>(d, load<i64>(d) >> ((load<u64>(s) & 63) as i64)); continue;
      case 0x87: store<u64>(d, 0 - load<u64>(d)); continue; // neg
      case 0x37: store<u64>(d, offset(word) ? signedDivide64(load<u64>(d), imm64(word)) : divide64(load<u64>(d), imm64(word))); continue; // div
      case 0x3f: store<u64>(d, offset(word) ? signedDivide64(load<u64>(d), load<u64>(s)) : divide64(load<u64>(d), load<u64>(s))); continue;
      case 0x97: store<u64>(d, offset(word) ? signedModulo64(load<u64>(d), imm64(word)) : modulo64(load<u64>(d), imm64(word))); continue; // mod
      case 0x9f: store<u64>(d, offset(word) ? signedModulo64(load<u64>(d), load<u64>(s)) : modulo64(load<u64>(d), load<u64>(s))); continue;
      case 0xb7: store<u64>(d, imm64(word)); continue; // mov
      case 0xbf:
        // The offset is the width to extend from, or 1 for addr_space_cast.
        switch (offset(word)) {
          case 0: store<u64>(d, load<u64>(s)); break;
          case 8: store<i64>(d, load<i8>(s)); break;
          case 16: store<i64>(d, load<i16>(s)); break;
          case 32: store<i64>(d, load<i32>(s)); break;
          default: store<u64>(d, castPointer(program, load<u32>(s), imm32(word)));
        }
        continue;
      case 0xd7: store<u64>(d, swap(load<u64>(d), imm32(word))); continue; // bswap

      // Arithmetic on the lower 32 bits; the upper ones become 0.
      case 0x04: set32(d, load<u32>(d) + imm32(word)); continue; // add
      case 0x0c: set32(d, load<u32>(d) + load<u32>(s)); continue;
      case 0x14: set32(d, load<u32>(d) - imm32(word)); continue; // sub
      case 0x1c: set32(d, load<u32>(d) - load<u32>(s)); continue;
      case 0x24: set32(d, load<u32>(d) * imm32(word)); continue; // mul
      case 0x2c: set32(d, load<u32>(d) * load<u32>(s)); continue;
      case 0x44: set32(d, load<u32>(d) | imm32(word)); continue; // or
      case 0x4c: set32(d, load<u32>(d) | load<u32>(s)); continue;
      case 0x54: set32(d, load<u32>(d) & imm32(word)); continue; // and
      case 0x5c: set32(d, load<u32>(d) & load<u32>(s)); continue;
      case 0xa4: set32(d, load<u32>(d) ^ imm32(word)); continue; // xor
      case 0xac: set32(d, load<u32>(d) ^ load<u32>(s)); continue;
      case 0x64: set32(d, load<u32>(d) << (imm32(word) & 31)); continue; // lsh
      case 0x6c: set32(d, load<u32>(d) << (load<u32>(s) & 31)); continue;
      case 0x74: set32(d, load<u32>(d) >> (imm32(word) & 31)); continue; // rsh
      case 0x7c: set32(d, load<u32>(d) >> (load<u32>(s) & 31)); continue;
      case 0xc4: set32(d, (load<i32>(d) >> (imm32(word) & 31)) as u32); continue; // arsh
      case 0xcc: set32(d, (load<i32>(d) >> (load<u32>(s) & 31)) as u32); continue;
      case 0x84: set32(d, 0 - load<u32>(d)); continue; // neg
      case 0x34: set32(d, offset(word) ? signedDivide32(load<u32>(d), imm32(word)) : divide32(load<u32>(d), imm32(word))); continue; // div
      case 0x3c: set32(d, offset(word) ? signedDivide32(load<u32>(d), load<u32>(s)) : divide32(load<u32>(d), load<u32>(s))); continue;
      case 0x94: set32(d, offset(word) ? signedModulo32(load<u32>(d), imm32(word)) : modulo32(load<u32>(d), imm32(word))); continue; // mod
      case 0x9c: set32(d, offset(word) ? signedModulo32(load<u32>(d), load<u32>(s)) : modulo32(load<u32>(d), load<u32>(s))); continue;
      case 0xb4: set32(d, imm32(word)); continue; // mov
      case 0xbc:
        switch (offset(word)) {
          case 8: set32(d, (load<i8>(s) as i32) as u32); break;
          case 16: set32(d, (load<i16>(s) as i32) as u32); break;
          default: set32(d, load<u32>(s));
        }
        continue;
      case 0xd4: store<u64>(d, truncate(load<u64>(d), imm32(word))); continue; // le
      case 0xdc: store<u64>(d, swap(load<u64>(d), imm32(word))); continue; // be

      // Jumps on 64 bits.
      case 0x15: next = jump(load<u64>(d) == imm64(word), next, word); continue; // jeq
      case 0x1d: next = jump(load<u64>(d) == load<u64>(s), next, word); continue;
      case 0x25: next = jump(load<u64>(d) > imm64(word), next, word); continue; // jgt
      case 0x2d: next = jump(load<u64>(d) > load<u64>(s), next, word); continue;
      case 0x35: next = jump(load<u64>(d) >= imm64(word), next, word); continue; // jge
      case 0x3d: next = jump(load<u64>(d) >= load<u64>(s), next, word); continue;
      case 0x45: next = jump((load<u64>(d) & imm64(word)) != 0, next, word); continue; // jset
      case 0x4d: next = jump((load<u64>(d) & load<u64>(s)) != 0, next, word); continue;
      case 0x55: next = jump(load<u64>(d) != imm64(word), next, word); continue; // jne
      case 0x5d: next = jump(load<u64>(d) != load<u64>(s), next, word); continue;
      case 0x65: next = jump(load<i64>(d) > (imm64(word) as i64), next, word); continue; // jsgt
      case 0x6d: next = jump(load<i64>(d) > load<i64>(s), next, word); continue;
      case 0x75: next = jump(load<i64>(d) >= (imm64(word) as i64), next, word); continue; // jsge
      case 0x7d: next = jump(load<i64>(d) >= load<i64>(s), next, word); continue;
      case 0xa5: next = jump(load<u64>(d) < imm64(word), next, word); continue; // jlt
      case 0xad: next = jump(load<u64>(d) < load<u64>(s), next, word); continue;
      case 0xb5: next = jump(load<u64>(d) <= imm64(word), next, word); continue; // jle
      case 0xbd: next = jump(load<u64>(d) <= load<u64>(s), next, word); continue;
      case 0xc5: next = jump(load<i64>(d) < (imm64(word) as i64), next, word); continue; // jslt
      case 0xcd: next = jump(load<i64>(d) < load<i64>(s), next, word); continue;
      case 0xd5: next = jump(load<i64>(d) <= (imm64(word) as i64), next, word); continue; // jsle
      case 0xdd: next = jump(load<i64>(d) <= load<i64>(s), next, word); continue;

      // Jumps on the lower 32 bits.
      case 0x16: next = jump(load<u32>(d) == imm32(word), next, word); continue; // jeq
      case 0x1e: next = jump(load<u32>(d) == load<u32>(s), next, word); continue;
      case 0x26: next = jump(load<u32>(d) > imm32(word), next, word); continue; // jgt
      case 0x2e: next = jump(load<u32>(d) > load<u32>(s), next, word); continue;
      case 0x36: next = jump(load<u32>(d) >= imm32(word), next, word); continue; // jge
      case 0x3e: next = jump(load<u32>(d) >= load<u32>(s), next, word); continue;
      case 0x46: next = jump((load<u32>(d) & imm32(word)) != 0, next, word); continue; // jset
      case 0x4e: next = jump((load<u32>(d) & load<u32>(s)) != 0, next, word); continue;
      case 0x56: next = jump(load<u32>(d) != imm32(word), next, word); continue; // jne
      case 0x5e: next = jump(load<u32>(d) != load<u32>(s), next, word); continue;
      case 0x66: next = jump(load<i32>(d) > (imm32(word) as i32), next, word); continue; // jsgt
      case 0x6e: next = jump(load<i32>(d) > load<i32>(s), next, word); continue;
      case 0x76: next = jump(load<i32>(d) >= (imm32(word) as i32), next, word); continue; // jsge
      case 0x7e: next = jump(load<i32>(d) >= load<i32>(s), next, word); continue;
      case 0xa6: next = jump(load<u32>(d) < imm32(word), next, word); continue; // jlt
      case 0xae: next = jump(load<u32>(d) < load<u32>(s), next, word); continue;
      case 0xb6: next = jump(load<u32>(d) <= imm32(word), next, word); continue; // jle
      case 0xbe: next = jump(load<u32>(d) <= load<u32>(s), next, word); continue;
      case 0xc6: next = jump(load<i32>(d) < (imm32(word) as i32), next, word); continue; // jslt
      case 0xce: next = jump(load<i32>(d) < load<i32>(s), next, word); continue;
      case 0xd6: next = jump(load<i32>(d) <= (imm32(word) as i32), next, word); continue; // jsle
      case 0xde: next = jump(load<i32>(d) <= load<i32>(s), next, word); continue;
      case 0x05: next += (offset(word) as usize) << 3; continue; // ja
      case 0x06: next += (imm32(word) as usize) << 3; continue; // gotol
      case 0xe5: // may_goto
        if (state.loops) state.loops--;
        else next += (offset(word) as usize) << 3;
        continue;

      // Loads and stores.
      case 0x71: store<u64>(d, load<u8>(reach(cpu, stack, load<u64>(s) + offset(word), 1, 0, slot))); continue;
      case 0x69: store<u64>(d, load<u16>(reach(cpu, stack, load<u64>(s) + offset(word), 2, 0, slot))); continue;
      case 0x61: store<u64>(d, load<u32>(reach(cpu, stack, load<u64>(s) + offset(word), 4, 0, slot))); continue;
      case 0x79: store<u64>(d, load<u64>(reach(cpu, stack, load<u64>(s) + offset(word), 8, 0, slot))); continue;
      case 0x91: store<i64>(d, load<i8>(reach(cpu, stack, load<u64>(s) + offset(word), 1, 0, slot))); continue;
      case 0x89: store<i64>(d, load<i16>(reach(cpu, stack, load<u64>(s) + offset(word), 2, 0, slot))); continue;
      case 0x81: store<i64>(d, load<i32>(reach(cpu, stack, load<u64>(s) + offset(word), 4, 0, slot))); continue;
      case 0x72: store<u8>(reach(cpu, stack, load<u64>(d) + offset(word), 1, 1, slot), imm64(word) as u8); continue;
      case 0x6a: store<u16>(reach(cpu, stack, load<u64>(d) + offset(word), 2, 1, slot), imm64(word) as u16); continue;
      case 0x62: store<u32>(reach(cpu, stack, load<u64>(d) + offset(word), 4, 1, slot), imm64(word) as u32); continue;
      case 0x7a: store<u64>(reach(cpu, stack, load<u64>(d) + offset(word), 8, 1, slot), imm64(word) as u64); continue;
      case 0x73: store<u8>(reach(cpu, stack, load<u64>(d) + offset(word), 1, 1, slot), load<u8>(s)); continue;
      case 0x6b: store<u16>(reach(cpu, stack, load<u64>(d) + offset(word), 2, 1, slot), load<u16>(s)); continue;
      case 0x63: store<u32>(reach(cpu, stack, load<u64>(d) + offset(word), 4, 1, slot), load<u32>(s)); continue;
      case 0x7b: store<u64>(reach(cpu, stack, load<u64>(d) + offset(word), 8, 1, slot), load<u64>(s)); continue;
      case 0xd3: atomic(cpu, r, word, 1, slot); continue;
      case 0xcb: atomic(cpu, r, word, 2, slot); continue;
      case 0xc3: atomic(cpu, r, word, 4, slot); continue;
      case 0xdb: atomic(cpu, r, word, 8, slot); continue;
      case 0x18: // ld_imm64
        store<u64>(d, (load<u32>(next, 4) as u64) << 32 | (imm32(word) as u64));
        next += 8;
        continue;
      case 0x20: case 0x28: case 0x30: case 0x40: case 0x48: case 0x50: {
        // ABS or IND, of a word, half word or byte.
        const kind = word as u32;
        const size: u32 = (kind & 0x18) == 0x10 ? 1 : (kind & 0x18) == 0x08 ? 2 : 4;
        const from: u64 = (kind & 0xe0) == 0x40 ? load<u64>(s) + imm64(word) : imm64(word);
        if (loadPacket(cpu, r, from, size)) continue;
        store<u64>(r, 0, R0);
        leave(cpu, state);
        break;
      }
      case 0x85: { // call
        const kind = ((word as u32) >> 12) & 15;
        const id = imm32(word);
        if (kind == 1) {
          enter(cpu, state, slot);
          next += (id as usize) << 3;
          continue;
        }
        state.slot = slot;
        if (kind == 2) {
          callKfunc(cpu, r, id);
          continue;
        }
        if (kind) fault(cpu, FAULT_ARGUMENT, slot, id, 0);
        if (id != TAIL_CALL) {
          callHelper(cpu, r, id, slot);
          continue;
        }
        if (!tailCall(cpu, state, slot)) continue;
        state.slot = 0;
        break;
      }
      case 0x95: // exit
        leave(cpu, state);
        break;
      default: // callx and gotox among them, which no program may be loaded with
        if (arenaAccess(cpu, r, word, slot)) continue;
        fault(cpu, FAULT_ARGUMENT, slot, word, 0);
    }

    // Another function, or the end.
    if (state.status == INTERPRETER_EXITED) {
      left--;
      break;
    }
    program = changetype<Program>(cpu.program);
    insns = program.insns;
    bytes = (program.insnCount as usize) << 3;
    next = insns + ((state.slot as usize) << 3);
    if (state.depth < state.floor) {
      left--;
      break;
    }
  } while (--left);

  if (state.status == INTERPRETER_RUNNING) state.slot = ((next - insns) >> 3) as u32;
  const taken: u32 = steps - (left as u32);
  state.steps += taken;
  cpu.budget -= taken as i32;
}
