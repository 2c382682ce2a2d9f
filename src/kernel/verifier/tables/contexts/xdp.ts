// struct xdp_md: a frame before the network stack sees it. `data`, `data_end` and `data_meta` are 32 bits wide in C
// and pointers once loaded.

import { AttachType, ProgType } from '../../../../bpf/types.js';
import type { ProgramRules } from '../types.js';
import { only, packetEnd, packetMeta, packetStart, pointer, whole } from './fields.js';

export const xdpPrograms: readonly ProgramRules[] = [
  {
    type: ProgType.Xdp,
    kernelContext: 'xdp_buff',
    context: {
      kind: 'fields',
      struct: 'xdp_md',
      size: 24,
      fields: [
        pointer('data', 0, packetStart, 4),
        pointer('data_end', 4, packetEnd, 4),
        pointer('data_meta', 8, packetMeta, 4),
        whole('ingress_ifindex', 12),
        whole('rx_queue_index', 16),
        only(whole('egress_ifindex', 20), [AttachType.XdpDevmap]),
      ],
    },
    packet: { read: true, write: true },
    returns: [{ range: 'any' }],
    capability: 'net-admin',
  },
];
