// Clocks. Bodies: runtime/helpers/time.ts, but for the one that follows the wall clock.

import { ProgType } from '../../bpf/types.js';
import type { HelperDefinition } from './definition.js';

const common = {
  args: [],
  returns: 'integer',
  gplOnly: false,
  programTypes: 'all',
  runs: 'runtime',
} as const;

/** Programs that trace may be in the middle of setting this clock (bpf_base_func_proto leaves it out). */
const mayReadCoarseClock = [
  ProgType.SocketFilter,
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.Xdp,
  ProgType.CgroupSkb,
  ProgType.CgroupSock,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
  ProgType.SockOps,
  ProgType.SkSkb,
  ProgType.SkMsg,
  ProgType.CgroupSockAddr,
  ProgType.LwtSeg6local,
  ProgType.SkReuseport,
  ProgType.FlowDissector,
  ProgType.CgroupSysctl,
  ProgType.SkLookup,
];

export const timeHelpers: readonly HelperDefinition[] = [
  { id: 5, name: 'ktime_get_ns', since: '4.1', ...common },
  { id: 118, name: 'jiffies64', since: '5.6', ...common },
  { id: 125, name: 'ktime_get_boot_ns', since: '5.8', ...common },
  { id: 160, name: 'ktime_get_coarse_ns', since: '5.11', ...common, programTypes: mayReadCoarseClock },
  {
    id: 208,
    name: 'ktime_get_tai_ns',
    since: '6.1',
    ...common,
    // Nobody has told the emulated kernel the number of leap seconds: TAI is UTC, as in Linux before
    // a time service sets the offset. A millisecond is all that the host's wall clock tells.
    runs: () => BigInt(Date.now()) * 1_000_000n,
  },
];
