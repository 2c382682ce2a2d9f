// Ring buffers (Linux: kernel/bpf/ringbuf.c): records of any length that programs write and user space reads, in
// the order in which they were reserved; in a user ring buffer it is the other way round.
//
//   record      +0 length, bit 31: still being written, bit 30: discarded | +4 page offset | +8 data, padded to 8
//   positions   bytes since the ring was made: a record lies at its position modulo the ring's size
//   block       BpfMap | Ring | the map's address | page-aligned: data | as many bytes again
//
// A record that reaches over the end of the data goes on behind it, in one piece. Linux maps the same pages there
// again; here nobody looks for its bytes at the front, and the next record lies where it would lie there.

import { BpfMap, PAGE } from '../layout';
import { E2BIG, EAGAIN, EINVAL, ENOSPC } from './errno';
import { HEADER, place } from './place';

const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const RECORD_HEADER: u32 = 8;
/** RINGBUF_MAX_RECORD_SZ. */
const LARGEST_RECORD: u64 = 0x3fffffff;
/** Pages of Linux's struct bpf_ringbuf before the data: a record's page offset counts from there. */
const PAGES_BEFORE: u32 = 3;

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/** What bpf_ringbuf_query tells. */
const BPF_RB_AVAIL_DATA: u64 = 0;
const BPF_RB_RING_SIZE: u64 = 1;
const BPF_RB_CONS_POS: u64 = 2;
const BPF_RB_PROD_POS: u64 = 3;

/** Positions of a ring, and how often its readers were woken. Lies between header and data. */
@unmanaged class Ring {
  consumer: u64 = 0;
  producer: u64 = 0;
  wakeups: u32 = 0;
}

@inline function ringOf(map: usize): Ring {
  return changetype<Ring>(map + HEADER);
}

/** Size of the data less one: sizes are powers of two. */
@inline function maskOf(map: usize): u64 {
  return (changetype<BpfMap>(map).maxEntries - 1) as u64;
}

@inline function headerAt(map: usize, position: u64): usize {
  return changetype<BpfMap>(map).values + ((position & maskOf(map)) as usize);
}

/** Bytes that a record of `size` takes. */
@inline function taken(size: u32): u64 {
  return ((size as u64) + RECORD_HEADER + 7) & ~7;
}

@inline function lengthOf(header: u32): u32 {
  return header & ~(BUSY | DISCARD);
}

export function ringbuf_create(draft: BpfMap): usize {
  const size = draft.maxEntries as u64;
  const map = place(draft, offsetof<Ring>(), 2 * size + PAGE + sizeof<usize>(), 1, true);
  if (!map) return 0;
  const header = changetype<BpfMap>(map);
  header.values = (header.values + sizeof<usize>() + PAGE - 1) & ~((PAGE - 1) as usize);
  // What programs may touch are no elements, but records that are being written: see ringbuf_holds.
  header.length = 0;
  store<usize>(header.values - sizeof<usize>(), map);
  closeAll(map);
  return map;
}

/** The ring that a record (its data) is of, as Linux finds it: by the page offset. */
function ringOfRecord(record: usize): usize {
  const header = record - RECORD_HEADER;
  const data = (header & ~((PAGE - 1) as usize)) - (load<u32>(header, 4) - PAGES_BEFORE) * PAGE;
  return load<usize>(data - sizeof<usize>());
}

/** Room for a record of `size` bytes: the address of its data, or 0 when there is none. */
function claim(map: usize, size: u64): usize {
  if (size > LARGEST_RECORD) return 0;
  const ring = ringOf(map);
  const length = taken(size as u32);
  const mask = maskOf(map);
  if (length > mask + 1) return 0;
  const end = ring.producer + length;
  if (end - ring.consumer > mask) return 0;
  const header = headerAt(map, ring.producer);
  const page = ((header - changetype<BpfMap>(map).values) as u32) / PAGE + PAGES_BEFORE;
  store<u32>(header, (size as u32) | BUSY);
  store<u32>(header, page, 4);
  ring.producer = end;
  return header + RECORD_HEADER;
}

/** The same for a record that the program writes itself. */
export function ringbuf_reserve(map: usize, size: u64): usize {
  const record = claim(map, size);
  if (record) opened(map, record, size as u32);
  return record;
}

/** Hands a reserved record over to the reader, or drops it, and wakes who waits for it. */
export function ringbuf_commit(record: usize, flags: u64, discard: bool): void {
  closed(record);
  commit(record, flags, discard);
}

function commit(record: usize, flags: u64, discard: bool): void {
  const map = ringOfRecord(record);
  const ring = ringOf(map);
  const header = record - RECORD_HEADER;
  store<u32>(header, (load<u32>(header) ^ BUSY) | (discard ? DISCARD : 0));
  const awaited = headerAt(map, ring.consumer) == header;
  if (flags & BPF_RB_FORCE_WAKEUP || (awaited && !(flags & BPF_RB_NO_WAKEUP))) ring.wakeups++;
}

