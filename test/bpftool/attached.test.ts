// How links of every type are shown, and what `net`, `cgroup`, `iter` and `struct_ops` do with the emulated kernel.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LinkInfo } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { AttachType, LinkType, ProgType } from '../../src/bpf/types.js';
import { JsonWriter } from '../../src/bpftool/json-writer.js';
import { describeLink } from '../../src/bpftool/link/describe.js';
import { Surroundings } from '../../src/bpftool/link/surroundings.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { type Outcome, runLine } from './memory-host.js';

const KALLSYMS = `ffffffff81000000 T _stext
ffffffff81000100 T vfs_read
ffffffff81000200 t helper\t[veth]
`;

/** A kernel that answers what links are described with. */
class Answering extends Surroundings {
  constructor() {
    super({
      netDevices: async () => [{ ifindex: 3, name: 'eth0', xdp: [] }],
      readFile: async () => new TextEncoder().encode(KALLSYMS),
      progGetFdById: async (id: number) => id,
      progInfo: async () => ({ type: ProgType.Tracing }),
      close: async () => {},
    } as unknown as EmulatedKernel);
  }
}

const base = { id: 9, progId: 5 };
const start = '"id":9,"type":';
const links: readonly (readonly [info: LinkInfo, text: string, json: string])[] = [
  [{ type: LinkType.Unspec, ...base }, '9: unspec  prog 5  ', `${start}"unspec","prog_id":5`],
  [
    { type: LinkType.RawTracepoint, ...base, name: 'sys_enter', cookie: 7n },
    "9: raw_tracepoint  prog 5  \n\ttp 'sys_enter'  cookie 7  ",
    `${start}"raw_tracepoint","prog_id":5,"tp_name":"sys_enter","cookie":7`,
  ],
  [
    {
      type: LinkType.Tracing,
      ...base,
      attachType: AttachType.TraceFentry,
      targetObjId: 1,
      targetBtfId: 77,
      cookie: 0n,
    },
    '9: tracing  prog 5  \n\tprog_type tracing  attach_type trace_fentry  \n\ttarget_obj_id 1  target_btf_id 77  ',
    `${start}"tracing","prog_id":5,"prog_type":"tracing","attach_type":"trace_fentry",` +
      '"target_obj_id":1,"target_btf_id":77,"cookie":0',
  ],
  [
    { type: LinkType.Cgroup, ...base, cgroupId: 1n << 40n, attachType: AttachType.CgroupInetEgress },
    '9: cgroup  prog 5  \n\tcgroup_id 1099511627776  attach_type cgroup_inet_egress  ',
    `${start}"cgroup","prog_id":5,"cgroup_id":1099511627776,"attach_type":"cgroup_inet_egress"`,
  ],
  [
    { type: LinkType.Iter, ...base, targetName: 'bpf_map_elem', mapId: 4 },
    '9: iter  prog 5  target_name bpf_map_elem  map_id 4  ',
    `${start}"iter","prog_id":5,"target_name":"bpf_map_elem","map_id":4`,
  ],
  [
    { type: LinkType.Iter, ...base, targetName: 'task_file', task: { tid: 0, pid: 12 } },
    '9: iter  prog 5  target_name task_file  pid 12 ',
    `${start}"iter","prog_id":5,"target_name":"task_file","pid":12`,
  ],
  [
    { type: LinkType.Iter, ...base, targetName: 'cgroup', cgroup: { id: 30n, order: 2 } },
    '9: iter  prog 5  target_name cgroup  cgroup_id 30  order descendants_pre  ',
    `${start}"iter","prog_id":5,"target_name":"cgroup","cgroup_id":30,"order":"descendants_pre"`,
  ],
  [
    { type: LinkType.Netns, ...base, netnsIno: 4026531840, attachType: AttachType.FlowDissector },
    '9: netns  prog 5  \n\tnetns_ino 4026531840  attach_type flow_dissector  ',
    `${start}"netns","prog_id":5,"netns_ino":4026531840,"attach_type":"flow_dissector"`,
  ],
  [
    { type: LinkType.Xdp, ...base, ifindex: 3 },
    '9: xdp  prog 5  \n\tifindex eth0(3)  ',
    `${start}"xdp","prog_id":5,"devname":"eth0","ifindex":3`,
  ],
  [
    { type: LinkType.Xdp, ...base, ifindex: 8 },
    '9: xdp  prog 5  \n\tifindex (unknown)  ',
    `${start}"xdp","prog_id":5,"devname":"(unknown)","ifindex":8`,
  ],
  [
    { type: LinkType.Tcx, ...base, ifindex: 0, attachType: AttachType.TcxEgress },
    '9: tcx  prog 5  \n\tifindex (detached)  attach_type tcx_egress  ',
    `${start}"tcx","prog_id":5,"devname":"(detached)","ifindex":0,"attach_type":"tcx_egress"`,
  ],
  [
    { type: LinkType.Netkit, ...base, ifindex: 3, attachType: AttachType.NetkitPeer },
    '9: netkit  prog 5  \n\tifindex eth0(3)  attach_type netkit_peer  ',
    `${start}"netkit","prog_id":5,"devname":"eth0","ifindex":3,"attach_type":"netkit_peer"`,
  ],
  [
    { type: LinkType.Sockmap, ...base, mapId: 2, attachType: AttachType.SkSkbVerdict },
    '9: sockmap  prog 5  \n\tmap_id 2  attach_type sk_skb_verdict  ',
    `${start}"sockmap","prog_id":5,"map_id":2,"attach_type":"sk_skb_verdict"`,
  ],
  [
    { type: LinkType.StructOps, id: 9, progId: 0, mapId: 6 },
    '9: struct_ops  map 6  ',
    `${start}"struct_ops","prog_id":0,"map_id":6`,
  ],
  [
    { type: LinkType.Netfilter, ...base, pf: 2, hooknum: 1, priority: -100, flags: 1 },
    '9: netfilter  prog 5  \n\tip input prio -100 flags 0x1',
    `${start}"netfilter","prog_id":5,"pf":2,"hook":1,"prio":-100,"flags":1`,
  ],
  [
    { type: LinkType.Netfilter, ...base, pf: 4, hooknum: 9, priority: 0, flags: 0 },
    '9: netfilter  prog 5  \n\tpf: 4, hook 9, prio 0',
    `${start}"netfilter","prog_id":5,"pf":4,"hook":9,"prio":0,"flags":0`,
  ],
  [
    {
      type: LinkType.KprobeMulti,
      ...base,
      // Unsorted, and the second behind the function's endbr64.
      addresses: [0xffffffff81000204n, 0xffffffff81000100n],
      cookies: [0xabn, 0n],
      flags: 1,
      missed: 2n,
    },
    '9: kprobe_multi  prog 5  \n\tkretprobe.multi  func_cnt 2  missed 2  \n\taddr             cookie           func [module]' +
      '\n\tffffffff81000100 0                vfs_read  \n\tffffffff81000204 ab               helper [veth]  ',
    `${start}"kprobe_multi","prog_id":5,"retprobe":true,"func_cnt":2,"missed":2,"funcs":[` +
      '{"addr":18446744071578845440,"func":"vfs_read","module":null,"cookie":0},' +
      '{"addr":18446744071578845700,"func":"helper","module":"veth","cookie":171}]',
  ],
  [
    {
      type: LinkType.UprobeMulti,
      ...base,
      path: '/bin/sh',
      offsets: [0x10n],
      refCtrOffsets: [0n],
      cookies: [1n],
      flags: 0,
      pid: 40,
    },
    '9: uprobe_multi  prog 5  \n\tuprobe.multi  path /bin/sh  func_cnt 1  pid 40  ' +
      '\n\toffset             ref_ctr_offset     cookies         ' +
      '\n\t0x10               0x0                0x1               ',
    `${start}"uprobe_multi","prog_id":5,"retprobe":false,"path":"/bin/sh","func_cnt":1,"pid":40,` +
      '"funcs":[{"offset":16,"ref_ctr_offset":0,"cookie":1}]',
  ],
  [
    {
      type: LinkType.PerfEvent,
      ...base,
      event: { kind: 'kretprobe', function: 'vfs_read', offset: 4, address: 0xff00n, missed: 1n, cookie: 2n },
    },
    '9: perf_event  prog 5  \n\tkretprobe ff00 vfs_read+0x4  missed 1  cookie 2  ',
    `${start}"perf_event","prog_id":5,"retprobe":true,"addr":65280,"func":"vfs_read","offset":4,"missed":1,"cookie":2`,
  ],
  [
    {
      type: LinkType.PerfEvent,
      ...base,
      event: { kind: 'uprobe', path: '/bin/sh', offset: 0, cookie: 0n, refCtrOffset: 32n },
    },
    '9: perf_event  prog 5  \n\tuprobe /bin/sh+0  ref_ctr_offset 0x20  ',
    `${start}"perf_event","prog_id":5,"retprobe":false,"file":"/bin/sh","offset":0,"cookie":0,"ref_ctr_offset":32`,
  ],
  [
    { type: LinkType.PerfEvent, ...base, event: { kind: 'tracepoint', name: 'sched_switch', cookie: 0n } },
    '9: perf_event  prog 5  \n\ttracepoint sched_switch  ',
    `${start}"perf_event","prog_id":5,"tracepoint":"sched_switch","cookie":0`,
  ],
  [
    { type: LinkType.PerfEvent, ...base, event: { kind: 'event', type: 3, config: 0x10000n, cookie: 0n } },
    '9: perf_event  prog 5  \n\tevent hw-cache:L1-dcache-load-misses  ',
    `${start}"perf_event","prog_id":5,"event_type":"hw-cache","event_config":"L1-dcache-load-misses","cookie":0`,
  ],
  [
    { type: LinkType.PerfEvent, ...base, event: { kind: 'event', type: 9, config: 5n, cookie: 1n } },
    '9: perf_event  prog 5  \n\tevent 9 :5  cookie 1  ',
    `${start}"perf_event","prog_id":5,"event_type":9,"event_config":5,"cookie":1`,
  ],
];

