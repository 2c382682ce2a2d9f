// Checked mode: which memory a program may touch, decided for each access. Code that the verifier has
// accepted needs none of this.

import {
  ACCESS_READ, ACCESS_WRITE, ARG_BITS, ARG_CTX, ARG_MAP, ARG_MAP_KEY, ARG_MAP_VALUE, ARG_MAP_VALUE_OUT,
  ARG_PERF_EVENT_ARRAY, ARG_PROG_ARRAY, ARG_READ, ARG_READ_OR_NULL, ARG_REDIRECT_MAP, ARG_RINGBUF,
  ARG_RINGBUF_RECORD, ARG_WRITE, ARG_WRITE_4, ARG_WRITE_8, ARG_WRITE_OR_NULL, BpfMap, Cpu, FAULT_ARGUMENT, FAULT_BOUNDS, FAULT_NULL, FAULT_READ_ONLY,
  FIRST_OFFSET, POINTER_BASE, Program,
} from './layout';
import { mapAround, reachesMap, reachesRecord } from './maps/reach';
import { BLOOM_FILTER, CPUMAP, DEVMAP, DEVMAP_HASH, PERF_EVENT_ARRAY, PROG_ARRAY, RINGBUF, XSKMAP } from './maps/types';

/** Ends the run: notes what happened and traps; the host reads it from the CPU. */
export function fault(cpu: Cpu, kind: u32, slot: u32, address: u64, size: u32): void {
  cpu.faultKind = kind;
  cpu.faultSlot = slot;
  cpu.faultProgram = cpu.program;
  cpu.faultAddress = address;
  cpu.faultSize = size;
  unreachable();
}

/** The offset in linear memory of a kernel pointer, or 0 when it is none. Packet pointers have no upper half. */
@inline function offsetOf(pointer: u64): usize {
  return pointer >> 32 == POINTER_BASE >> 32 ? (pointer as usize) : 0;
}

/** Whether all bytes of [at, at + size) of the context may be written. */
function mayWrite(program: Program, at: usize, size: u32): bool {
  if (!program.ctxWritable) return false;
  for (const end = at + size; at < end; at++) {
    if (!((load<u8>(program.ctxWritable + (at >> 3)) >> ((at & 7) as u8)) & 1)) return false;
  }
  return true;
}

/** Ends the run unless the program may read (or write) `size` bytes at `pointer`. `size` is below 2^31. */
export function check_access(cpu: Cpu, pointer: u64, size: u32, write: u32, slot: u32): void {
  const inside = pointer - (cpu.packetStart as u64);
  const length = (cpu.packetEnd - cpu.packetStart) as u64;
  if (inside <= length && inside + size <= length) return;
  const program = changetype<Program>(cpu.program);
  const at = offsetOf(pointer);
  if (at < FIRST_OFFSET) {
    fault(cpu, pointer < FIRST_OFFSET ? FAULT_NULL : FAULT_BOUNDS, slot, pointer, size);
  }
  if (at - cpu.stackStart <= cpu.stackEnd - cpu.stackStart && at + size <= cpu.stackEnd) return;
  const inContext = at - cpu.ctx;
  if (inContext < program.ctxSize && inContext + size <= program.ctxSize) {
    if (write && !mayWrite(program, inContext, size)) fault(cpu, FAULT_READ_ONLY, slot, pointer, size);
    return;
  }
  if (inContext >= program.objectsField && inContext + size <= program.objectsEnd) return;
  for (let i: u32 = 0; i < program.mapCount; i++) {
    const map = mapAround(load<usize>(program.maps + (i << 2)), at, size);
    if (map) {
      if (!(changetype<BpfMap>(map).access & (write ? ACCESS_WRITE : ACCESS_READ))) fault(cpu, FAULT_READ_ONLY, slot, pointer, size);
      return;
    }
  }
  fault(cpu, FAULT_BOUNDS, slot, pointer, size);
}

/**
 * Where the interpreter finds what a program reads (writes) at `pointer`, when that is neither packet nor stack. A pointer
 * of an accepted program may still lead nowhere: what is read there is 0 (Linux: BPF_PROBE_MEM), as page 0 is.
 */
export function reachable(cpu: Cpu, pointer: u64, size: u32, write: u32, slot: u32): usize {
  if (!changetype<Program>(cpu.program).trusted) check_access(cpu, pointer, size, write, slot);
  else if (pointer >> 32 != POINTER_BASE >> 32 && pointer - FIRST_OFFSET >= 1 << 32) {
    if (write) fault(cpu, FAULT_NULL, slot, pointer, size);
    return 0;
  }
  return pointer as usize;
}

