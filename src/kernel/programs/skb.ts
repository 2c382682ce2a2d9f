// Programs that see a packet as struct __sk_buff: socket filters, traffic control, cgroups, lightweight tunnels. Their
// context is how an SkbFrame begins (runtime/layout.ts); `data`, `data_end` and `data_meta` hold offsets in linear memory.

import { ProgType } from '../../bpf/types.js';
import type { FrameShape } from '../jit/code.js';
import { layout } from '../memory/memory.js';
import { define, type ProgramTypeDefinition } from './definition.js';
import { testRunSkb } from './skb-run.js';

export const skbFrame: FrameShape = {
  size: layout.SkbFrame_size,
  packetStart: layout.SkbFrame_head,
  packetEnd: layout.SkbFrame_tail,
  data: layout.SkbFrame_data,
  result: layout.SkbFrame_result,
  redirectIfindex: layout.SkbFrame_redirectIfindex,
  objects: { from: layout.SkbFrame_keys, to: layout.SkbFrame_size },
};

/** Whether programs of this type see struct __sk_buff. */
export const isSkbType = ({ context }: ProgramTypeDefinition): boolean => context.frame === skbFrame;

export const skbTypes: readonly ProgramTypeDefinition[] = [
  ProgType.SocketFilter,
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.CgroupSkb,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
]
  .map((type) => define(type, skbFrame, testRunSkb))
  // Linux test-runs no such program.
  .concat(define(ProgType.LwtSeg6local, skbFrame));
