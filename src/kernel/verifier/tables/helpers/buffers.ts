// Helpers that hand data to user space, and dynptrs: perf events, ring buffers.

import type { HelperSignature } from '../types.js';
import {
  allocSize,
  anything,
  btf,
  ctx,
  dynptr,
  dynptrMemResult,
  dynptrRelease,
  func,
  integer,
  map,
  memIn,
  memOut,
  newDynptr,
  nothing,
  ringbufMemResult,
  ringbufRelease,
  row,
  size,
  sizeOrZero,
  stackOrNull,
} from './terms.js';

export const bufferSignatures: readonly HelperSignature[] = [
  row(22, 'perf_event_read', '4.3', [map, anything], integer, { gplOnly: true }),
  row(25, 'perf_event_output', '4.4', [ctx, map, anything, memIn, sizeOrZero], integer, { gplOnly: true }),
  row(55, 'perf_event_read_value', '4.15', [map, anything, memOut, size], integer, { gplOnly: true }),
  row(56, 'perf_prog_read_value', '4.15', [ctx, memOut, size], integer, { gplOnly: true }),
  row(111, 'skb_output', '5.5', [btf('sk_buff'), map, anything, memIn, sizeOrZero], integer, {
    gplOnly: true,
  }),
  row(121, 'xdp_output', '5.7', [btf('xdp_buff'), map, anything, memIn, sizeOrZero], integer, {
    gplOnly: true,
  }),
  row(130, 'ringbuf_output', '5.8', [map, memIn, sizeOrZero, anything], integer),
  row(131, 'ringbuf_reserve', '5.8', [map, allocSize, anything], ringbufMemResult, { acquires: true }),
  row(132, 'ringbuf_submit', '5.8', [ringbufRelease, anything], nothing),
  row(133, 'ringbuf_discard', '5.8', [ringbufRelease, anything], nothing),
  row(134, 'ringbuf_query', '5.8', [map, anything], integer),
  row(198, 'ringbuf_reserve_dynptr', '5.19', [map, anything, anything, newDynptr('ringbuf')], integer),
  row(199, 'ringbuf_submit_dynptr', '5.19', [dynptrRelease('ringbuf'), anything], nothing),
  row(200, 'ringbuf_discard_dynptr', '5.19', [dynptrRelease('ringbuf'), anything], nothing),
  row(209, 'user_ringbuf_drain', '6.1', [map, func, stackOrNull, anything], integer, { callback: 'now' }),
  row(197, 'dynptr_from_mem', '5.19', [memOut, sizeOrZero, anything, newDynptr('local')], integer),
  row(201, 'dynptr_read', '5.19', [memOut, sizeOrZero, dynptr, anything, anything], integer),
  row(202, 'dynptr_write', '5.19', [dynptr, anything, memIn, sizeOrZero, anything], integer),
  row(203, 'dynptr_data', '5.19', [dynptr, anything, allocSize], dynptrMemResult),
];
