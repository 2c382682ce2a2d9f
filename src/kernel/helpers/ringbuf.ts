// Helpers for ring buffers. Bodies: runtime/helpers/ringbuf.ts.

import type { HelperDefinition } from './definition.js';

const common = { gplOnly: false, since: '5.8', programTypes: 'all', runs: 'runtime' } as const;

export const ringbufHelpers: readonly HelperDefinition[] = [
  {
    id: 130,
    name: 'ringbuf_output',
    args: ['ringbuf', 'read', 'anything', 'anything'],
    returns: 'integer',
    ...common,
  },
  {
    id: 131,
    name: 'ringbuf_reserve',
    args: ['ringbuf', 'anything', 'anything'],
    returns: 'memory-or-null',
    ...common,
  },
  { id: 132, name: 'ringbuf_submit', args: ['ringbuf-record', 'anything'], returns: 'void', ...common },
  { id: 133, name: 'ringbuf_discard', args: ['ringbuf-record', 'anything'], returns: 'void', ...common },
  { id: 134, name: 'ringbuf_query', args: ['ringbuf', 'anything'], returns: 'integer', ...common },
];
