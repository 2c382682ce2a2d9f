// XDP: a program looks at a frame before the network stack does and says what becomes of it.
// Its context is struct xdp_md (linux/bpf.h), which is how an XdpFrame begins:
//
//     0 data   4 data_end   8 data_meta   12 ingress_ifindex   16 rx_queue_index   20 egress_ifindex
//
// The three pointers are offsets in linear memory; 32 bits are all that a program loads of them.

import { ProgType } from '../../bpf/types.js';
import type { FrameShape } from '../jit/code.js';
import { layout } from '../memory/memory.js';
import { define, type ProgramTypeDefinition } from './definition.js';
import { testRun } from './xdp-run.js';

const frame: FrameShape = {
  size: layout.XdpFrame_size,
  packetStart: layout.XdpFrame_dataMeta,
  packetEnd: layout.XdpFrame_dataEnd,
  data: layout.XdpFrame_data,
  result: layout.XdpFrame_result,
  redirectIfindex: layout.XdpFrame_redirectIfindex,
  objects: { from: 0, to: 0 },
};

export const xdp: ProgramTypeDefinition = define(ProgType.Xdp, frame, testRun);
