// Queues and stacks, as Linux's queue_stack_maps.c has them: values without keys, in a ring. A queue gives the
// oldest first, a stack the newest. Programs get copies: no pointer leads here.
//
//   values   | slot 0 | slot 1 | ... | max_entries - 1 |
//                  ^ oldest, `count` slots from there on, around the end

import { BpfMap } from '../layout';
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EINVAL, ENOENT } from './errno';
import { HEADER, place, round8 } from './place';
import { QUEUE } from './types';

/** What a ring keeps besides its slots (BpfMap.state). */
@unmanaged class Ring {
  /** Slot of the oldest value. */
  oldest: u32 = 0;
}

export function queue_create(draft: BpfMap): usize {
  const map = place(draft, offsetof<Ring>(), draft.maxEntries, round8(draft.valueSize), false);
  if (map) changetype<BpfMap>(map).state = map + HEADER;
  return map;
}

/** The slot that is `ahead` slots after the oldest value's; `ahead` is at most max_entries. */
function slotAt(header: BpfMap, ahead: u32): usize {
  let slot = changetype<Ring>(header.state).oldest + ahead;
  if (slot >= header.maxEntries) slot -= header.maxEntries;
  return header.values + (slot as usize) * header.elementSize;
}

function dropOldest(header: BpfMap): void {
  const ring = changetype<Ring>(header.state);
  ring.oldest = ring.oldest + 1 == header.maxEntries ? 0 : ring.oldest + 1;
  header.count--;
}

/** Adds a value. A full ring refuses with -E2BIG, or for BPF_EXIST drops its oldest value. */
export function queue_push(map: usize, value: usize, flags: u64): i32 {
  const header = changetype<BpfMap>(map);
  if (flags & BPF_NOEXIST || flags > BPF_EXIST) return -EINVAL;
  if (header.count == header.maxEntries) {
    if (flags != BPF_EXIST) return -E2BIG;
    dropOldest(header);
  }
  memory.copy(slotAt(header, header.count), value, header.valueSize);
  header.count++;
  return 0;
}

/** Copies the next value to `value`; -ENOENT, and zeros, when there is none. */
export function queue_peek(map: usize, value: usize): i32 {
  const header = changetype<BpfMap>(map);
  const size = header.valueSize;
  if (!header.count) {
    memory.fill(value, 0, size);
    return -ENOENT;
  }
  memory.copy(value, slotAt(header, header.type == QUEUE ? 0 : header.count - 1), size);
  return 0;
}

/** The same, and the value is gone. */
export function queue_pop(map: usize, value: usize): i32 {
  const header = changetype<BpfMap>(map);
  const result = queue_peek(map, value);
  if (result) return result;
  if (header.type == QUEUE) dropOldest(header);
  else header.count--;
  return 0;
}
