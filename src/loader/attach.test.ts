// Attaching, over a kernel that writes down what it is asked: which commands, in which order, and what is given back when
// one of them fails.

import { describe, expect, test } from 'vitest';
import { SkepError } from '../base/error.js';
import type { Bpf, PerfEventAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachFlag, AttachType, XdpFlag } from '../bpf/types.js';
import {
  attachCgroup,
  attachPerfEvent,
  attachRawTracepoint,
  attachTc,
  attachTracing,
  attachXdp,
} from './attach.js';

const program = { name: 'prog', fd: 3 };

/** A kernel that answers from `answers` (an errno: it fails) and remembers the calls. */
function recorder(answers: Record<string, unknown> = {}) {
  const calls: [name: string, ...args: unknown[]][] = [];
  const kernel = new Proxy({} as Bpf, {
    get:
      (_, name: string) =>
      async (...args: unknown[]) => {
        calls.push([name, ...args]);
        const answer = answers[name];
        if (typeof answer === 'number' && answer < 0) throw new BpfError(name, -answer);
        return answer;
      },
  });
  return { kernel, calls, names: () => calls.map(([name]) => name) };
}

const fails = -Errno.EINVAL;

describe('a perf event', () => {
  const event: PerfEventAttr = { kind: 'uprobe', path: '/bin/true', offset: 0x10n };

  test('is opened, linked and enabled; detached, both descriptors go back', async () => {
    const { kernel, calls, names } = recorder({
      perfEventOpen: 8,
      linkCreate: 9,
      linkDetach: -Errno.EOPNOTSUPP,
    });
    const link = await attachPerfEvent(kernel, program, event, 42n);
    expect(calls).toEqual([
      ['perfEventOpen', event],
      ['linkCreate', { prog: 3, target: 8, attachType: AttachType.PerfEvent, cookie: 42n }],
      ['perfEventEnable', 8],
    ]);
    expect([link.fd, link.where]).toEqual([9, 'uprobe /bin/true+0x10']);
    await link.detach();
    await link.detach();
    await link.close();
    expect(calls.slice(3)).toEqual([
      ['linkDetach', 9],
      ['close', 9],
      ['close', 8],
    ]);
    await expect(link.info()).rejects.toThrow('is detached');
    expect(names()).toHaveLength(6);
  });

  test('without links runs its program by ioctl, and ends with itself', async () => {
    const { kernel, calls } = recorder({ perfEventOpen: 8, linkCreate: fails });
    {
      await using link = await attachPerfEvent(kernel, program, event);
      expect(link.fd).toBeUndefined();
      await expect(link.update(program)).rejects.toThrow('keeps its program');
      await expect(link.info()).rejects.toThrow('without a link');
    }
    expect(calls.slice(2)).toEqual([
      ['perfEventSetBpf', 8, 3],
      ['perfEventEnable', 8],
      ['perfEventDisable', 8],
      ['close', 8],
    ]);
  });

  test('that fails on the way gives everything back', async () => {
    const linked = recorder({ perfEventOpen: 8, linkCreate: 9, perfEventEnable: -Errno.EPERM });
    await expect(attachPerfEvent(linked.kernel, program, event)).rejects.toThrow(SkepError);
    expect(linked.calls.slice(-2)).toEqual([
      ['close', 9],
      ['close', 8],
    ]);
    // A cookie cannot be had without a link.
    const old = recorder({ perfEventOpen: 8, linkCreate: fails });
    await expect(attachPerfEvent(old.kernel, program, event, 1n)).rejects.toThrow(/uprobe.*EINVAL/);
    expect(old.names()).toEqual(['perfEventOpen', 'linkCreate', 'close']);
    const refused = recorder({ perfEventOpen: -Errno.ENOENT });
    await expect(attachPerfEvent(refused.kernel, program, event)).rejects.toThrow(/uprobe.*ENOENT/);
    expect(refused.names()).toEqual(['perfEventOpen']);
  });

  test.each([
    [{ kind: 'event', type: 1, config: 2n }, 'perf event 1:2'],
    [{ kind: 'tracepoint', category: 'sched', name: 'sched_switch' }, 'tracepoint sched:sched_switch'],
    [{ kind: 'kprobe', function: 'vfs_read', onReturn: true }, 'kretprobe vfs_read'],
    [{ kind: 'kprobe', address: 0xffffn }, 'kprobe 0xffff'],
  ] as [PerfEventAttr, string][])('%o is named for a person', async (attr, where) => {
    const { kernel } = recorder({ perfEventOpen: 8, linkCreate: 9 });
    expect((await attachPerfEvent(kernel, program, attr)).where).toBe(where);
  });
});

