// A map's place in linear memory: one block, with the header first.
//
//   BpfMap | what the type keeps besides (`before` bytes) | elements

import { BpfMap } from '../layout';

/** The allocator's largest block, with room for its own header. */
const LARGEST: u64 = (1 << 30) - 4096;

/** Offset of what a type keeps between the header and the elements. */
export const HEADER: usize = (offsetof<BpfMap>() + 15) & ~15;

@inline export function round8(size: u64): u64 {
  return (size + 7) & ~7;
}

/**
 * Makes the block of a map whose header is `draft`, with `before` zeroed bytes at HEADER and room for `elements` of
 * `elementSize` bytes; 0 when that is too large. With `zeroed` all elements are there from the start, their bytes 0;
 * otherwise memory that was never needed is never touched. Traps, with nothing done, when the memory cannot grow.
 */
export function place(draft: BpfMap, before: u64, elements: u64, elementSize: u64, zeroed: bool): usize {
  if (elementSize > LARGEST || elements > LARGEST || before > LARGEST) return 0;
  const first = ((HEADER as u64) + before + 15) & ~15;
  const capacity = elements * elementSize;
  if (first + capacity > LARGEST) return 0;
  const map = heap.alloc((first + capacity) as usize);
  memory.fill(map, 0, (zeroed ? first + capacity : first) as usize);
  memory.copy(map, changetype<usize>(draft), offsetof<BpfMap>());
  const header = changetype<BpfMap>(map);
  header.values = map + (first as usize);
  header.elementSize = elementSize as u32;
  header.capacity = capacity as u32;
  if (zeroed) header.length = capacity as u32;
  return map;
}
