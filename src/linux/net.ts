// Network devices: which there are, XDP programs on them, and the filters of traffic control (<linux/rtnetlink.h>,
// <linux/if_link.h>, <linux/pkt_cls.h>).

import type { NetDevice, TcFilter, TcFilterAttr, TcHook, XdpAttr, XdpMode } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { XdpFlag } from '../bpf/types.js';
import { type Attribute, Attributes, encodeAttributes, MessageFlag, request } from './netlink.js';
import type { Session } from './session.js';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;

const IFLA_IFNAME = 3;
const IFLA_XDP = 43;
/** Within IFLA_XDP. */
const Xdp = {
  Fd: 1,
  Attached: 2,
  Flags: 3,
  ProgId: 4,
  DrvProgId: 5,
  SkbProgId: 6,
  HwProgId: 7,
  ExpectedFd: 8,
};
/** XDP_ATTACHED_*: 4 is several at once. */
const attachedModes: readonly (XdpMode | undefined)[] = [undefined, 'native', 'generic', 'offload'];

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
/** Within TCA_OPTIONS of a `bpf` filter. */
const TcaBpf = { Fd: 6, Name: 7, Flags: 8, Id: 11 };
const TCA_BPF_FLAG_ACT_DIRECT = 1;

const TC_H_CLSACT = 0xfffffff1;
const CLSACT_HANDLE = 0xffff0000;
const parents: Readonly<Record<TcHook['direction'], number>> = { ingress: 0xfffffff2, egress: 0xfffffff3 };
/** ETH_P_ALL in the order of the network. */
const EVERY_PROTOCOL = 0x0300;

/** struct ifinfomsg: u8 family, pad, u16 type, s32 index, u32 flags, u32 change. */
const LINK_HEADER = 16;
function linkMessage(ifindex: number, attributes: readonly Attribute[] = []): Uint8Array {
  const header = new Uint8Array(LINK_HEADER);
  new DataView(header.buffer).setInt32(4, ifindex, true);
  return joined(header, encodeAttributes(attributes));
}

