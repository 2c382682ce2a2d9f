// Helpers for maps, and the tail call, which jumps through one. Bodies: runtime/helpers/maps.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const mapHelpers: readonly HelperBody[] = [
  ...inRuntime(
    'map_lookup_elem',
    'map_update_elem',
    'map_delete_elem',
    'map_push_elem',
    'map_pop_elem',
    'map_peek_elem',
    'map_lookup_percpu_elem',
  ),
  ['tail_call', 'engine'],
];
