// Perf event arrays (Linux: kernel/trace/bpf_trace.c, kernel/events/ring_buffer.c) and the buffers in their slots: each
// is one CPU's, and bpf_perf_event_output appends records to it that user space takes.
//
//   record      +0 type | +4 misc (u16) | +6 length of it all (u16) | +8 what the type has
//     sample    +8 time (u64), in buffers with times | bytes that follow | data, padded so that the record is a
//               multiple of 8
//     lost      +8 id (u64) | +16 how many samples found no room since the last record (u64)
//   block       PerfBuffer | data | as many bytes again: a record that reaches over the end goes on behind it

import { bpf_ktime_get_ns } from '../helpers/time';
import { BpfMap } from '../layout';
import { E2BIG, ENOENT, ENOSPC, EOPNOTSUPP } from './errno';
import { place } from './place';

const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_SAMPLE: u32 = 9;
const HEADER: u32 = 8;
const TIME_SIZE: u32 = 8;
const LOST_SIZE: u32 = 24;
/** A record's length has 16 bits. */
const LARGEST_RECORD: u64 = 0xffff;

const BPF_F_INDEX_MASK: u64 = 0xffffffff;
const BPF_F_CURRENT_CPU: u64 = 0xffffffff;

/** A software event of type PERF_COUNT_SW_BPF_OUTPUT on one CPU, with its buffer. */
@unmanaged class PerfBuffer {
  cpu: u32 = 0;
  /** Bytes of data, a power of two. */
  size: u32 = 0;
  data: usize = 0;
  wakeups: u32 = 0;
  /** Samples say when they were sent. */
  times: bool = false;
  head: u64 = 0;
  tail: u64 = 0;
  lost: u64 = 0;
}

/** Slots hold the address of a PerfBuffer, 0 when empty. */
export function perf_event_array_create(draft: BpfMap): usize {
  draft.count = draft.maxEntries;
  draft.access = 0;
  return place(draft, 0, draft.maxEntries, 4, true);
}

/** Makes a buffer of `size` bytes, a power of two of pages; 0 when that is too large. */
export function perf_buffer_create(cpu: u32, size: u32, times: bool): usize {
  const before = (offsetof<PerfBuffer>() + 15) & ~15;
  if (size > 1 << 28) return 0;
  const at = heap.alloc(before + 2 * size);
  memory.fill(at, 0, before);
  const buffer = changetype<PerfBuffer>(at);
  buffer.cpu = cpu;
  buffer.size = size;
  buffer.times = times;
  buffer.data = at + before;
  return at;
}

@inline function recordAt(buffer: PerfBuffer, position: u64): usize {
  return buffer.data + ((position & ((buffer.size - 1) as u64)) as usize);
}

@inline function writeHeader(at: usize, type: u32, size: u32): void {
  store<u32>(at, type);
  store<u16>(at, 0, 4);
  store<u16>(at, size as u16, 6);
}

/** Appends a sample: `size` bytes at `data`, then `moreSize` at `more`. -ENOSPC when there is no room, which is counted. */
function append(buffer: PerfBuffer, data: usize, size: u64, more: usize, moreSize: u64): i32 {
  const header: u32 = HEADER + (buffer.times ? TIME_SIZE : 0) + 4;
  const length = (header + size + moreSize + 7) & ~7;
  if (length > LARGEST_RECORD) return -E2BIG;
  const all = buffer.lost ? length + LOST_SIZE : length;
  // One byte stays free, so that a full buffer differs from an empty one.
  if (all > buffer.size - 1 - (buffer.head - buffer.tail)) {
    buffer.lost++;
    return -ENOSPC;
  }
  if (buffer.lost) {
    const at = recordAt(buffer, buffer.head);
    writeHeader(at, PERF_RECORD_LOST, LOST_SIZE);
    store<u64>(at, 0, 8);
    store<u64>(at, buffer.lost, 16);
    buffer.lost = 0;
    buffer.head += LOST_SIZE;
  }
  const at = recordAt(buffer, buffer.head);
  writeHeader(at, PERF_RECORD_SAMPLE, length as u32);
  if (buffer.times) store<u64>(at, bpf_ktime_get_ns(0), HEADER);
  const start = at + header;
  store<u32>(start - 4, (length as u32) - header);
  memory.copy(start, data, size as usize);
  memory.copy(start + (size as usize), more, moreSize as usize);
  const end = start + (size as usize) + (moreSize as usize);
  memory.fill(end, 0, at + (length as usize) - end);
  buffer.head += length;
  buffer.wakeups++;
  return 0;
}

/**
 * Sends a sample to the buffer in the slot that the lower half of `flags` names (all ones: the CPU's own). Errors in
 * Linux's order: -E2BIG (no such slot), -ENOENT (empty), -EOPNOTSUPP (another CPU's buffer), -ENOSPC (full).
 */
export function perf_event_output(
  map: usize, flags: u64, data: usize, size: u64, more: usize, moreSize: u64, cpuId: u32,
): i32 {
  const header = changetype<BpfMap>(map);
  let index = flags & BPF_F_INDEX_MASK;
  if (index == BPF_F_CURRENT_CPU) index = cpuId as u64;
  if (index >= (header.maxEntries as u64)) return -E2BIG;
  const slot = load<usize>(header.values + ((index as usize) << 2));
  if (!slot) return -ENOENT;
  const buffer = changetype<PerfBuffer>(slot);
  if (buffer.cpu != cpuId) return -EOPNOTSUPP;
  return append(buffer, data, size, more, moreSize);
}

// ---- user space's side

/** The oldest record, 0 when there is none. */
export function perf_buffer_peek(at: usize): usize {
  const buffer = changetype<PerfBuffer>(at);
  return buffer.tail == buffer.head ? 0 : recordAt(buffer, buffer.tail);
}

/** The record that `perf_buffer_peek` gave was read: its room is free again. */
export function perf_buffer_release(at: usize): void {
  const buffer = changetype<PerfBuffer>(at);
  buffer.tail += load<u16>(recordAt(buffer, buffer.tail), 6) as u64;
}

/** Whether samples say when they were sent. */
export function perf_buffer_times(at: usize): bool {
  return changetype<PerfBuffer>(at).times;
}

/** How often readers were woken. */
export function perf_buffer_wakeups(at: usize): u32 {
  return changetype<PerfBuffer>(at).wakeups;
}