/** struct tcmsg: u8 family, 3 pad, s32 ifindex, u32 handle, u32 parent, u32 info. */
const TC_HEADER = 20;
function tcMessage(
  {
    ifindex,
    handle = 0,
    parent,
    info = 0,
  }: { ifindex: number; handle?: number; parent: number; info?: number },
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const header = new Uint8Array(TC_HEADER);
  const view = new DataView(header.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, info, true);
  return joined(header, encodeAttributes(attributes));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

const filterInfo = (priority: number): number => ((priority << 16) | EVERY_PROTOCOL) >>> 0;

/** The commands of `Hooks` that speak of network devices. */
export class LinuxNet {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  #request(command: string, type: number, flags: number, payload: Uint8Array) {
    return request(this.#session.native, command, { type, flags, payload });
  }

  async netDevices(): Promise<NetDevice[]> {
    const answers = this.#request('RTM_GETLINK', RTM_GETLINK, MessageFlag.Dump, linkMessage(0));
    return answers.filter(({ type }) => type === RTM_NEWLINK).map(({ payload }) => device(payload));
  }

  async xdpSet({ ifindex, prog, flags = 0, expectedProg }: XdpAttr): Promise<void> {
    const command = 'RTM_SETLINK';
    const session = this.#session;
    const attributes: Attribute[] = [
      [Xdp.Fd, prog === null ? -1 : session.own(command, prog)],
      [Xdp.Flags, expectedProg === undefined ? flags : flags | XdpFlag.Replace],
    ];
    if (expectedProg !== undefined) attributes.push([Xdp.ExpectedFd, session.own(command, expectedProg)]);
    this.#request(command, RTM_SETLINK, MessageFlag.Ack, linkMessage(ifindex, [[IFLA_XDP, attributes]]));
  }

  async tcHookCreate(ifindex: number): Promise<void> {
    const message = tcMessage({ ifindex, handle: CLSACT_HANDLE, parent: TC_H_CLSACT }, [
      [TCA_KIND, 'clsact'],
    ]);
    const flags = MessageFlag.Ack | MessageFlag.Create | MessageFlag.Excl;
    this.#request('RTM_NEWQDISC', RTM_NEWQDISC, flags, message);
  }

  async tcHookDestroy(ifindex: number): Promise<void> {
    const message = tcMessage({ ifindex, handle: CLSACT_HANDLE, parent: TC_H_CLSACT }, [
      [TCA_KIND, 'clsact'],
    ]);
    this.#request('RTM_DELQDISC', RTM_DELQDISC, MessageFlag.Ack, message);
  }

  async tcFilterAdd(attr: TcFilterAttr): Promise<TcFilter> {
    const command = 'RTM_NEWTFILTER';
    const { ifindex, direction, prog, priority = 0, handle = 0, replace = false, name } = attr;
    checkPriority(command, priority);
    const options: Attribute[] = [
      [TcaBpf.Fd, this.#session.own(command, prog)],
      [TcaBpf.Flags, TCA_BPF_FLAG_ACT_DIRECT],
    ];
    if (name) options.push([TcaBpf.Name, name]);
    const message = tcMessage({ ifindex, handle, parent: parents[direction], info: filterInfo(priority) }, [
      [TCA_KIND, 'bpf'],
      [TCA_OPTIONS, options],
    ]);
    const exclusive = replace ? MessageFlag.Replace : MessageFlag.Excl;
    // The kernel echoes the filter, with the priority and handle that it chose.
    const flags = MessageFlag.Ack | MessageFlag.Echo | MessageFlag.Create | exclusive;
    const [answer] = this.#request(command, RTM_NEWTFILTER, flags, message);
    const added = answer && filter(attr, answer.payload);
    if (!added) throw new BpfError(command, Errno.EPROTO, 'the kernel does not say which filter it made');
    return added;
  }

  async tcFilterDelete(attr: TcHook & { priority: number; handle: number }): Promise<void> {
    const command = 'RTM_DELTFILTER';
    const { ifindex, direction, priority, handle } = attr;
    checkPriority(command, priority);
    const message = tcMessage({ ifindex, handle, parent: parents[direction], info: filterInfo(priority) }, [
      [TCA_KIND, 'bpf'],
    ]);
    this.#request(command, RTM_DELTFILTER, MessageFlag.Ack, message);
  }

  async tcFilters(hook: TcHook): Promise<TcFilter[]> {
    const { ifindex, direction } = hook;
    const message = tcMessage({ ifindex, parent: parents[direction] });
    const answers = this.#request('RTM_GETTFILTER', RTM_GETTFILTER, MessageFlag.Dump, message);
    return answers
      .filter(({ type }) => type === RTM_NEWTFILTER)
      .map(({ payload }) => filter(hook, payload))
      .filter((found) => found !== undefined);
  }
}

function checkPriority(command: string, priority: number): void {
  if (Number.isInteger(priority) && priority >= 0 && priority <= 0xffff) return;
  throw new BpfError(command, Errno.EINVAL, `priority ${priority} is not 0 to 65535`);
}

function device(payload: Uint8Array): NetDevice {
  const ifindex = new DataView(payload.buffer, payload.byteOffset).getInt32(4, true);
  const attributes = new Attributes(payload.subarray(LINK_HEADER));
  return { ifindex, name: attributes.text(IFLA_IFNAME) ?? '', xdp: xdpPrograms(attributes.nested(IFLA_XDP)) };
}

function xdpPrograms(xdp: Attributes | undefined): NetDevice['xdp'] {
  if (!xdp) return [];
  const byMode: [XdpMode, number | undefined][] = [
    ['native', xdp.number(Xdp.DrvProgId)],
    ['generic', xdp.number(Xdp.SkbProgId)],
    ['offload', xdp.number(Xdp.HwProgId)],
  ];
  const found = byMode.flatMap(([mode, progId]) => (progId === undefined ? [] : [{ mode, progId }]));
  if (found.length > 0) return found;
  // Kernels before 5.0 say only the one that there is.
  const mode = attachedModes[xdp.number(Xdp.Attached) ?? 0];
  const progId = xdp.number(Xdp.ProgId);
  return mode === undefined || progId === undefined ? [] : [{ mode, progId }];
}

/** A `bpf` filter; undefined for another kind, and for the answer that stands for all filters of one priority. */
function filter({ ifindex, direction }: TcHook, payload: Uint8Array): TcFilter | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const attributes = new Attributes(payload.subarray(TC_HEADER));
  const options = attributes.nested(TCA_OPTIONS);
  const progId = options?.number(TcaBpf.Id);
  if (attributes.text(TCA_KIND) !== 'bpf' || !options || progId === undefined) return undefined;
  return {
    ifindex,
    direction,
    priority: view.getUint32(16, true) >>> 16,
    handle: view.getUint32(8, true),
    progId,
    name: options.text(TcaBpf.Name) ?? '',
    directAction: ((options.number(TcaBpf.Flags) ?? 0) & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
  };
}
