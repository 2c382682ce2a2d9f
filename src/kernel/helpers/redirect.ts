// Helpers that hand packets on: to a device, to what a map's element stands for, or a copy to user space. Bodies:
// runtime/helpers/redirect.ts.

import { ProgType } from '../../bpf/types.js';
import type { HelperDefinition } from './definition.js';

const common = { returns: 'integer', gplOnly: false, runs: 'runtime' } as const;

/** Program types that cannot send to user space through perf events. */
const withoutEvents: ReadonlySet<ProgType> = new Set([
  ProgType.Unspec,
  ProgType.SkReuseport,
  ProgType.FlowDissector,
  ProgType.StructOps,
  ProgType.Ext,
  ProgType.Netfilter,
]);

export const redirectHelpers: readonly HelperDefinition[] = [
  {
    id: 23,
    name: 'redirect',
    args: ['anything', 'anything'],
    since: '4.4',
    ...common,
    programTypes: [ProgType.SchedCls, ProgType.SchedAct, ProgType.Xdp, ProgType.LwtXmit],
  },
  {
    id: 25,
    name: 'perf_event_output',
    args: ['ctx', 'perf-event-array', 'anything', 'read', 'anything'],
    since: '4.4',
    ...common,
    gplOnly: true,
    programTypes: Object.values(ProgType).filter((type) => !withoutEvents.has(type)),
  },
  {
    id: 51,
    name: 'redirect_map',
    args: ['redirect-map', 'anything', 'anything'],
    since: '4.14',
    ...common,
    programTypes: [ProgType.Xdp],
  },
];
