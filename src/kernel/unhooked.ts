// What the emulated kernel has nothing to hang on yet: network devices, cgroups, events, a file system. Each command
// answers as a Linux that was built without it, and names what is missing.

import type {
  Fd,
  Hooks,
  LinkCommands,
  LinkCreateAttr,
  LinkInfo,
  NetDevice,
  PerfEventAttr,
  PinCommands,
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
import { type AttachType, attachTypeName } from '../bpf/types.js';

const YET = 'the emulated kernel does not have yet';

function refuse(command: string, errno: Errno, detail: string): never {
  throw new BpfError(command, errno, detail);
}

const hook = (type: AttachType): string =>
  `${attachTypeName(type) ?? `attach type ${type}`}: this needs a hook, which ${YET}`;

const noDevice = (command: string, ifindex: number): never =>
  refuse(command, Errno.ENODEV, `there is no device ${ifindex}: network devices are something that ${YET}`);

const noFiles = (command: string, path: string, errno: Errno): never =>
  refuse(command, errno, `${JSON.stringify(path)}: a file system is something that ${YET}`);

const noLink = (command: string, fd: Fd): never =>
  refuse(command, Errno.EINVAL, `descriptor ${fd} is no link: links are something that ${YET}`);

/** The commands of the waist that need a hook or a file system. */
export abstract class Unhooked implements LinkCommands, Omit<PinCommands, 'objKind'>, Hooks {
  async linkCreate({ attachType }: LinkCreateAttr): Promise<Fd> {
    return refuse('BPF_LINK_CREATE', Errno.EINVAL, hook(attachType));
  }

  async linkUpdate(link: Fd): Promise<void> {
    noLink('BPF_LINK_UPDATE', link);
  }

  async linkDetach(link: Fd): Promise<void> {
    noLink('BPF_LINK_DETACH', link);
  }

  async linkInfo(link: Fd): Promise<LinkInfo> {
    return noLink('BPF_OBJ_GET_INFO_BY_FD', link);
  }

  async linkGetNextId(id: number): Promise<number> {
    return refuse('BPF_LINK_GET_NEXT_ID', Errno.ENOENT, `there is no link after ${id}`);
  }

  async linkGetFdById(id: number): Promise<Fd> {
    return refuse('BPF_LINK_GET_FD_BY_ID', Errno.ENOENT, `there is no link with id ${id}`);
  }

  async rawTracepointOpen({ name }: { prog: Fd; name?: string; cookie?: bigint }): Promise<Fd> {
    const detail = `${name ?? 'what the program was loaded for'}: trace events are something that ${YET}`;
    return refuse('BPF_RAW_TRACEPOINT_OPEN', Errno.ENOENT, detail);
  }

  async progAttach({ attachType }: ProgAttachAttr): Promise<void> {
    refuse('BPF_PROG_ATTACH', Errno.EINVAL, hook(attachType));
  }

  async progDetach({ attachType }: ProgDetachAttr): Promise<void> {
    refuse('BPF_PROG_DETACH', Errno.EINVAL, hook(attachType));
  }

  async progQuery({ attachType }: ProgQueryAttr): Promise<ProgQueryResult> {
    return refuse('BPF_PROG_QUERY', Errno.EINVAL, hook(attachType));
  }

  async iterCreate(link: Fd): Promise<Fd> {
    return noLink('BPF_ITER_CREATE', link);
  }

  async taskFdQuery(pid: number): Promise<TaskFdInfo> {
    const detail = `process ${pid}: other processes are something that ${YET}`;
    return refuse('BPF_TASK_FD_QUERY', Errno.ENOENT, detail);
  }

  async progStreamRead(_prog: Fd, stream: 1 | 2, _size: number): Promise<Uint8Array> {
    return refuse(
      'BPF_PROG_STREAM_READ_BY_FD',
      Errno.EINVAL,
      `stream ${stream}: streams are something that ${YET}`,
    );
  }

  async objPin(_fd: Fd, path: string): Promise<void> {
    noFiles('BPF_OBJ_PIN', path, Errno.EPERM);
  }

  async objGet(path: string): Promise<Fd> {
    return noFiles('BPF_OBJ_GET', path, Errno.ENOENT);
  }

  async tokenCreate(bpffs: string): Promise<Fd> {
    return noFiles('BPF_TOKEN_CREATE', bpffs, Errno.EOPNOTSUPP);
  }

  async open(path: string): Promise<Fd> {
    return noFiles('open', path, Errno.ENOENT);
  }

  async read(fd: Fd, _size: number): Promise<Uint8Array> {
    return refuse(
      'read',
      Errno.EINVAL,
      `descriptor ${fd} cannot be read: files and iterators are something that ${YET}`,
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

  async tcFilters({ ifindex }: TcHook): Promise<TcFilter[]> {
    return noDevice('RTM_GETTFILTER', ifindex);
  }

  async perfEventOpen({ kind }: PerfEventAttr): Promise<Fd> {
    return refuse('perf_event_open', Errno.ENOENT, `${kind}: perf events are something that ${YET}`);
  }

  async perfEventSetBpf(event: Fd, _prog: Fd): Promise<void> {
    refuse('PERF_EVENT_IOC_SET_BPF', Errno.EINVAL, `descriptor ${event} is no perf event`);
  }

  async perfEventEnable(event: Fd): Promise<void> {
    refuse('PERF_EVENT_IOC_ENABLE', Errno.EINVAL, `descriptor ${event} is no perf event`);
  }

  async perfEventDisable(event: Fd): Promise<void> {
    refuse('PERF_EVENT_IOC_DISABLE', Errno.EINVAL, `descriptor ${event} is no perf event`);
  }
}
