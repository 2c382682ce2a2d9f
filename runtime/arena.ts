// Arenas (Linux: kernel/bpf/arena.c): memory that programs and user space share, whose pointers are those of user space.
// Programs use their lower 32 bits. Memory is made a chunk at a time, when one of its pages is first allocated.
//
//   values    for each chunk its address, 0: not made yet
//   state     a byte for each page: whether it is allocated
//
// What is read of a page that is not allocated is 0, and what is written is lost, as where Linux takes the page fault.

import { fault } from './check';
import { BpfMap, Cpu, FAULT_BOUNDS, PAGE, Program } from './layout';
import { place } from './maps/place';

const CHUNK_SHIFT: u32 = 20;
const CHUNK: u32 = 1 << CHUNK_SHIFT;
const PAGE_SHIFT: u32 = 12;
/** The last page of 4 GiB is never given out, as observed in Linux 6.18. */
const MOST_PAGES: u32 = (1 << 20) - 1;

/** Where writes to nowhere go. */
const nowhere = memory.data(16, 16);

/** A map of type arena; `extra` and `extraHigh` are the address in user space. */
export function arena_create(draft: BpfMap): usize {
  const chunks = ((draft.maxEntries as u64) * PAGE + CHUNK - 1) >> (CHUNK_SHIFT as u64);
  draft.access = 0;
  const map = place(draft, draft.maxEntries, chunks, 4, true);
  if (map) changetype<BpfMap>(map).state = changetype<BpfMap>(map).values - ((draft.maxEntries + 15) & ~15);
  return map;
}

export function arena_destroy(map: usize): void {
  const header = changetype<BpfMap>(map);
  for (let at = header.values; at < header.values + header.capacity; at += 4) {
    if (load<usize>(at)) heap.free(load<usize>(at));
  }
}

@inline function isAllocated(header: BpfMap, page: u32): bool {
  return page < header.maxEntries && load<u8>(header.state + page) != 0;
}

/** Where the page is. Its chunk is made if need be. */
function pageAt(header: BpfMap, page: u32): usize {
  const slot = header.values + ((page >> (CHUNK_SHIFT - PAGE_SHIFT)) << 2);
  if (!load<usize>(slot)) {
    const chunk = heap.alloc(CHUNK);
    memory.fill(chunk, 0, CHUNK);
    store<usize>(slot, chunk);
  }
  return load<usize>(slot) + ((page << PAGE_SHIFT) & (CHUNK - 1));
}

/** Where `size` bytes at the pointer (its lower half) are, for the program that is running. */
export function arena_address(cpu: Cpu, pointer: u32, size: u32, write: u32, slot: u32): usize {
  const header = changetype<BpfMap>(changetype<Program>(cpu.program).arena);
  const offset = pointer - header.extra;
  const page = offset >> PAGE_SHIFT;
  if (!isAllocated(header, page) || !isAllocated(header, (offset + size - 1) >> PAGE_SHIFT)) return write ? nowhere : 0;
  if ((offset & (CHUNK - 1)) + size > CHUNK) fault(cpu, FAULT_BOUNDS, slot, pointer, size);
  return pageAt(header, page) + (offset & (PAGE - 1));
}

@inline function pagesOf(header: BpfMap): u32 {
  return min(header.maxEntries, MOST_PAGES);
}

/** The first of `count` free pages in a row; maxEntries when there are none. */
function findFree(header: BpfMap, count: u32): u32 {
  let run: u32 = 0;
  for (let page: u32 = 0; page < pagesOf(header); page++) {
    run = isAllocated(header, page) ? 0 : run + 1;
    if (run == count) return page + 1 - count;
  }
  return header.maxEntries;
}

/** A pointer of user space to a page. */
function userPointer(header: BpfMap, page: u32): u64 {
  return ((header.extraHigh as u64) << 32) | ((header.extra + (page << PAGE_SHIFT)) as u64);
}

/** bpf_arena_alloc_pages(map, addr, page_cnt, node_id, flags): zeroed pages, at `addr` if that is given; null otherwise. */
export function kfunc_bpf_arena_alloc_pages(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const header = changetype<BpfMap>(r1 as usize);
  const count = r3 as u32;
  const node = r4 as i32;
  if (r5 || !count || count > pagesOf(header) || (node != -1 && node != 0)) return 0;
  let page: u32 = 0;
  if (r2) {
    if (r2 & ((PAGE - 1) as u64)) return 0;
    page = ((r2 as u32) - header.extra) >> PAGE_SHIFT;
    if (page > pagesOf(header) - count) return 0;
    for (let i: u32 = 0; i < count; i++) if (isAllocated(header, page + i)) return 0;
  } else {
    page = findFree(header, count);
    if (page == header.maxEntries) return 0;
  }
  for (let i: u32 = 0; i < count; i++) {
    memory.fill(pageAt(header, page + i), 0, PAGE);
    store<u8>(header.state + page + i, 1);
  }
  return userPointer(header, page);
}

/** bpf_arena_free_pages(map, ptr, page_cnt). */
export function kfunc_bpf_arena_free_pages(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const header = changetype<BpfMap>(r1 as usize);
  const page = ((r2 as u32) - header.extra) >> PAGE_SHIFT;
  if (page >= header.maxEntries) return 0;
  const count = min(r3 as u32, header.maxEntries - page);
  memory.fill(header.state + page, 0, count);
  return 0;
}
