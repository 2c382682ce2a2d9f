// What the emulated kernel has nothing to hang on yet: cgroups, namespaces, trace events, filters of traffic control. Each
// command answers as a Linux that was built without it, and names what is missing.

import type {
  Fd,
  Hooks,
  LinkCommands,
  PerfEventAttr,
  ProgCommands,
  TaskFdInfo,
  TcFilter,
  TcFilterAttr,
  TcHook,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { type AttachType, attachTypeName } from '../bpf/types.js';

const YET = 'the emulated kernel does not have yet';

function refuse(command: string, errno: Errno, detail: string): never {
  throw new BpfError(command, errno, detail);
}

/** Of an attach type that there is no hook for. */
export const refuseHook = (command: string, type: AttachType): never =>
  refuse(
    command,
    Errno.EINVAL,
    `${attachTypeName(type) ?? `attach type ${type}`}: this needs a hook, which ${YET}`,
  );

/** The commands of the waist that need a hook. */
export abstract class Unhooked
  implements
    Pick<LinkCommands, 'rawTracepointOpen' | 'iterCreate'>,
    Omit<Hooks, 'netDevices' | 'xdpSet'>,
    Pick<ProgCommands, 'taskFdQuery' | 'progStreamRead'>
{
  /** EBADF unless the descriptor is open. */
  protected abstract checkOpen(command: string, fd: Fd): void;

  /** Whether there is a device of this number. */
  protected abstract hasDevice(ifindex: number): boolean;

  #noFilters(command: string, ifindex: number): never {
    if (!this.hasDevice(ifindex)) refuse(command, Errno.ENODEV, `there is no device ${ifindex}`);
    const instead = 'tcx programs do the same';
    return refuse(
      command,
      Errno.EOPNOTSUPP,
      `filters of traffic control are something that ${YET}; ${instead}`,
    );
  }

  #noEvent(command: string, fd: Fd): never {
    this.checkOpen(command, fd);
    return refuse(
      command,
      Errno.ENOTTY,
      `descriptor ${fd} is no perf event: those are something that ${YET}`,
    );
  }

  async rawTracepointOpen({ prog, name }: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd> {
    this.checkOpen('BPF_RAW_TRACEPOINT_OPEN', prog);
    const detail = `${name ?? 'what the program was loaded for'}: trace events are something that ${YET}`;
    return refuse('BPF_RAW_TRACEPOINT_OPEN', Errno.ENOENT, detail);
  }

  async iterCreate(link: Fd): Promise<Fd> {
    this.checkOpen('BPF_ITER_CREATE', link);
    const detail = `descriptor ${link} is no link of an iterator: those are something that ${YET}`;
    return refuse('BPF_ITER_CREATE', Errno.EINVAL, detail);
  }

  async taskFdQuery(pid: number): Promise<TaskFdInfo> {
    const detail = `process ${pid}: other processes are something that ${YET}`;
    return refuse('BPF_TASK_FD_QUERY', Errno.ENOENT, detail);
  }

  async progStreamRead(prog: Fd, stream: 1 | 2, _size: number): Promise<Uint8Array> {
    this.checkOpen('BPF_PROG_STREAM_READ_BY_FD', prog);
    return refuse(
      'BPF_PROG_STREAM_READ_BY_FD',
      Errno.EINVAL,
      `stream ${stream}: streams are something that ${YET}`,
    );
  }

  async tcHookCreate(ifindex: number): Promise<void> {
    this.#noFilters('RTM_NEWQDISC', ifindex);
  }

  async tcHookDestroy(ifindex: number): Promise<void> {
    this.#noFilters('RTM_DELQDISC', ifindex);
  }

  async tcFilterAdd({ ifindex }: TcFilterAttr): Promise<TcFilter> {
    return this.#noFilters('RTM_NEWTFILTER', ifindex);
  }

  async tcFilterDelete({ ifindex }: TcHook): Promise<void> {
    this.#noFilters('RTM_DELTFILTER', ifindex);
  }

  /** None: a device without a place for them has none either. */
  async tcFilters(_hook: TcHook): Promise<TcFilter[]> {
    return [];
  }

  async perfEventOpen({ kind }: PerfEventAttr): Promise<Fd> {
    return refuse('perf_event_open', Errno.ENOENT, `${kind}: perf events are something that ${YET}`);
  }

  async perfEventSetBpf(event: Fd, _prog: Fd): Promise<void> {
    this.#noEvent('PERF_EVENT_IOC_SET_BPF', event);
  }

  async perfEventEnable(event: Fd): Promise<void> {
    this.#noEvent('PERF_EVENT_IOC_ENABLE', event);
  }

  async perfEventDisable(event: Fd): Promise<void> {
    this.#noEvent('PERF_EVENT_IOC_DISABLE', event);
  }
}
