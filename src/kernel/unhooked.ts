// What the emulated kernel has nothing to hang on yet: network devices, cgroups, events. Each command
// answers as a Linux that was built without it, and names what is missing.

import type {
  Fd,
  Hooks,
  LinkCommands,
  LinkCreateAttr,
  LinkInfo,
  NetDevice,
  PerfEventAttr,
  ProgAttachAttr,
  ProgDetachAttr,
  ProgQueryAttr,
  ProgQueryResult,
  TaskFdInfo,
  TcFilter,
  TcFilterAttr,
  TcHook,
  XdpAttr,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachType, attachTypeName } from '../bpf/types.js';

const YET = 'the emulated kernel does not have yet';

function refuse(command: string, errno: Errno, detail: string): never {
  throw new BpfError(command, errno, detail);
}

/** Hooks on devices: Linux first looks for the device. */
const onDevice: ReadonlySet<AttachType> = new Set([
  AttachType.TcxIngress,
  AttachType.TcxEgress,
  AttachType.NetkitPrimary,
  AttachType.NetkitPeer,
]);

const noHook = (command: string, type: AttachType): never =>
  refuse(
    command,
    onDevice.has(type) ? Errno.ENODEV : Errno.EINVAL,
    `${attachTypeName(type) ?? `attach type ${type}`}: this needs a hook, which ${YET}`,
  );

const noDevice = (command: string, ifindex: number): never =>
  refuse(command, Errno.ENODEV, `there is no device ${ifindex}: network devices are something that ${YET}`);

/** The commands of the waist that need a hook. */
export abstract class Unhooked implements LinkCommands, Hooks {
  /** EBADF unless the descriptor is open. */
  protected abstract checkOpen(command: string, fd: Fd): void;

  #noLink(command: string, fd: Fd): never {
    this.checkOpen(command, fd);
    return refuse(command, Errno.EINVAL, `descriptor ${fd} is no link: links are something that ${YET}`);
  }

  #noEvent(command: string, fd: Fd): never {
    this.checkOpen(command, fd);
    return refuse(
      command,
      Errno.ENOTTY,
      `descriptor ${fd} is no perf event: those are something that ${YET}`,
    );
  }

  async linkCreate({ attachType, prog }: LinkCreateAttr): Promise<Fd> {
    this.checkOpen('BPF_LINK_CREATE', prog);
    return noHook('BPF_LINK_CREATE', attachType);
  }

  async linkUpdate(link: Fd): Promise<void> {
    this.#noLink('BPF_LINK_UPDATE', link);
  }

  async linkDetach(link: Fd): Promise<void> {
    this.#noLink('BPF_LINK_DETACH', link);
  }

  async linkInfo(link: Fd): Promise<LinkInfo> {
    return this.#noLink('BPF_OBJ_GET_INFO_BY_FD', link);
  }

  async linkGetNextId(id: number): Promise<number> {
    return refuse('BPF_LINK_GET_NEXT_ID', Errno.ENOENT, `there is no link after ${id}`);
  }

  async linkGetFdById(id: number): Promise<Fd> {
    return refuse('BPF_LINK_GET_FD_BY_ID', Errno.ENOENT, `there is no link with id ${id}`);
  }

  async rawTracepointOpen({ prog, name }: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd> {
    this.checkOpen('BPF_RAW_TRACEPOINT_OPEN', prog);
    const detail = `${name ?? 'what the program was loaded for'}: trace events are something that ${YET}`;
    return refuse('BPF_RAW_TRACEPOINT_OPEN', Errno.ENOENT, detail);
  }

  async progAttach({ attachType, prog }: ProgAttachAttr): Promise<void> {
    this.checkOpen('BPF_PROG_ATTACH', prog);
    noHook('BPF_PROG_ATTACH', attachType);
  }

  async progDetach({ attachType }: ProgDetachAttr): Promise<void> {
    noHook('BPF_PROG_DETACH', attachType);
  }

  async progQuery({ attachType }: ProgQueryAttr): Promise<ProgQueryResult> {
    return noHook('BPF_PROG_QUERY', attachType);
  }

  async iterCreate(link: Fd): Promise<Fd> {
    return this.#noLink('BPF_ITER_CREATE', link);
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

  async netDevices(): Promise<NetDevice[]> {
    return [];
  }

  async xdpSet({ ifindex }: XdpAttr): Promise<void> {
    noDevice('RTM_SETLINK', ifindex);
  }

  async tcHookCreate(ifindex: number): Promise<void> {
    noDevice('RTM_NEWQDISC', ifindex);
  }

  async tcHookDestroy(ifindex: number): Promise<void> {
    noDevice('RTM_DELQDISC', ifindex);
  }

  async tcFilterAdd({ ifindex }: TcFilterAttr): Promise<TcFilter> {
    return noDevice('RTM_NEWTFILTER', ifindex);
  }

  async tcFilterDelete({ ifindex }: TcHook): Promise<void> {
    noDevice('RTM_DELTFILTER', ifindex);
  }

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
