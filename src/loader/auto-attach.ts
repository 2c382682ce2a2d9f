// Attaching by what a program's section says, as libbpf's bpf_program__attach does: SEC("kprobe/do_unlinkat"),
// SEC("tp/sched/sched_switch"), SEC("fentry/vfs_read").

import { SkepError } from '../base/error.js';
import type { Bpf, PerfEventAttr } from '../bpf/bpf.js';
import { AttachType, ProgType } from '../bpf/types.js';
import { parseSectionName } from '../elf/sections.js';
import type { ProgramSpec } from '../elf/spec.js';
import { attachLink, attachPerfEvent, attachRawTracepoint, attachTracing } from './attach.js';
import type { Attachable, Link } from './link.js';

/** `function+offset`, the offset decimal or hexadecimal. */
const FUNCTION = /^([\w.]+)(?:\+(0x[0-9a-f]+|\d+))?$/i;

/** The event that a section names; undefined when it names none that can be found without further knowledge. */
function perfEvent(section: string, target: string): PerfEventAttr | undefined {
  switch (section) {
    case 'tp':
    case 'tracepoint': {
      const [category = '', name = '', more] = target.split('/');
      return category && name && more === undefined ? { kind: 'tracepoint', category, name } : undefined;
    }
    case 'kprobe':
    case 'kretprobe': {
      const [, name, offset] = FUNCTION.exec(target) ?? [];
      if (name === undefined) return undefined;
      return {
        kind: 'kprobe',
        function: name,
        onReturn: section === 'kretprobe',
        ...(offset === undefined ? {} : { offset: BigInt(offset) }),
      };
    }
    default:
      return undefined;
  }
}

/**
 * Attaches a program to what its section names. Throws a SkepError when the section does not say it all: which device,
 * which cgroup, which offset in an executable.
 */
export async function attachBySection(kernel: Bpf, program: Attachable, spec: ProgramSpec): Promise<Link> {
  const { section, type, attachType, attachTo = '' } = spec;
  const name = parseSectionName(section)?.definition.name.replace(/\.s$/, '') ?? '';
  if (type === ProgType.Tracing && attachType === AttachType.TraceIter) {
    return attachLink(kernel, program, { attachType });
  }
  if (type === ProgType.Tracing || (type === ProgType.Lsm && attachType === AttachType.LsmMac)) {
    return attachTracing(kernel, program);
  }
  const raw = type === ProgType.RawTracepoint || type === ProgType.RawTracepointWritable;
  if (raw && attachTo !== '') return attachRawTracepoint(kernel, program, attachTo);
  const event = perfEvent(name, attachTo);
  if (event) return attachPerfEvent(kernel, program, event);
  throw new SkepError(`section '${section}' does not say where to attach`, {
    where: `program '${program.name}'`,
    hint: hints[type] ?? 'Use attachLink, and name the target.',
  });
}

const hints: Readonly<Partial<Record<ProgType, string>>> = {
  [ProgType.Xdp]: 'Use attachXdp, and name the device.',
  [ProgType.SchedCls]: 'Use attachTc, and name the device.',
  [ProgType.Kprobe]: 'Use attachPerfEvent with a function, or with a file and an offset in it.',
  [ProgType.PerfEvent]: 'Use attachPerfEvent, and name the event.',
  [ProgType.Tracepoint]: 'Name the section "tp/CATEGORY/NAME", or use attachPerfEvent.',
  [ProgType.RawTracepoint]: 'Name the section "raw_tp/NAME", or use attachRawTracepoint.',
  [ProgType.CgroupSkb]: 'Use attachCgroup, and name the folder.',
};