test.each(links.map(([info, text, json]) => [text, info, json] as const))(
  'link %j',
  async (text, info, json) => {
    const described = await describeLink(info, new Answering());
    expect(described.text).toBe(text);
    let written = '';
    new JsonWriter((part) => {
      written += part;
    }, false).value(described.json);
    expect(written).toBe(`{${json}}`);
  },
);

describe('with the emulated kernel', () => {
  let kernel: EmulatedKernel;
  const file = (name: string): Uint8Array | undefined => {
    try {
      return new Uint8Array(readFileSync(path.join(import.meta.dirname, 'objects', name)));
    } catch {
      return undefined;
    }
  };
  const tool = (...words: string[]): Promise<Outcome> => runLine(words, { kernel, file });
  const silent = { status: 0, stdout: '', stderr: '' };

  beforeEach(async () => {
    kernel = new EmulatedKernel();
    await kernel.surroundings.deviceAdd({ name: 'eth0' });
    expect(await tool('prog', 'load', 'hello.bpf.o', '/sys/fs/bpf/hello')).toMatchObject(silent);
  });

  test('a program is put on a device, shown there and taken away', async () => {
    expect(await tool('net', 'attach', 'xdp', 'name', 'hello', 'dev', 'eth0')).toMatchObject(silent);
    expect((await tool('net')).stdout).toMatch(/^xdp:\neth0\(\d+\) driver id \d+\n\ntc:\n/);
    expect(await tool('net', 'attach', 'xdp', 'name', 'hello', 'dev', 'eth0')).toMatchObject({
      status: 240,
      stderr: expect.stringContaining('Error: interface xdp attach failed: Device or resource busy\n'),
    });
    expect(await tool('net', 'attach', 'xdp', 'name', 'hello', 'dev', 'eth0', 'overwrite')).toMatchObject(
      silent,
    );
    expect(await tool('net', 'detach', 'xdp', 'dev', 'eth0')).toMatchObject(silent);
    expect((await tool('net')).stdout).toBe('xdp:\n\ntc:\n\nflow_dissector:\n\nnetfilter:\n\n');
  });

  test('a link is shown with where it is pinned, pinned once more, and detached', async () => {
    const prog = await kernel.objGet('/sys/fs/bpf/hello');
    const device = (await kernel.netDevices()).find(({ name }) => name === 'eth0');
    const ifindex = device?.ifindex ?? 0;
    const link = await kernel.linkCreate({ prog, attachType: AttachType.Xdp, ifindex });
    const { id, progId } = await kernel.linkInfo(link);
    expect(await tool('link', 'pin', 'id', String(id), '/sys/fs/bpf/there')).toMatchObject(silent);
    await kernel.close(link);
    expect((await tool('-f', 'link')).stdout).toBe(
      `${id}: xdp  prog ${progId}  \n\tifindex eth0(${ifindex})  \n\tpinned /sys/fs/bpf/there\n`,
    );
    expect(await tool('link', 'pin', 'id', String(id), '/sys/fs/bpf/there')).toMatchObject({ status: 255 });
    expect(await tool('-j', 'link', 'detach', 'pinned', '/sys/fs/bpf/there')).toMatchObject({
      ...silent,
      stdout: 'null\n',
    });
    expect((await tool('link', 'show', 'pinned', '/sys/fs/bpf/there')).stdout).toContain(
      'ifindex (detached)',
    );
  });

  test.each([
    [['cgroup', 'attach', '/sys/fs/cgroup', 'ingress', 'name', 'hello'], 'Error: failed to attach program\n'],
    [
      ['cgroup', 'detach', '/sys/fs/cgroup', 'cgroup_device', 'name', 'hello'],
      'Error: failed to detach program\n',
    ],
    [
      ['net', 'attach', 'xdpoffload', 'name', 'hello', 'dev', 'eth0'],
      'Error: interface xdpoffload attach failed: ',
    ],
    [['iter', 'pin', 'hello.bpf.o', '/sys/fs/bpf/it'], 'Error: attach_iter failed for program hello\n'],
  ])('%j is refused by the kernel, which says why', async (words, message) => {
    const { status, stderr } = await tool(...words);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/^Kernel error message: ./);
    expect(stderr).toContain(message);
  });

  test('what is not there is told', async () => {
    expect(await tool('struct_ops', 'register', 'hello.bpf.o')).toMatchObject({
      status: 255,
      stderr: 'Error: no struct_ops found in hello.bpf.o\n',
    });
    expect(await tool('iter', 'pin', 'nope.o', '/sys/fs/bpf/it')).toMatchObject({
      status: 254,
      stderr: expect.stringContaining("Error: can't open objfile nope.o\n"),
    });
    expect(await tool('iter', 'pin', 'x')).toMatchObject({
      status: 255,
      stderr: expect.stringContaining(
        "Error: 'pin' needs at least 2 arguments, 1 found\nUsage: bpftool iter pin",
      ),
    });
    expect(await tool('token', 'list', 'x')).toMatchObject({ status: 255, stderr: "Error: what is 'x'?\n" });
  });
});

