// Where XDP_REDIRECT leads: one device, the devices of a map, or the stack by way of another CPU.

import { MapType } from '../../bpf/types.js';
import type { KernelMap } from '../maps/index.js';
import { type KernelMemory, layout } from '../memory/memory.js';
import type { XdpRedirect } from './xdp.js';

const BROADCAST = 1 << 3;
const EXCLUDE_INGRESS = 1 << 4;

export type Targets =
  /** `program`: id of the one that runs there first, 0 for none. */
  | { kind: 'cpu'; program: number }
  | { kind: 'devices' | 'broadcast'; devices: { ifindex: number; program: number }[] };

/** What of the kernel says where maps lead. */
interface RedirectKernel {
  readonly memory: KernelMemory;
  /** Address of the Cpu that the program ran on. */
  readonly cpu: number;
  mapAt(address: number): KernelMap | undefined;
}

/** The number and the program's id of a map's element (see maps/redirect.ts); undefined when it is empty. */
function elementOf(
  { memory, cpu }: RedirectKernel,
  map: KernelMap,
  key: number,
): [number, number] | undefined {
  const at = cpu + layout.Cpu_redirectIndex;
  memory.setU32(at, key);
  const lookup = memory.runtime.map_lookup as (map: number, key: number, cpu: number) => number;
  const value = lookup(map.address, at, 0) >>> 0;
  if (!value || memory.u32(value) === 0) return undefined;
  return [memory.u32(value), memory.u32(value + 4)];
}

/** Undefined when there is nowhere to go. `ingress`: where the packet came in. */
export function redirectTargets(
  kernel: RedirectKernel,
  redirect: XdpRedirect,
  ingress: number,
): Targets | undefined {
  if (redirect.map === 0) {
    return redirect.ifindex === 0
      ? undefined
      : { kind: 'devices', devices: [{ ifindex: redirect.ifindex, program: 0 }] };
  }
  const map = kernel.mapAt(redirect.map);
  if (!map) return undefined;
  if (redirect.flags & BROADCAST) {
    const devices = [...map.keys()]
      .map((key) => elementOf(kernel, map, new DataView(key.buffer, key.byteOffset).getUint32(0, true)))
      .filter((element) => element !== undefined)
      .map(([ifindex, program]) => ({ ifindex, program }))
      .filter(({ ifindex }) => !(redirect.flags & EXCLUDE_INGRESS) || ifindex !== ingress);
    return { kind: 'broadcast', devices };
  }
  const element = elementOf(kernel, map, redirect.index);
  if (!element) return undefined;
  const [number, program] = element;
  switch (map.type) {
    case MapType.Cpumap:
      return { kind: 'cpu', program };
    case MapType.Devmap:
    case MapType.DevmapHash:
      return { kind: 'devices', devices: [{ ifindex: number, program }] };
    default:
      return undefined;
  }
}
