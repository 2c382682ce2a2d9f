// Perf events (perf_event_open(2)): counters, tracepoints, probes in the kernel and in executables.

import { readFileSync } from 'node:fs';
import type { Fd, PerfEventAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { perf } from './attributes.js';
import { check, cString, type Session } from './session.js';
import type { Struct } from './struct.js';
import { tracefs } from './tracefs.js';

const COMMAND = 'perf_event_open';
/** PERF_ATTR_SIZE_VER5: every kernel with BPF knows more than is used of it here. */
const ATTR_SIZE = 112;
const PERF_TYPE_TRACEPOINT = 2;
/** The bit fields behind read_format; `freq` says that sample_period is a frequency. */
const FLAGS = 40;
const FREQ = 1 << 10;

const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_EVENT_IOC_DISABLE = 0x2401;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;

type Attr = Struct<typeof perf.perf_event_attr>;

export class LinuxPerfEvents {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async perfEventOpen(attr: PerfEventAttr): Promise<Fd> {
    const session = this.#session;
    const event = session.struct(perf.perf_event_attr, { size: ATTR_SIZE, wakeup_events: 1 });
    describe(event, attr);
    const { pid = -1, cpu = pid === -1 ? 0 : -1 } = attr;
    const fd = session.native.perfEventOpen(event.bytes, pid, cpu);
    return session.adopt(check(COMMAND, fd, what(attr)));
  }

  async perfEventSetBpf(event: Fd, prog: Fd): Promise<void> {
    const command = 'PERF_EVENT_IOC_SET_BPF';
    this.#session.own(command, prog);
    this.#ioctl(command, event, PERF_EVENT_IOC_SET_BPF, prog);
  }

  async perfEventEnable(event: Fd): Promise<void> {
    this.#ioctl('PERF_EVENT_IOC_ENABLE', event, PERF_EVENT_IOC_ENABLE);
  }

  async perfEventDisable(event: Fd): Promise<void> {
    this.#ioctl('PERF_EVENT_IOC_DISABLE', event, PERF_EVENT_IOC_DISABLE);
  }

  #ioctl(command: string, event: Fd, request: number, value = 0): void {
    const { native } = this.#session;
    check(command, native.ioctl(this.#session.own(command, event), request, value));
  }
}

/** Fills in what the event watches. */
function describe(event: Attr, attr: PerfEventAttr): void {
  switch (attr.kind) {
    case 'event':
      event.set({
        type: attr.type,
        config: attr.config,
        sample_period: attr.sampleFreq ?? attr.samplePeriod ?? 1n,
      });
      if (attr.sampleFreq !== undefined) new DataView(event.bytes.buffer).setUint32(FLAGS, FREQ, true);
      return;
    case 'tracepoint':
      event.set({
        type: PERF_TYPE_TRACEPOINT,
        config: BigInt(tracepointId(attr.category, attr.name)),
        sample_period: 1n,
      });
      return;
    case 'kprobe':
      event.set({
        type: pmu('kprobe', 'type'),
        config: attr.onReturn ? retprobe('kprobe') : 0n,
        ...(attr.function === undefined
          ? { kprobe_addr: attr.address ?? 0n }
          : { kprobe_func: cString(attr.function), probe_offset: BigInt(attr.offset ?? 0) }),
      });
      return;
    case 'uprobe':
      event.set({
        type: pmu('uprobe', 'type'),
        // format/ref_ctr_offset: the upper half.
        config: (attr.onReturn ? retprobe('uprobe') : 0n) | (BigInt(attr.refCtrOffset ?? 0) << 32n),
        uprobe_path: cString(attr.path),
        probe_offset: attr.offset,
      });
  }
}

function what(attr: PerfEventAttr): string {
  switch (attr.kind) {
    case 'event':
      return `event type ${attr.type}, config ${attr.config}`;
    case 'tracepoint':
      return `tracepoint ${attr.category}:${attr.name}`;
    case 'kprobe':
      return `function ${attr.function ?? `at 0x${(attr.address ?? 0n).toString(16)}`}`;
    case 'uprobe':
      return `${attr.path} at offset 0x${attr.offset.toString(16)}`;
  }
}

/** The number of a tracepoint, which tracefs tells. */
function tracepointId(category: string, name: string): number {
  if (!/^[\w-]+$/.test(category) || !/^[\w-]+$/.test(name)) {
    throw new BpfError(COMMAND, Errno.EINVAL, `${category}:${name} is no name of a tracepoint`);
  }
  try {
    return Number(readFileSync(`${tracefs()}/events/${category}/${name}/id`, 'utf8'));
  } catch (error) {
    if (error instanceof BpfError) throw error;
    throw new BpfError(COMMAND, Errno.ENOENT, `this kernel has no tracepoint ${category}:${name}`);
  }
}

/** A number in what the kernel says of its probes. */
function pmu(name: 'kprobe' | 'uprobe', file: 'type'): number {
  return Number(read(name, file));
}

/** The bit of `config` for a probe at the return: `config:0`. */
function retprobe(name: 'kprobe' | 'uprobe'): bigint {
  const bit = /^config:(\d+)/.exec(read(name, 'format/retprobe'))?.[1];
  return 1n << BigInt(bit ?? 0);
}

function read(name: string, file: string): string {
  try {
    return readFileSync(`/sys/bus/event_source/devices/${name}/${file}`, 'utf8').trim();
  } catch {
    throw new BpfError(
      COMMAND,
      Errno.ENOENT,
      `this kernel has no ${name}s as perf events (before Linux 4.17)`,
    );
  }
}