/** Reserves, copies and commits: 0, -EINVAL (flags) or -EAGAIN (no room). */
export function ringbuf_output(map: usize, data: usize, size: u64, flags: u64): i32 {
  if (flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) return -EINVAL;
  const record = claim(map, size);
  if (!record) return -EAGAIN;
  memory.copy(record, data, size as usize);
  commit(record, flags, false);
  return 0;
}

export function ringbuf_query(map: usize, what: u64): u64 {
  const ring = ringOf(map);
  if (what == BPF_RB_AVAIL_DATA) return ring.producer - ring.consumer;
  if (what == BPF_RB_RING_SIZE) return maskOf(map) + 1;
  if (what == BPF_RB_CONS_POS) return ring.consumer;
  if (what == BPF_RB_PROD_POS) return ring.producer;
  return 0;
}

// ---- checked mode: which records are being written

/** Records that programs have reserved and not handed over, in the order of reservation; the oldest makes room. */
@unmanaged class OpenRecord {
  /** Address of its data; 0 when it was handed over. */
  record: usize = 0;
  map: usize = 0;
  size: u32 = 0;
  reserved: u32 = 0;
}

/** A program that has more of them at once finds that it may not touch the oldest. A power of two. */
const OPEN_RECORDS: u32 = 64;
const openRecords = memory.data(64 * 16, 16);
let newest: u32 = 0;

/** The record that was reserved `ago` reservations before the newest. */
@inline function openRecord(ago: u32): OpenRecord {
  return changetype<OpenRecord>(openRecords + (((newest - ago) & (OPEN_RECORDS - 1)) << 4));
}

function opened(map: usize, record: usize, size: u32): void {
  newest++;
  const open = openRecord(0);
  open.record = record;
  open.map = map;
  open.size = size;
}

function closed(record: usize): void {
  for (let ago: u32 = 0; ago < OPEN_RECORDS; ago++) {
    const open = openRecord(ago);
    if (open.record != record) continue;
    open.record = 0;
    return;
  }
}

/** Forgets the records of a map that was here before. */
function closeAll(map: usize): void {
  for (let ago: u32 = 0; ago < OPEN_RECORDS; ago++) if (openRecord(ago).map == map) openRecord(ago).record = 0;
}

/** Whether a program may touch [at, at + size): it lies in a record of `map` that is being written. */
export function ringbuf_holds(map: usize, at: usize, size: u32): bool {
  const offset = at - changetype<BpfMap>(map).values;
  if (offset >= (changetype<BpfMap>(map).maxEntries as usize) * 2) return false;
  for (let ago: u32 = 0; ago < OPEN_RECORDS; ago++) {
    const open = openRecord(ago);
    if (!open.record || open.map != map || at < open.record) continue;
    if (at + size <= open.record + open.size) return true;
  }
  return false;
}

/** Whether `at` is the data of a record of `map` that is being written. */
export function ringbuf_is_record(map: usize, at: usize): bool {
  for (let ago: u32 = 0; ago < OPEN_RECORDS; ago++) {
    const open = openRecord(ago);
    if (open.record == at && open.map == map) return true;
  }
  return false;
}

// ---- user space's side

/** The data of the oldest record that is complete, 0 when there is none; discarded ones before it are gone. */
export function ringbuf_peek(map: usize): usize {
  const ring = ringOf(map);
  while (ring.consumer < ring.producer) {
    const header = headerAt(map, ring.consumer);
    const word = load<u32>(header);
    if (word & BUSY) return 0;
    if (!(word & DISCARD)) return header + RECORD_HEADER;
    ring.consumer += taken(lengthOf(word));
  }
  return 0;
}

/** Bytes of a record that is complete. */
export function ringbuf_length(record: usize): u32 {
  return lengthOf(load<u32>(record - RECORD_HEADER));
}

/** The record that `ringbuf_peek` gave was read: its room is free again. */
export function ringbuf_release(map: usize): void {
  const ring = ringOf(map);
  ring.consumer += taken(lengthOf(load<u32>(headerAt(map, ring.consumer))));
}

/** How often readers were woken. */
export function ringbuf_wakeups(map: usize): u32 {
  return ringOf(map).wakeups;
}

/**
 * Puts a record of `size` bytes into a user ring buffer, as libbpf's user_ring_buffer__reserve: the address of its data,
 * -E2BIG or -ENOSPC. Unlike a program's ring buffer it may be filled to the last byte.
 */
export function user_ringbuf_put(map: usize, size: u32): i32 {
  const ring = ringOf(map);
  if (size != lengthOf(size)) return -E2BIG;
  const length = taken(size);
  const all = maskOf(map) + 1;
  if (length > all) return -E2BIG;
  if (length > all - (ring.producer - ring.consumer)) return -ENOSPC;
  const header = headerAt(map, ring.producer);
  store<u32>(header, size);
  store<u32>(header, 0, 4);
  ring.producer += length;
  return (header + RECORD_HEADER) as i32;
}
