// What sections say about where a program belongs.

import { expect, test } from 'vitest';
import type { Bpf } from '../bpf/bpf.js';
import { AttachType, ProgType } from '../bpf/types.js';
import { parseSectionName } from '../elf/sections.js';
import type { ProgramSpec } from '../elf/spec.js';
import { attachBySection } from './auto-attach.js';

function specOf(section: string): ProgramSpec {
  const parsed = parseSectionName(section);
  if (!parsed) throw new Error(`no section ${section}`);
  return {
    name: 'prog',
    section,
    type: parsed.definition.type,
    ...(parsed.definition.attachType === undefined ? {} : { attachType: parsed.definition.attachType }),
    ...(parsed.target === undefined ? {} : { attachTo: parsed.target }),
  } as ProgramSpec;
}

/** The first command that attaching by this section gives. */
async function asked(section: string): Promise<unknown[]> {
  const calls: unknown[][] = [];
  const kernel = new Proxy({} as Bpf, {
    get:
      (_, name: string) =>
      async (...args: unknown[]) =>
        calls.push([name, ...args]),
  });
  await attachBySection(kernel, { name: 'prog', fd: 3 }, specOf(section));
  return calls[0] ?? [];
}

test.each([
  [
    'tp/sched/sched_switch',
    ['perfEventOpen', { kind: 'tracepoint', category: 'sched', name: 'sched_switch' }],
  ],
  ['?tracepoint/a/b', ['perfEventOpen', { kind: 'tracepoint', category: 'a', name: 'b' }]],
  ['kprobe/vfs_read', ['perfEventOpen', { kind: 'kprobe', function: 'vfs_read', onReturn: false }]],
  [
    'kprobe/vfs_read+0x10',
    ['perfEventOpen', { kind: 'kprobe', function: 'vfs_read', onReturn: false, offset: 16n }],
  ],
  ['kretprobe/vfs_read', ['perfEventOpen', { kind: 'kprobe', function: 'vfs_read', onReturn: true }]],
  ['raw_tp/sched_switch', ['rawTracepointOpen', { prog: 3, name: 'sched_switch' }]],
  ['raw_tp.w/x', ['rawTracepointOpen', { prog: 3, name: 'x' }]],
  ['tp_btf/sched_switch', ['rawTracepointOpen', { prog: 3 }]],
  ['fentry.s/vfs_read', ['rawTracepointOpen', { prog: 3 }]],
  ['lsm/file_open', ['rawTracepointOpen', { prog: 3 }]],
  ['iter/task', ['linkCreate', { prog: 3, attachType: AttachType.TraceIter }]],
])('%s is enough', async (section, command) => {
  expect(await asked(section)).toEqual(command);
});

test.each([
  ['xdp', 'attachXdp'],
  ['tc', 'attachTc'],
  ['kprobe', 'attachPerfEvent'],
  ['uprobe//bin/true:main', 'offset'],
  ['kprobe/a b', 'attachPerfEvent'],
  ['tp/only_category', 'tp/CATEGORY/NAME'],
  ['raw_tp', 'raw_tp/NAME'],
  ['cgroup_skb/egress', 'attachCgroup'],
  ['perf_event', 'attachPerfEvent'],
  ['sk_lookup', 'attachLink'],
])('%s is not, and what to do is said', async (section, hint) => {
  await expect(asked(section)).rejects.toMatchObject({
    message: expect.stringContaining(`section '${section}' does not say where to attach`),
    hint: expect.stringContaining(hint),
  });
  expect(specOf(section).type).not.toBe(ProgType.Unspec);
});
