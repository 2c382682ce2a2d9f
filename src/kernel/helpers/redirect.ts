// Helpers that hand packets on: to a device, to what a map's element stands for, or a copy to user space. Bodies:
// runtime/helpers/redirect.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const redirectHelpers: readonly HelperBody[] = inRuntime(
  'redirect',
  'perf_event_output',
  'redirect_map',
  'redirect_neigh',
  'redirect_peer',
);
