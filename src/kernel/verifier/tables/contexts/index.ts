// The rules of all 32 program types: context, attach types, packets, sleep, return values.

import type { ProgType } from '../../../../bpf/types.js';
import type { ProgramRules } from '../types.js';
import { cgroupPrograms } from './cgroup.js';
import { skbPrograms } from './skb.js';
import { socketPrograms } from './sockets.js';
import { tracingPrograms } from './tracing.js';
import { xdpPrograms } from './xdp.js';

export { type Access, type AllowedAccess, contextAccess } from './fields.js';
export { FLOW_KEYS_SIZE } from './skb.js';
export { socketPointers } from './sockets.js';

/** By ascending program type. */
export const programRules: readonly ProgramRules[] = [
  ...skbPrograms,
  ...xdpPrograms,
  ...socketPrograms,
  ...cgroupPrograms,
  ...tracingPrograms,
].sort((a, b) => a.type - b.type);

const byType = new Map(programRules.map((row) => [row.type, row]));

/** The rules of a program type; undefined for a number that is none. */
export const rulesOf = (type: ProgType): ProgramRules | undefined => byType.get(type);
