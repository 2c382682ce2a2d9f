// Which types a program may be meant for when its section does not say so: programs of the time before libbpf 1.0, and those
// that iproute2 and others load, where a section is any name and whoever loads says the type.

import { AttachType, ProgType } from '../bpf/types.js';
import { looselyNamed } from '../elf/sections.js';
import type { ProgramSpec } from '../elf/spec.js';

/** What a load needs to know beyond the section. */
export type PossibleType = Pick<ProgramSpec, 'type' | 'attachType' | 'flags'>;

/** The types whose programs are commonly loaded from sections of any name, the most common first. */
const COMMON: readonly PossibleType[] = [
  { type: ProgType.SchedCls, flags: 0 },
  { type: ProgType.Xdp, attachType: AttachType.Xdp, flags: 0 },
  { type: ProgType.SocketFilter, flags: 0 },
  { type: ProgType.LwtXmit, flags: 0 },
  { type: ProgType.CgroupSkb, flags: 0 },
  { type: ProgType.SockOps, flags: 0 },
  { type: ProgType.SkMsg, attachType: AttachType.SkMsgVerdict, flags: 0 },
  { type: ProgType.SkSkb, flags: 0 },
  { type: ProgType.Kprobe, flags: 0 },
  { type: ProgType.Tracepoint, flags: 0 },
  { type: ProgType.RawTracepoint, flags: 0 },
  { type: ProgType.PerfEvent, flags: 0 },
];

/**
 * The types that a program may have, most likely first: one where its section says so, by today's rules or by those of libbpf
 * before 1.0; else all that are common.
 */
export function possibleTypes({ section, type, attachType, flags }: ProgramSpec): readonly PossibleType[] {
  if (type !== ProgType.Unspec) return [{ type, flags, ...(attachType === undefined ? {} : { attachType }) }];
  const loose = looselyNamed(section);
  // A target in BTF cannot be read out of such a name.
  return loose === undefined || loose.btfTarget ? COMMON : [loose];
}
