// Helpers that call functions of the program, locks and kernel pointers in map values, dynamic pointers. Bodies:
// runtime/helpers/callbacks.ts and dynptr.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const objectHelpers: readonly HelperBody[] = inRuntime(
  'loop',
  'for_each_map_elem',
  'spin_lock',
  'spin_unlock',
  'kptr_xchg',
  'dynptr_from_mem',
  'dynptr_read',
  'dynptr_write',
  'dynptr_data',
  'ringbuf_reserve_dynptr',
  'ringbuf_submit_dynptr',
  'ringbuf_discard_dynptr',
);