describe('devices', () => {
  test('XDP goes by netlink only where links are not known', async () => {
    const { kernel, calls } = recorder({ linkCreate: fails });
    const link = await attachXdp(kernel, program, { ifindex: 4, mode: 'generic' });
    const flags = XdpFlag.SkbMode;
    expect(calls[1]).toEqual(['xdpSet', { ifindex: 4, prog: 3, flags: flags | XdpFlag.UpdateIfNoexist }]);
    await link.update({ name: 'next', fd: 5 });
    await link.close();
    expect(calls.slice(2)).toEqual([
      ['xdpSet', { ifindex: 4, prog: 5, flags, expectedProg: 3 }],
      ['xdpSet', { ifindex: 4, prog: null, flags, expectedProg: 5 }],
    ]);
    const busy = recorder({ linkCreate: -Errno.EBUSY });
    await expect(attachXdp(busy.kernel, program, { ifindex: 4 })).rejects.toMatchObject({
      message: expect.stringContaining('device 4, xdp'),
      hint: expect.stringContaining('detach it first'),
    });
    expect(busy.names()).toEqual(['linkCreate']);
    const told = recorder({ linkCreate: fails });
    await expect(attachXdp(told.kernel, program, { ifindex: 4, via: 'link' })).rejects.toThrow('EINVAL');
    expect(told.names()).toEqual(['linkCreate']);
  });

  test('traffic control programs stand where they were asked to', async () => {
    const { kernel, calls } = recorder({ linkCreate: 7 });
    await attachTc(kernel, program, { ifindex: 4, direction: 'egress', after: 11 });
    expect(calls).toEqual([
      [
        'linkCreate',
        {
          prog: 3,
          attachType: AttachType.TcxEgress,
          ifindex: 4,
          flags: AttachFlag.After | AttachFlag.Id,
          anchor: { relativeId: 11 },
        },
      ],
    ]);
  });

  test('a filter uses the place that is there', async () => {
    const hook = { ifindex: 4, direction: 'ingress' } as const;
    const filter = { ...hook, priority: 9, handle: 1, progId: 2, name: 'prog', directAction: true };
    const { kernel, calls } = recorder({ tcHookCreate: -Errno.EEXIST, tcFilterAdd: filter });
    const link = await attachTc(kernel, program, { ...hook, via: 'filter', priority: 9 });
    await link.detach();
    expect(calls).toEqual([
      ['tcHookCreate', 4],
      ['tcFilterAdd', { ...hook, prog: 3, priority: 9, name: 'prog' }],
      ['tcFilterDelete', filter],
    ]);
    const refused = recorder({ tcHookCreate: -Errno.EPERM });
    await expect(attachTc(refused.kernel, program, { ...hook, via: 'filter' })).rejects.toThrow('EPERM');
  });
});

test('raw tracepoints, what was loaded for, and cgroups are linked', async () => {
  const { kernel, calls } = recorder({ rawTracepointOpen: 5, open: 6, linkCreate: 7 });
  await attachRawTracepoint(kernel, program, 'sched_switch', 1n);
  await attachTracing(kernel, program);
  const link = await attachCgroup(kernel, program, '/cgroup', AttachType.CgroupInetEgress);
  await link.pin('/sys/fs/bpf/link');
  expect(calls).toEqual([
    ['rawTracepointOpen', { prog: 3, name: 'sched_switch', cookie: 1n }],
    ['rawTracepointOpen', { prog: 3 }],
    ['open', '/cgroup'],
    ['linkCreate', { prog: 3, target: 6, attachType: AttachType.CgroupInetEgress }],
    ['close', 6],
    ['objPin', 7, '/sys/fs/bpf/link'],
  ]);
  const refused = recorder({ open: 6, linkCreate: -Errno.EPERM });
  await expect(attachCgroup(refused.kernel, program, '/c', AttachType.CgroupDevice)).rejects.toThrow('/c');
  expect(refused.names()).toEqual(['open', 'linkCreate', 'close']);
});

test('an error that is not the kernel’s comes as it is', async () => {
  const kernel = { linkCreate: async () => Promise.reject(new TypeError('gone')) } as unknown as Bpf;
  await expect(attachXdp(kernel, program, { ifindex: 1 })).rejects.toThrow(TypeError);
});
