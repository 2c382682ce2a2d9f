// Programs for events of the kernel: they load, and what cannot be attached is refused. Nothing is attached here: events
// belong to the whole machine.

import { expect, test } from 'vitest';
import type { Bpf, PerfEventAttr } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { AttachType, MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode } from '../../src/isa/index.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { attachPerfEvent, attachRawTracepoint, attachTracing } from '../../src/loader/attach.js';
import { missingKernel, needs } from '../require.js';

const instructions = encode(assemble('r0 = 0\nexit'));

const program = async (kernel: Bpf, type: ProgType) => ({
  name: 'traces',
  fd: await kernel.progLoad({ type, instructions, license: 'GPL' }),
});

async function refusal(promise: Promise<unknown>): Promise<BpfError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  const cause = error instanceof BpfError ? error : (error as Error | undefined)?.cause;
  if (cause instanceof BpfError) return cause;
  throw error ?? new Error('it did not fail');
}

needs('programs for events', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each([
    ['kprobe', ProgType.Kprobe],
    ['tracepoint', ProgType.Tracepoint],
    ['raw_tracepoint', ProgType.RawTracepoint],
    ['perf_event', ProgType.PerfEvent],
  ])('load as type %s and say so', async (_name, type) => {
    using linux = new LinuxKernel();
    const { fd } = await program(linux, type);
    expect((await linux.progInfo(fd)).type).toBe(type);
  });

  test('a raw tracepoint that the kernel does not have is not there', async () => {
    using linux = new LinuxKernel();
    const raw = await program(linux, ProgType.RawTracepoint);
    const error = await refusal(attachRawTracepoint(linux, raw, 'no_such_tracepoint', 7n));
    expect([error.command, error.errno]).toEqual(['BPF_RAW_TRACEPOINT_OPEN', Errno.ENOENT]);
    // It was not loaded for anything in particular, so that a name is looked for.
    expect((await refusal(attachTracing(linux, raw))).errno).toBe(Errno.EFAULT);
    const xdp = await program(linux, ProgType.Xdp);
    expect((await refusal(attachRawTracepoint(linux, xdp, 'no_such_tracepoint'))).errno).toBe(Errno.EINVAL);
  });

  const wrong: [string, PerfEventAttr, readonly number[]][] = [
    ['tracepoint', { kind: 'tracepoint', category: 'no', name: 'such' }, [Errno.ENOENT]],
    ['name of a tracepoint', { kind: 'tracepoint', category: '../..', name: 'such' }, [Errno.EINVAL]],
    // Kernels without kprobes say so in the same way.
    ['function of the kernel', { kind: 'kprobe', function: 'no_such_function' }, [Errno.ENOENT]],
    ['file', { kind: 'uprobe', path: '/no/such/file', offset: 0n }, [Errno.ENOENT]],
    ['kind of file', { kind: 'uprobe', path: '/proc', offset: 0n, onReturn: true }, [Errno.EINVAL]],
    ['event', { kind: 'event', type: 1, config: 9999n, sampleFreq: 10n }, [Errno.ENOENT, Errno.EINVAL]],
    ['kind of event', { kind: 'event', type: 0x7fffffff, config: 0n, cpu: 0 }, [Errno.ENOENT]],
  ];
  test.each(wrong)('a %s that is not there is refused', async (_what, event, errnos) => {
    using linux = new LinuxKernel();
    const kprobe = await program(linux, ProgType.Kprobe);
    const error = await refusal(attachPerfEvent(linux, kprobe, event));
    expect(error.command).toBe('perf_event_open');
    expect(errnos).toContain(error.errno);
  });

  test('what is no perf event cannot be used as one', async () => {
    using linux = new LinuxKernel();
    const { fd } = await program(linux, ProgType.Kprobe);
    const map = await linux.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 4, maxEntries: 1 });
    expect((await refusal(linux.perfEventSetBpf(map, fd))).errno).toBe(Errno.ENOTTY);
    expect((await refusal(linux.perfEventEnable(map))).errno).toBe(Errno.ENOTTY);
    expect((await refusal(linux.perfEventDisable(1))).errno).toBe(Errno.EBADF);
    const link = linux.linkCreate({ prog: fd, target: map, attachType: AttachType.PerfEvent, cookie: 1n });
    expect((await refusal(link)).errno).toBe(Errno.EBADF);
    expect((await refusal(linux.taskFdQuery(process.pid, map))).errno).toBe(Errno.ENOTSUPP);
    expect((await refusal(linux.taskFdQuery(0x3fffffff, 0))).errno).toBe(Errno.ENOENT);
    expect((await refusal(linux.iterCreate(fd))).errno).toBe(Errno.EINVAL);
  });

  test('probes of many functions are refused when one is not there', async () => {
    using linux = new LinuxKernel();
    const attr = { type: ProgType.Kprobe, instructions, license: 'GPL' };
    const kprobes = { ...attr, expectedAttachType: AttachType.TraceKprobeMulti };
    // A kernel without fprobes does not load or attach them at all.
    const many = await linux.progLoad(kprobes).then(
      (prog) =>
        refusal(
          linux.linkCreate({
            prog,
            attachType: AttachType.TraceKprobeMulti,
            kprobeMulti: { symbols: ['no_such_function', 'nor_this'], cookies: [1n, 2n], flags: 1 },
          }),
        ),
      (error: BpfError) => error,
    );
    expect([Errno.ESRCH, Errno.ENOENT, Errno.EINVAL, Errno.EOPNOTSUPP]).toContain(many.errno);
    const uprobes = { ...attr, expectedAttachType: AttachType.TraceUprobeMulti };
    const prog = await linux.progLoad(uprobes);
    const link = linux.linkCreate({
      prog,
      attachType: AttachType.TraceUprobeMulti,
      uprobeMulti: { path: '/no/such/file', offsets: [0n], cookies: [5n], pid: 0 },
    });
    expect((await refusal(link)).errno).toBe(Errno.ENOENT);
  });
});
