// Devices as `ip -s link` shows them.

import type { XdpMode } from '../bpf/bpf.js';
import type { DeviceState, QueueCounters } from '../bpf/machine.js';

export type ShownDevice = DeviceState & { xdp: { mode: XdpMode; progId: number }[] };

/** Names and values below each other, as wide as the wider one; the first column is at least `first` wide. */
function columns(label: string, values: readonly (readonly [string, number])[], first: number): string {
  const cells = values.map(([name, value], i) => {
    const width = Math.max(name.length, String(value).length, i === 0 ? first : 0);
    return [name.padStart(width), String(value).padStart(width)] as const;
  });
  const names = cells.map(([name]) => name).join(' ');
  const numbers = cells.map(([, value]) => value).join(' ');
  return `    ${label}:${names}\n    ${' '.repeat(label.length + 1)}${numbers}\n`;
}

const FIRST_COLUMN = 7;

/** What `ip` writes for the mode, in the first line and before the program. */
const modeName: Readonly<Record<XdpMode, string>> = {
  native: 'xdp',
  generic: 'xdpgeneric',
  offload: 'xdpoffload',
};

const flags: Readonly<Record<DeviceState['kind'], string>> = {
  loopback: 'LOOPBACK,UP,LOWER_UP',
  ethernet: 'BROADCAST,MULTICAST,UP,LOWER_UP',
  veth: 'BROADCAST,MULTICAST,UP,LOWER_UP',
};

const isBusy = ({ packets, drops }: QueueCounters): boolean => packets > 0 || drops > 0;

const counterNames: readonly (readonly [keyof QueueCounters, string])[] = [
  ['packets', 'packets'],
  ['xdpPass', 'pass'],
  ['xdpDrops', 'drop'],
  ['xdpAborted', 'aborted'],
  ['xdpTx', 'tx'],
  ['xdpTxErrors', 'tx errors'],
  ['xdpRedirect', 'redirect'],
  ['xdpRedirectErrors', 'redirect errors'],
];

/** What native XDP did with the packets of a queue. */
function queueText(queue: QueueCounters, number: number): string {
  const parts = counterNames
    .filter(([field]) => field === 'packets' || queue[field] > 0)
    .map(([field, name]) => `${name} ${queue[field]}`);
  return `    queue ${number}: ${parts.join('  ')}\n`;
}

function deviceText(device: ShownDevice): string {
  const { ifindex, name, kind, peer, mtu, mac, counters, queues, xdp } = device;
  const modes = xdp.map(({ mode }) => `${modeName[mode]} `).join('');
  const link = kind === 'loopback' ? 'loopback' : 'ether';
  const broadcast = kind === 'loopback' ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff';
  const state = kind === 'loopback' ? 'UNKNOWN' : 'UP';
  return [
    `${ifindex}: ${name}${peer ? `@${peer.name}` : ''}: <${flags[kind]}> mtu ${mtu} ${modes}qdisc noqueue state ${state}\n`,
    `    link/${link} ${mac} brd ${broadcast}\n`,
    ...xdp.map(({ mode, progId }) => `    prog/${modeName[mode]} id ${progId}\n`),
    columns(
      'RX',
      [
        ['bytes', counters.rxBytes],
        ['packets', counters.rxPackets],
        ['errors', counters.rxErrors],
        ['dropped', counters.rxDropped],
        ['missed', counters.rxMissed],
        ['mcast', counters.rxMulticast],
      ],
      FIRST_COLUMN,
    ),
    columns(
      'TX',
      [
        ['bytes', counters.txBytes],
        ['packets', counters.txPackets],
        ['errors', counters.txErrors],
        ['dropped', counters.txDropped],
        ['carrier', counters.txCarrier],
        ['collsns', counters.txCollisions],
      ],
      FIRST_COLUMN,
    ),
    ...(queues.length > 1 || queues.some(({ xdpPackets }) => xdpPackets > 0)
      ? queues.map((queue, number) => (isBusy(queue) ? queueText(queue, number) : ''))
      : []),
  ].join('');
}

export const devicesText = (devices: readonly ShownDevice[]): string => devices.map(deviceText).join('');
