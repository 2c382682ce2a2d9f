// Helpers for ring buffers. Bodies: runtime/helpers/ringbuf.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const ringbufHelpers: readonly HelperBody[] = inRuntime(
  'ringbuf_output',
  'ringbuf_reserve',
  'ringbuf_submit',
  'ringbuf_discard',
  'ringbuf_query',
);
