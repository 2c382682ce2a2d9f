// Helpers of XDP programs, and the checksum difference. Bodies: runtime/helpers/xdp.ts and checksum.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const xdpHelpers: readonly HelperBody[] = inRuntime(
  'csum_diff',
  'xdp_adjust_head',
  'xdp_adjust_meta',
  'xdp_adjust_tail',
  'xdp_get_buff_len',
  'xdp_load_bytes',
  'xdp_store_bytes',
);
