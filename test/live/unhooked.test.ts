// What the emulated kernel has no hooks for: it refuses as Linux refuses what is not there, and says what is missing.

import { expect, test } from 'vitest';
import type { Bpf, Fd } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { AttachType, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';

const NOWHERE = 0x7fff0000;
const CLOSED = 987654;

interface Fds {
  map: Fd;
  /** Of XDP, of traffic control, of a raw tracepoint, of a cgroup. */
  prog: Fd;
  traffic: Fd;
  raw: Fd;
  cgroup: Fd;
}
type Question = (kernel: Bpf, fds: Fds) => Promise<unknown>;
const tc = { ifindex: NOWHERE, direction: 'ingress' } as const;
const tcx = { ifindex: NOWHERE, attachType: AttachType.TcxIngress };
const cgroupHook = { target: CLOSED, attachType: AttachType.CgroupInetIngress };

/** Questions whose answer is an error in both; the last word says what the emulated kernel's error must name. */
const questions: Record<string, readonly [Question, names: RegExp]> = {
  'an XDP link on no device': [
    (kernel, { prog }) => kernel.linkCreate({ prog, attachType: AttachType.Xdp, ifindex: NOWHERE }),
    /no device/,
  ],
  'a tcx link on no device': [
    (kernel, { traffic }) => kernel.linkCreate({ prog: traffic, ...tcx }),
    /no device/,
  ],
  'a link of no program': [
    (kernel) => kernel.linkCreate({ prog: CLOSED, attachType: AttachType.Xdp, ifindex: 1 }),
    /descriptor/,
  ],
  'a link of a program of another type': [
    (kernel, { prog }) => kernel.linkCreate({ prog, attachType: AttachType.CgroupInetIngress }),
    /xdp program cannot hang on cgroup_inet_ingress/,
  ],
  'updating a map as a link': [
    (kernel, { map, prog }) => kernel.linkUpdate(map, { newProg: prog }),
    /not a link/,
  ],
  'updating nothing': [(kernel, { prog }) => kernel.linkUpdate(CLOSED, { newProg: prog }), /descriptor/],
  'detaching a program': [(kernel, { prog }) => kernel.linkDetach(prog), /not a link/],
  'iterating over a map': [(kernel, { map }) => kernel.iterCreate(map), /no link/],
  'attaching to no device': [
    (kernel, { traffic }) => kernel.progAttach({ prog: traffic, ...tcx }),
    /no device/,
  ],
  'detaching from no device': [
    (kernel, { traffic }) => kernel.progDetach({ prog: traffic, ...tcx }),
    /no device/,
  ],
  'asking no device': [(kernel) => kernel.progQuery(tcx), /no device/],
  'an XDP program on no device': [
    (kernel, { prog }) => kernel.xdpSet({ ifindex: NOWHERE, prog }),
    /no device/,
  ],
  'a place for filters on no device': [(kernel) => kernel.tcHookCreate(NOWHERE), /no device/],
  'no place for filters on no device': [(kernel) => kernel.tcHookDestroy(NOWHERE), /no device/],
  'a filter on no device': [
    (kernel, { traffic }) => kernel.tcFilterAdd({ ...tc, prog: traffic }),
    /no device/,
  ],
  'no filter on no device': [
    (kernel) => kernel.tcFilterDelete({ ...tc, priority: 1, handle: 1 }),
    /no device/,
  ],
  'a raw tracepoint that is not there': [
    (kernel, { raw }) => kernel.rawTracepointOpen({ prog: raw, name: 'no_such' }),
    /no_such: trace events/,
  ],
  'a function that is not there': [
    (kernel) => kernel.perfEventOpen({ kind: 'kprobe', function: 'no_such' }),
    /kprobe: perf events/,
  ],
  'a map as a perf event': [(kernel, { map }) => kernel.perfEventEnable(map), /no perf event/],
  'a perf event that is not open': [(kernel) => kernel.perfEventDisable(CLOSED), /descriptor/],
  'a map as a perf event with a program': [
    (kernel, { map, prog }) => kernel.perfEventSetBpf(map, prog),
    /no perf event/,
  ],
  'a pin outside a bpf file system': [
    (kernel, { map }) => kernel.objPin(map, '/tmp/skep-no-bpffs'),
    /skep-no-bpffs.*file system/,
  ],
  'a pin of nothing': [(kernel) => kernel.objPin(CLOSED, '/tmp/skep-no-bpffs'), /descriptor/],
  'a pin that is not there': [(kernel) => kernel.objGet('/no/such/pin'), /no\/such\/pin.*file system/],
  'a file that is not there': [(kernel) => kernel.open('/no/such/file'), /file system/],
  'reading a map as a file': [(kernel, { map }) => kernel.read(map, 10), /cannot be read/],
  'the events of no process': [(kernel) => kernel.taskFdQuery(0x3fffffff, 0), /processes/],
  'the end of the links': [(kernel) => kernel.linkGetNextId(0x7ffffff0), /link/],
};

const refused = async (promise: Promise<unknown>): Promise<BpfError> => {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof BpfError) return error;
  throw error ?? new Error('it did not fail');
};