/** A kernel that has just these members. */
const answering = (members: object): EmulatedKernel => members as unknown as EmulatedKernel;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

// What Linux 6.18 lists of such a mount.
const MOUNTS = `proc /proc proc rw,relatime 0 0
none /sys/fs/bpf bpf rw,relatime,delegate_cmds=map_create:prog_load:btf_load:link_create:prog_attach,delegate_maps=any 0 0
none /mnt/two\\040words bpf rw,relatime 0 0
`;

test('token: what file systems delegate, four a line', async () => {
  const kernel = answering({ readFile: async () => bytesOf(MOUNTS) });
  expect((await runLine(['token', 'list'], { kernel })).stdout).toBe(
    'token_info  /sys/fs/bpf' +
      '\n\tallowed_cmds:\n\t  map_create          prog_load           btf_load            link_create         ' +
      '\n\t  prog_attach         \n\tallowed_maps:\n\t  any                 \n\tallowed_progs:\n\tallowed_attachs:\n',
  );
  expect(JSON.parse((await runLine(['-j', 'token'], { kernel })).stdout)).toEqual([
    {
      token_info: '/sys/fs/bpf',
      allowed_cmds: ['map_create', 'prog_load', 'btf_load', 'link_create', 'prog_attach'],
      allowed_maps: ['any'],
      allowed_progs: [],
      allowed_attachs: [],
    },
  ]);
});

