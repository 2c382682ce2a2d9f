// Helpers for maps, and the tail call, which jumps through one. Bodies: runtime/helpers/maps.ts.

import type { HelperDefinition } from './definition.js';

export const mapHelpers: readonly HelperDefinition[] = [
  {
    id: 1,
    name: 'map_lookup_elem',
    args: ['map', 'map-key'],
    returns: 'map-value-or-null',
    gplOnly: false,
    since: '3.19',
    programTypes: 'all',
    runs: 'runtime',
  },
  {
    id: 2,
    name: 'map_update_elem',
    args: ['map', 'map-key', 'map-value', 'anything'],
    returns: 'integer',
    gplOnly: false,
    since: '3.19',
    programTypes: 'all',
    runs: 'runtime',
  },
  {
    id: 3,
    name: 'map_delete_elem',
    args: ['map', 'map-key'],
    returns: 'integer',
    gplOnly: false,
    since: '3.19',
    programTypes: 'all',
    runs: 'runtime',
  },
  {
    id: 12,
    name: 'tail_call',
    args: ['ctx', 'prog-array', 'anything'],
    returns: 'void',
    gplOnly: false,
    since: '4.2',
    programTypes: 'all',
    // The program that takes over may, before it returns to the function that called this one.
    changesPacket: true,
    runs: 'engine',
  },
  {
    id: 195,
    name: 'map_lookup_percpu_elem',
    args: ['map', 'map-key', 'anything'],
    returns: 'map-value-or-null',
    gplOnly: false,
    since: '5.19',
    programTypes: 'all',
    runs: 'runtime',
  },
];