/** The map that a helper was given, or the end of the run. */
export function check_map(cpu: Cpu, pointer: u64, slot: u32): usize {
  const program = changetype<Program>(cpu.program);
  const at = offsetOf(pointer);
  for (let i: u32 = 0; i < program.mapCount; i++) {
    if (at && reachesMap(load<usize>(program.maps + (i << 2)), at)) return at;
  }
  fault(cpu, FAULT_ARGUMENT, slot, pointer, 0);
  return 0;
}

/** A map of type `type`, or the end of the run. */
@inline function checkMapType(cpu: Cpu, pointer: u64, type: u32, slot: u32): void {
  if (changetype<BpfMap>(check_map(cpu, pointer, slot)).type != type) fault(cpu, FAULT_ARGUMENT, slot, pointer, 0);
}

function checkRedirectMap(cpu: Cpu, pointer: u64, slot: u32): void {
  const type = changetype<BpfMap>(check_map(cpu, pointer, slot)).type;
  const redirects = type == DEVMAP || type == DEVMAP_HASH || type == CPUMAP || type == XSKMAP;
  if (!redirects) fault(cpu, FAULT_ARGUMENT, slot, pointer, 0);
}

/** The data of a record that is being written to a ring buffer, or the end of the run. */
function checkRecord(cpu: Cpu, pointer: u64, slot: u32): void {
  const program = changetype<Program>(cpu.program);
  const at = offsetOf(pointer);
  for (let i: u32 = 0; i < program.mapCount; i++) {
    if (at && reachesRecord(load<usize>(program.maps + (i << 2)), at)) return;
  }
  fault(cpu, FAULT_ARGUMENT, slot, pointer, 0);
}

/** Checks one argument of a helper; `next` is the argument after it, `first` the first. */
function checkArgument(cpu: Cpu, kind: u32, value: u64, next: u64, first: u64, slot: u32): void {
  if (kind == ARG_CTX) {
    if (offsetOf(value) != cpu.ctx) fault(cpu, FAULT_ARGUMENT, slot, value, 0);
  } else if (kind == ARG_MAP) {
    check_map(cpu, value, slot);
  } else if (kind == ARG_PROG_ARRAY) {
    checkMapType(cpu, value, PROG_ARRAY, slot);
  } else if (kind == ARG_RINGBUF) {
    checkMapType(cpu, value, RINGBUF, slot);
  } else if (kind == ARG_PERF_EVENT_ARRAY) {
    checkMapType(cpu, value, PERF_EVENT_ARRAY, slot);
  } else if (kind == ARG_REDIRECT_MAP) {
    checkRedirectMap(cpu, value, slot);
  } else if (kind == ARG_RINGBUF_RECORD) {
    checkRecord(cpu, value, slot);
  } else if (kind == ARG_MAP_KEY) {
    check_access(cpu, value, changetype<BpfMap>(first as usize).keySize, 0, slot);
  } else if (kind == ARG_MAP_VALUE) {
    check_access(cpu, value, changetype<BpfMap>(first as usize).valueSize, 0, slot);
  } else if (kind == ARG_MAP_VALUE_OUT) {
    const map = changetype<BpfMap>(first as usize);
    check_access(cpu, value, map.valueSize, map.type == BLOOM_FILTER ? 0 : 1, slot);
  } else if (kind == ARG_WRITE_4 || kind == ARG_WRITE_8) {
    check_access(cpu, value, kind == ARG_WRITE_4 ? 4 : 8, 1, slot);
  } else if (kind == ARG_READ || kind == ARG_WRITE || kind == ARG_READ_OR_NULL || kind == ARG_WRITE_OR_NULL) {
    if (next > 0x1fffffff) fault(cpu, FAULT_ARGUMENT, slot, next, 0);
    if ((kind == ARG_READ_OR_NULL || kind == ARG_WRITE_OR_NULL) && !next) return;
    check_access(cpu, value, next as u32, kind == ARG_WRITE || kind == ARG_WRITE_OR_NULL ? 1 : 0, slot);
  }
}

/** Checks a helper's arguments against their packed kinds. */
export function check_arguments(
  cpu: Cpu, kinds: u32, slot: u32, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64,
): void {
  const mask: u32 = (1 << ARG_BITS) - 1;
  if (kinds & mask) checkArgument(cpu, kinds & mask, r1, r2, r1, slot);
  kinds >>= ARG_BITS;
  if (kinds & mask) checkArgument(cpu, kinds & mask, r2, r3, r1, slot);
  kinds >>= ARG_BITS;
  if (kinds & mask) checkArgument(cpu, kinds & mask, r3, r4, r1, slot);
  kinds >>= ARG_BITS;
  if (kinds & mask) checkArgument(cpu, kinds & mask, r4, r5, r1, slot);
  kinds >>= ARG_BITS;
  if (kinds & mask) checkArgument(cpu, kinds & mask, r5, 0, r1, slot);
}