describe('perf', () => {
  const held = [
    { progId: 3, fdType: 'tracepoint', name: 'sched_switch', probeOffset: 0n, probeAddr: 0n },
    { progId: 4, fdType: 'kretprobe', name: 'vfs_read', probeOffset: 8n, probeAddr: 0n },
    { progId: 5, fdType: 'kprobe', name: '', probeOffset: 0n, probeAddr: 4096n },
    { progId: 6, fdType: 'uprobe', name: '/bin/sh', probeOffset: 64n, probeAddr: 0n },
  ];
  const kernel = (refusal: number) =>
    answering({
      fileList: async (directory: string) =>
        (directory === '/proc' ? ['10', '9', 'self'] : ['0', '1', '2', '3', '4']).map((name) => ({
          name,
          kind: 'file',
        })),
      taskFdQuery: async (pid: number, fd: number) => {
        const info = pid === 10 ? held[fd] : undefined;
        if (info === undefined || refusal === Errno.EPERM) throw new BpfError('BPF_TASK_FD_QUERY', refusal);
        return info;
      },
    });

  test('lists who holds which event', async () => {
    expect((await runLine(['perf'], { kernel: kernel(Errno.ENOTSUPP) })).stdout).toBe(
      'pid 10  fd 0: prog_id 3  tracepoint  sched_switch\n' +
        'pid 10  fd 1: prog_id 4  kretprobe  func vfs_read  offset 8\n' +
        'pid 10  fd 2: prog_id 5  kprobe  addr 4096\n' +
        'pid 10  fd 3: prog_id 6  uprobe  filename /bin/sh  offset 64\n',
    );
    expect(JSON.parse((await runLine(['-j', 'perf'], { kernel: kernel(Errno.ENOTSUPP) })).stdout)).toEqual([
      { pid: 10, fd: 0, prog_id: 3, fd_type: 'tracepoint', tracepoint: 'sched_switch' },
      { pid: 10, fd: 1, prog_id: 4, fd_type: 'kretprobe', func: 'vfs_read', offset: 8 },
      { pid: 10, fd: 2, prog_id: 5, fd_type: 'kprobe', addr: 4096 },
      { pid: 10, fd: 3, prog_id: 6, fd_type: 'uprobe', filename: '/bin/sh', offset: 64 },
    ]);
  });

  test('says so when the kernel answers nobody', async () => {
    const { status, stdout, stderr } = await runLine(['perf'], { kernel: kernel(Errno.EPERM) });
    expect({ status, stdout }).toEqual({ status: 255, stdout: '' });
    expect(stderr).toContain('Error: perf_query_support: Operation not permitted\n');
  });
});

