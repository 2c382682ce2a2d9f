// XDP: a program looks at a frame before the network stack does and says what becomes of it.
// Its context is struct xdp_md (linux/bpf.h), which is how an XdpFrame begins:
//
//     0 data   4 data_end   8 data_meta   12 ingress_ifindex   16 rx_queue_index   20 egress_ifindex
//
// The three pointers are offsets in linear memory; 32 bits are all that a program loads of them.

import { AttachType, ProgType } from '../../bpf/types.js';
import type { ProgramTypeDefinition } from './definition.js';

export const xdp: ProgramTypeDefinition = {
  type: ProgType.Xdp,
  context: {
    size: 24,
    packetFields: new Map([
      [0, 'start'],
      [4, 'end'],
      [8, 'start'],
    ]),
  },
  attachTypes: [AttachType.Xdp, AttachType.XdpDevmap, AttachType.XdpCpumap],
  packetLoads: false,
};
