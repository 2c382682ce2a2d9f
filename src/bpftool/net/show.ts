// `net show`: what runs on the network devices of this namespace, and on packets elsewhere in the network stack.

import type { Bpf, LinkInfo, NetDevice, TcHook, XdpMode } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, LinkType } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import type { Json } from '../json-writer.js';
import { type NetfilterLink, netfilterJson, netfilterText } from '../link/netfilter.js';
import { allIds, closeAll, fullProgName, kernelError } from '../objects.js';
import type { Tool } from '../tool.js';
import { UsageRequest } from '../tool-error.js';
import { takeDevice } from './device.js';

/** One attachment, in both forms. */
interface Entry {
  text: string;
  json: Readonly<Record<string, Json | undefined>>;
}

export async function show(tool: Tool, args: Arguments): Promise<undefined> {
  const bpf = await tool.bpf;
  let devices: NetDevice[];
  if (args.left === 2) devices = [await takeDevice(bpf, args)];
  else if (args.left === 0) devices = await bpf.netDevices();
  else throw new UsageRequest();
  const dissector = await flowDissector(bpf);
  const onDevices: Entry[] = [];
  for (const device of devices)
    onDevices.push(...(await programsOf(bpf, device)), ...(await filtersOf(bpf, device)));
  tool.json?.startArray();
  tool.json?.startObject();
  section(
    tool,
    'xdp',
    devices.flatMap((device) => xdpOf(device)),
  );
  section(tool, 'tc', onDevices);
  section(
    tool,
    'flow_dissector',
    dissector === undefined ? [] : [{ text: `id ${dissector}`, json: { id: dissector } }],
  );
  section(tool, 'netfilter', (await netfilterLinks(bpf)).map(netfilterEntry));
  tool.json?.endObject();
  tool.json?.endArray();
}

function section(tool: Tool, name: string, entries: readonly Entry[]): void {
  if (tool.json)
    tool.json.member(
      name,
      entries.map(({ json }) => json),
    );
  else tool.print(`${name}:\n${entries.map(({ text }) => text).join('')}\n`);
}

const modeNames: Readonly<Record<XdpMode, string>> = {
  generic: 'generic',
  native: 'driver',
  offload: 'offload',
};
const modes: readonly XdpMode[] = ['generic', 'native', 'offload'];

function xdpOf({ name, ifindex, xdp }: NetDevice): Entry[] {
  if (xdp.length === 0) return [];
  const attached = modes.flatMap((mode) =>
    xdp.filter((one) => one.mode === mode).map(({ progId }) => ({ mode: modeNames[mode], id: progId })),
  );
  const text = attached.map(({ mode, id }) => ` ${mode} id ${id}`).join('');
  const [only] = attached;
  const json = attached.length === 1 && only ? only : { multi_attachments: attached };
  return [{ text: `${name}(${ifindex})${text}\n`, json: { devname: name, ifindex, ...json } }];
}

/** The hooks of a device that BPF_PROG_QUERY knows. */
const places: readonly (readonly [AttachType, string])[] = [
  [AttachType.TcxIngress, 'tcx/ingress'],
  [AttachType.TcxEgress, 'tcx/egress'],
  [AttachType.NetkitPrimary, 'netkit/primary'],
  [AttachType.NetkitPeer, 'netkit/peer'],
];

const bitsOf = (flags: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0).filter((bit) => (flags & bit) !== 0);

async function programsOf(bpf: Bpf, { name: devname, ifindex }: NetDevice): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const [attachType, kind] of places) {
    const found = await bpf.progQuery({ ifindex, attachType }).catch((error: unknown) => {
      // The device or the kernel has no such hook.
      if (error instanceof BpfError) return undefined;
      throw error;
    });
    for (const { progId, attachFlags, linkId, linkAttachFlags } of found?.programs ?? []) {
      const name = await progName(bpf, progId);
      const [progFlags, linkFlags] = [bitsOf(attachFlags), bitsOf(linkAttachFlags)];
      const listed = (word: string, bits: number[]) =>
        bits.length > 0 ? `${word} ${bits.map((bit) => `${bit} `).join('')}` : '';
      let text = `${devname}(${ifindex}) ${kind}${name ? ` ${name}` : ''} prog_id ${progId} `;
      text += listed('prog_flags', progFlags);
      if (linkId) text += `link_id ${linkId} ${listed('link_flags', linkFlags)}`;
      entries.push({
        text: `${text}\n`,
        json: {
          devname,
          ifindex,
          kind,
          name,
          prog_id: progId,
          prog_flags: progFlags,
          link_id: linkId,
          link_flags: linkFlags,
        },
      });
    }
  }
  return entries;
}

/** Undefined for a program that has no name, or is gone. */
async function progName(bpf: Bpf, id: number): Promise<string | undefined> {
  try {
    const fd = await bpf.progGetFdById(id);
    try {
      return (await fullProgName(bpf, await bpf.progInfo(fd), fd)) || undefined;
    } finally {
      await closeAll(bpf, [fd]);
    }
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

const directions: readonly TcHook['direction'][] = ['ingress', 'egress'];

/** The filters of the clsact queueing discipline. */
async function filtersOf(bpf: Bpf, { name: devname, ifindex }: NetDevice): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const direction of directions) {
    for (const { name, progId } of await bpf.tcFilters({ ifindex, direction })) {
      const kind = `clsact/${direction}`;
      entries.push({
        text: `${devname}(${ifindex}) ${kind}${name ? ` ${name}` : ''} id ${progId}\n`,
        json: { devname, ifindex, kind, name: name || undefined, id: progId },
      });
    }
  }
  return entries;
}

/** The program that takes packets of this network namespace apart; undefined without one, or where there are no such hooks. */
async function flowDissector(bpf: Bpf): Promise<number | undefined> {
  const netns = await bpf.open('/proc/self/ns/net').catch((error: unknown) => {
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return undefined;
    throw kernelError(error, "can't open /proc/self/ns/net");
  });
  if (netns === undefined) return undefined;
  try {
    const { programs } = await bpf.progQuery({ target: netns, attachType: AttachType.FlowDissector });
    return programs[0]?.progId;
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.EINVAL) return undefined;
    throw kernelError(error, "can't query prog");
  } finally {
    await closeAll(bpf, [netns]);
  }
}

async function netfilterLinks(bpf: Bpf): Promise<NetfilterLink[]> {
  const links: NetfilterLink[] = [];
  for await (const id of allIds((after) => bpf.linkGetNextId(after), 'link')) {
    const info = await linkInfo(bpf, id);
    if (info?.type === LinkType.Netfilter) links.push(info);
  }
  return links.sort(
    (a, b) => a.pf - b.pf || a.hooknum - b.hooknum || a.priority - b.priority || a.flags - b.flags,
  );
}

async function linkInfo(bpf: Bpf, id: number): Promise<LinkInfo | undefined> {
  try {
    const fd = await bpf.linkGetFdById(id);
    try {
      return await bpf.linkInfo(fd);
    } finally {
      await closeAll(bpf, [fd]);
    }
  } catch (error) {
    // Gone meanwhile.
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return undefined;
    if (!(error instanceof BpfError)) throw error;
    throw kernelError(error, `can't get link by id (${id})`);
  }
}

const netfilterEntry = (link: NetfilterLink): Entry => ({
  text: `${netfilterText(link)} prog_id ${link.progId}`,
  json: { ...netfilterJson(link), id: link.progId },
});
