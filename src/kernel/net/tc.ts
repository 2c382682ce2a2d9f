// A traffic control program run on one packet of a device: the verdict, the packet as the program left it, and where it is
// redirected.

import { layout } from '../memory/memory.js';
import type { ProgramRun } from '../programs/run.js';
import type { TcOutcome } from './network.js';

/** TCX_NEXT, TC_ACT_OK, TC_ACT_SHOT, TC_ACT_REDIRECT: what a program of a device may answer. */
export const TcAction = { Next: -1, Ok: 0, Shot: 2, Redirect: 7 } as const;

/** BPF_F_INGRESS: the packet comes in at the other device, in place of being sent there. */
const INGRESS = 1;

/** The runtime's part. */
interface SkbRuntime {
  skb_frame_init(frame: number, buffer: number, length: number, link: number, pointers: number): void;
  skb_frame_end(frame: number): void;
}

/** `ifindex`: the device. `ingress`: where the packet came in, 0 for one that the stack sends. */
export function runTc(
  cpu: number,
  run: ProgramRun,
  packet: Uint8Array,
  { ifindex, ingress }: { readonly ifindex: number; readonly ingress: number },
): TcOutcome {
  const { memory, arena } = run;
  const runtime = memory.runtime as unknown as SkbRuntime;
  const { frame, buffer } = arena.placeSkb(packet);
  runtime.skb_frame_init(frame, buffer, packet.length, 1, 1);
  memory.setU32(frame + layout.SkbFrame_ifindex, ifindex);
  memory.setU32(frame + layout.SkbFrame_ingressIfindex, ingress);
  memory.setU32(cpu + layout.Cpu_redirectIfindex, 0);
  memory.setU32(cpu + layout.Cpu_redirectFlags, 0);
  try {
    const { fault } = run.program.run(frame, 0, 1, 0, run.budget);
    const head = memory.u32(frame + layout.SkbFrame_head);
    const tail = memory.u32(frame + layout.SkbFrame_tail);
    return {
      verdict: fault ? TcAction.Shot : memory.u32(frame + layout.SkbFrame_result) | 0,
      packet: memory.read(head, tail - head),
      redirect: {
        ifindex: memory.u32(cpu + layout.Cpu_redirectIfindex),
        ingress: (memory.u32(cpu + layout.Cpu_redirectFlags) & INGRESS) !== 0,
      },
    };
  } finally {
    runtime.skb_frame_end(frame);
  }
}
