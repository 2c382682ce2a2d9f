// An XDP program run on one packet of a device: the verdict, the packet as the program left it, and where it is redirected.

import { type KernelMemory, layout } from '../memory/memory.js';
import type { FrameArena } from '../programs/frames.js';
import type { ProgramRun } from '../programs/run.js';

export const XdpAction = { Aborted: 0, Drop: 1, Pass: 2, Tx: 3, Redirect: 4 } as const;

/** What bpf_redirect and bpf_redirect_map noted. */
export interface XdpRedirect {
  /** Of bpf_redirect; 0 after bpf_redirect_map. */
  readonly ifindex: number;
  /** Address of the map; 0 after bpf_redirect. */
  readonly map: number;
  readonly index: number;
  /** Of a broadcast. */
  readonly flags: number;
}

export interface XdpOutcome {
  /** Of XdpAction, or what no action is. */
  readonly verdict: number;
  /** From the Ethernet header on. */
  readonly packet: Uint8Array;
  readonly redirect: XdpRedirect;
}

/** struct xdp_md's numbers. */
export interface XdpSurroundings {
  readonly ingress: number;
  readonly queue: number;
  readonly egress: number;
}

const ZERO: readonly number[] = [
  layout.Cpu_redirectIfindex,
  layout.Cpu_redirectFlags,
  layout.Cpu_redirectMap,
  layout.Cpu_redirectIndex,
];

/** `run` is of the program; it must have been prepared. A fault (checked mode) is XDP_ABORTED. */
export function runXdp(
  kernel: { readonly memory: KernelMemory; readonly arena: FrameArena; readonly cpu: number },
  run: ProgramRun,
  packet: Uint8Array,
  surroundings: XdpSurroundings,
): XdpOutcome {
  const { memory, arena, cpu } = kernel;
  const frame = arena.place(packet);
  memory.setU32(frame + layout.XdpFrame_ingressIfindex, surroundings.ingress);
  memory.setU32(frame + layout.XdpFrame_rxQueueIndex, surroundings.queue);
  memory.setU32(frame + layout.XdpFrame_egressIfindex, surroundings.egress);
  for (const field of ZERO) memory.setU32(cpu + field, 0);
  const { fault } = run.program.run(frame, 0, 1, 0, run.budget);
  const start = memory.u32(frame + layout.XdpFrame_data);
  const end = memory.u32(frame + layout.XdpFrame_dataEnd);
  return {
    verdict: fault ? XdpAction.Aborted : memory.u32(frame + layout.XdpFrame_result),
    packet: memory.read(start, end - start),
    redirect: {
      ifindex: memory.u32(cpu + layout.Cpu_redirectIfindex),
      map: memory.u32(cpu + layout.Cpu_redirectMap),
      index: memory.u32(cpu + layout.Cpu_redirectIndex),
      flags: memory.u32(cpu + layout.Cpu_redirectFlags),
    },
  };
}
