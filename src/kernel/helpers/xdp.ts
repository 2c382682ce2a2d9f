// Helpers of XDP programs, and the checksum difference. Bodies: runtime/helpers/xdp.ts and checksum.ts.

import { ProgType } from '../../bpf/types.js';
import type { HelperDefinition } from './definition.js';

const common = { returns: 'integer', gplOnly: false, runs: 'runtime' } as const;
const xdp = { ...common, programTypes: [ProgType.Xdp] } as const;
const moves = { ...xdp, changesPacket: true } as const;

export const xdpHelpers: readonly HelperDefinition[] = [
  {
    id: 28,
    name: 'csum_diff',
    args: ['read-or-null', 'anything', 'read-or-null', 'anything', 'anything'],
    since: '4.6',
    ...common,
    programTypes: [
      ProgType.SchedCls,
      ProgType.SchedAct,
      ProgType.Xdp,
      ProgType.LwtIn,
      ProgType.LwtOut,
      ProgType.LwtXmit,
      ProgType.LwtSeg6local,
    ],
  },
  { id: 44, name: 'xdp_adjust_head', args: ['ctx', 'anything'], since: '4.10', ...moves },
  { id: 54, name: 'xdp_adjust_meta', args: ['ctx', 'anything'], since: '4.15', ...moves },
  { id: 65, name: 'xdp_adjust_tail', args: ['ctx', 'anything'], since: '4.18', ...moves },
  {
    id: 188,
    name: 'xdp_get_buff_len',
    args: ['ctx'],
    since: '5.18',
    ...common,
    programTypes: [ProgType.Xdp, ProgType.Tracing, ProgType.Syscall],
  },
  { id: 189, name: 'xdp_load_bytes', args: ['ctx', 'anything', 'write', 'anything'], since: '5.18', ...xdp },
  { id: 190, name: 'xdp_store_bytes', args: ['ctx', 'anything', 'read', 'anything'], since: '5.18', ...xdp },
];
