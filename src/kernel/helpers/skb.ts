// Helpers of programs that see a packet as struct __sk_buff. Bodies: runtime/helpers/skb.ts, vlan.ts and skb-sums.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const skbHelpers: readonly HelperBody[] = inRuntime(
  'skb_load_bytes',
  'skb_load_bytes_relative',
  'skb_store_bytes',
  'skb_pull_data',
  'skb_change_tail',
  'skb_change_head',
  'skb_change_type',
  'skb_change_proto',
  'skb_adjust_room',
  'skb_set_tstamp',
  'skb_vlan_push',
  'skb_vlan_pop',
  'l3_csum_replace',
  'l4_csum_replace',
  'csum_update',
  'csum_level',
  'get_hash_recalc',
  'set_hash',
  'set_hash_invalid',
  'skb_ecn_set_ce',
);