describe('cgroup', () => {
  const kernel = answering({
    open: async () => 7,
    close: async () => {},
    fileStat: async () => ({ kind: 'directory' }),
    fileList: async (directory: string) =>
      directory === '/cg' ? [{ name: 'child', kind: 'directory' }] : [],
    readFile: async () => bytesOf('cgroup /cg cgroup2 rw 0 0\n'),
    btfGetFdById: async () => 8,
    btfInfo: async () => ({ name: 'other' }),
    progGetFdById: async (id: number) => id,
    progInfo: async (id: number) => ({
      id,
      name: `prog${id}`,
      btfId: 0,
      attachBtfObjId: id === 6 ? 2 : 0,
      attachBtfId: id === 6 ? 40 : 0,
    }),
    progQuery: async ({ attachType }: { attachType: number }) => {
      const none = { programs: [], attachFlags: 0, revision: 1n };
      const one = (progId: number, attachFlags: number) => ({
        progId,
        attachFlags,
        linkId: 0,
        linkAttachFlags: 0,
      });
      if (attachType === AttachType.CgroupInetIngress)
        return { ...none, programs: [one(4, 0)], attachFlags: 2 };
      if (attachType === AttachType.CgroupDevice) return { ...none, programs: [one(5, 1), one(6, 0x44)] };
      if (attachType === AttachType.LsmCgroup) throw new BpfError('BPF_PROG_QUERY', Errno.EINVAL);
      return none;
    },
  });
  const rows =
    '4        cgroup_inet_ingress multi           prog4          \n' +
    '5        cgroup_device   override        prog5          \n' +
    '6        cgroup_device   unknown(44)     prog6           attach_btf_obj_id=2 attach_btf_id=40\n';

  test('shows what runs in a cgroup, in the order of the hooks', async () => {
    const { stdout, status } = await runLine(['cgroup', 'show', '/cg'], { kernel });
    expect(stdout).toBe(`ID       AttachType      AttachFlags     Name           \n${rows}`);
    expect(status).toBe(0);
    const json = await runLine(['-j', 'cgroup', 'show', '/cg', 'effective'], { kernel });
    expect(JSON.parse(json.stdout)[1]).toEqual({
      id: 5,
      attach_type: 'cgroup_device',
      name: 'prog5',
      attach_btf_obj_id: 0,
      attach_btf_id: 0,
    });
  });

  test('and in those below it, further in', async () => {
    const { stdout } = await runLine(['cgroup', 'tree'], { kernel });
    const titles = 'CgroupPath\nID       AttachType      AttachFlags     Name           \n';
    const below = rows.replace(/^(?=.)/gm, '    ');
    expect(stdout).toBe(`${titles}/cg\n${rows}/cg/child\n${below}`);
  });
});
