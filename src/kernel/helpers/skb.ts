// Helpers of programs that see a packet as struct __sk_buff. Bodies: runtime/helpers/skb.ts and its neighbours.

import { type HelperBody, inRuntime } from './definition.js';

export const skbHelpers: readonly HelperBody[] = inRuntime();