async function objects(kernel: Bpf): Promise<Fds> {
  const map = await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
  const instructions = encode(assemble('r0 = 0\nexit'));
  const load = (type: ProgType) => kernel.progLoad({ type, instructions, license: 'GPL' });
  return {
    map,
    prog: await load(ProgType.Xdp),
    traffic: await load(ProgType.SchedCls),
    raw: await load(ProgType.RawTracepoint),
    cgroup: await load(ProgType.CgroupSkb),
  };
}

test.each(Object.entries(questions))(
  'the emulated kernel says what is missing for %s',
  async (_, [ask, names]) => {
    const kernel = new EmulatedKernel();
    const error = await refused(ask(kernel, await objects(kernel)));
    expect(error.message).toMatch(names);
    expect(error.command).toMatch(/^(BPF_|RTM_|PERF_EVENT_IOC_)[A-Z_]+$|^(open|read|perf_event_open)$/);
  },
);

test.each<[string, Question]>([
  ['a link', (kernel, { cgroup }) => kernel.linkCreate({ prog: cgroup, ...cgroupHook })],
  ['an attachment', (kernel, { cgroup }) => kernel.progAttach({ prog: cgroup, ...cgroupHook })],
  ['the end of one', (kernel, { cgroup }) => kernel.progDetach({ prog: cgroup, ...cgroupHook })],
  ['a question', (kernel) => kernel.progQuery(cgroupHook)],
])('%s for a hook that is not there names the hook', async (_, ask) => {
  const kernel = new EmulatedKernel();
  const { message, errno } = await refused(ask(kernel, await objects(kernel)));
  expect(message).toMatch(/cgroup_inet_ingress: this needs a hook, which the emulated kernel does not have/);
  expect(errno).toBe(Errno.EINVAL);
});

test('filters on a device that is there say what there is instead', async () => {
  const kernel = new EmulatedKernel();
  const { message, errno } = await refused(kernel.tcHookCreate(1));
  expect(message).toMatch(/filters of traffic control .* tcx/);
  expect(errno).toBe(Errno.EOPNOTSUPP);
});

needs('the same refusals', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('have the errno and the command that Linux gives', async () => {
    using linux = new LinuxKernel();
    const emulated = new EmulatedKernel();
    const [real, ours] = [await objects(linux), await objects(emulated)];
    const said: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const [name, [ask]] of Object.entries(questions)) {
      const answer = await refused(ask(linux, real));
      expected[name] = [answer.command, answer.errno];
      const { command, errno } = await refused(ask(emulated, ours));
      said[name] = [command, errno];
    }
    expect(said).toEqual(expected);
    expect(await emulated.tcFilters(tc)).toEqual(await linux.tcFilters(tc));
  });
});
