// skep dev add | del | list | replay | capture: the network around the emulated kernel.

import { SkepError } from '../base/error.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { CapturedPacket, CapturePoint, DeviceState, Machine } from '../bpf/machine.js';
import { FileSink, openSource } from '../node/capture.js';
import type { PacketBlock } from '../pcap/block.js';
import { LinkType, linkTypeName } from '../pcap/link-type.js';
import { readPackets } from '../pcap/reader.js';
import { PcapngWriter } from '../pcap/writer.js';
import { type Connection, chosenKernel, connectKernel, LINUX } from './connect.js';
import { devicesText } from './dev-text.js';
import { UsageError } from './errors.js';
import { counted, grouped } from './text.js';

export interface DevOptions {
  kernel?: string;
  json?: boolean;
}

export interface DevAddOptions extends DevOptions {
  mtu?: number;
  mac?: string;
  peerMac?: string;
  queues?: number;
}

export interface DevReplayOptions extends DevOptions {
  /** Packets a second. */
  rate?: number;
  loop?: boolean;
  count?: number;
}

export interface DevCaptureOptions extends DevOptions {
  write: string;
  at: CapturePoint;
  count?: number;
}

/** Runs `body` with the machine around the chosen kernel. */
async function withMachine<T>(
  options: DevOptions,
  body: (machine: Machine, connection: Connection) => Promise<T>,
): Promise<T> {
  const refused = new UsageError('the devices of this machine are not made by Skep', {
    hint: 'Use ip, tcpreplay and tcpdump, or leave --kernel linux out.',
  });
  if (chosenKernel(options.kernel) === LINUX) throw refused;
  const connection = await connectKernel(options.kernel);
  try {
    if (!connection.machine) throw refused;
    return await body(connection.machine, connection);
  } finally {
    await connection.release();
  }
}

/** What the kernel answered, for a person. */
function explained(error: unknown): unknown {
  if (!(error instanceof BpfError)) return error;
  const hint =
    error.errno === Errno.ENODEV
      ? 'skep dev list shows the devices; skep dev add NAME makes one.'
      : error.errno === Errno.EEXIST
        ? 'Choose another name, or remove that one first: skep dev del NAME.'
        : '';
  return new SkepError(error.message, { hint, cause: error });
}

async function answered<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw explained(error);
  }
}

/** `words` are what follows the name: nothing, or `peer NAME`. */
export async function devAdd(name: string, words: readonly string[], options: DevAddOptions): Promise<void> {
  const [keyword, peer, ...more] = words;
  if (keyword !== undefined && (keyword !== 'peer' || peer === undefined || more.length > 0)) {
    throw new UsageError(`what is ${words.join(' ')}?`, { hint: 'skep dev add veth0 peer veth1' });
  }
  if (options.peerMac !== undefined && peer === undefined) {
    throw new UsageError('--peer-mac needs a peer', { hint: `skep dev add ${name} peer NAME` });
  }
  const { mtu, mac, peerMac, queues } = options;
  await withMachine(options, async (machine) => {
    const attr = {
      name,
      ...(peer === undefined
        ? {}
        : { peer: { name: peer, ...(peerMac === undefined ? {} : { mac: peerMac }) } }),
      ...(mtu === undefined ? {} : { mtu }),
      ...(mac === undefined ? {} : { mac }),
      ...(queues === undefined ? {} : { queues }),
    };
    const ifindex = await answered(machine.deviceAdd(attr));
    if (options.json) process.stdout.write(`${JSON.stringify({ name, ifindex })}\n`);
  });
}

export async function devDel(name: string, options: DevOptions): Promise<void> {
  await withMachine(options, (machine) => answered(machine.deviceRemove(name)));
}

export async function devList(name: string | undefined, options: DevOptions): Promise<void> {
  await withMachine(options, async (machine, { bpf }) => {
    const all = await answered(machine.deviceList());
    const chosen = name === undefined ? all : all.filter((device) => device.name === name);
    if (name !== undefined && chosen.length === 0) {
      throw explained(
        new BpfError('RTM_GETLINK', Errno.ENODEV, `there is no device ${JSON.stringify(name)}`),
      );
    }
    const attached = new Map((await answered(bpf.netDevices())).map(({ ifindex, xdp }) => [ifindex, xdp]));
    const devices = chosen.map((device: DeviceState) => ({
      ...device,
      xdp: attached.get(device.ifindex) ?? [],
    }));
    process.stdout.write(options.json ? `${JSON.stringify(devices, undefined, 2)}\n` : devicesText(devices));
  });
}

/** Resolves when the user wants the command to end. */
function interrupted(): { promise: Promise<void>; seen(): boolean; [Symbol.dispose](): void } {
  let end = (): void => {};
  let over = false;
  const promise = new Promise<void>((resolve) => {
    end = () => {
      over = true;
      resolve();
    };
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  return {
    promise,
    seen: () => over,
    [Symbol.dispose]() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
    },
  };
}

/** With a rate, packets go out in portions of so many milliseconds. */
const PORTION = 10;

/** Packets `from` to `to` of a block, on their own. */
function slice(
  block: PacketBlock,
  from: number,
  to: number,
): { count: number; data: Uint8Array; offsets: Uint32Array } {
  const start = block.offsets[from] ?? 0;
  const offsets = block.offsets.slice(from, to + 1).map((offset) => offset - start);
  return { count: to - from, data: block.data.subarray(start, block.offsets[to]), offsets };
}

export async function devReplay(name: string, file: string, options: DevReplayOptions): Promise<void> {
  if (options.loop && file === '-') {
    throw new UsageError('standard input can be replayed only once', {
      hint: 'Leave --loop out, or name a file.',
    });
  }
  await withMachine(options, async (machine) => {
    using stop = interrupted();
    const total = { received: 0, passed: 0, refused: 0, rounds: 0 };
    const most = options.count ?? Number.POSITIVE_INFINITY;
    const begin = performance.now();
    let sent = 0;
    const portion = options.rate
      ? Math.max(1, Math.floor((options.rate * PORTION) / 1000))
      : Number.POSITIVE_INFINITY;
    do {
      const before = sent;
      await using source = await openSource(file);
      for await (const block of readPackets(source)) {
        if (block.linkType !== LinkType.Ethernet) {
          throw new SkepError(`the packets are ${linkTypeName(block.linkType)}, not Ethernet`, {
            where: file,
          });
        }
        for (let from = 0; from < block.count && sent < most && !stop.seen(); ) {
          const to = Math.min(block.count, from + portion, from + most - sent);
          const result = await answered(machine.deviceReceive(name, slice(block, from, to)));
          total.received += result.received;
          total.passed += result.passed;
          total.refused += result.refused;
          sent += to - from;
          from = to;
          if (options.rate) await pause(begin + (sent / options.rate) * 1000, stop.promise);
        }
        if (sent >= most || stop.seen()) break;
      }
      total.rounds++;
      // An empty capture would be read again and again.
      if (sent === before) break;
    } while (options.loop && sent < most && !stop.seen());
    const seconds = (performance.now() - begin) / 1000;
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ ...total, seconds })}\n`
        : `${counted(total.received, 'packet')} came in on ${name} in ${seconds.toFixed(2)} s; ` +
            `${grouped(total.passed)} got to the network stack` +
            `${total.refused > 0 ? `; ${counted(total.refused, 'packet')} did not fit and came to nothing` : ''}.\n`,
    );
  });
}

/** Waits until `at` (performance.now), or until `stop`. */
async function pause(at: number, stop: Promise<void>): Promise<void> {
  const left = at - performance.now();
  if (left <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, left);
    }),
    stop,
  ]);
  clearTimeout(timer);
}

export async function devCapture(name: string, options: DevCaptureOptions): Promise<void> {
  await withMachine(options, async (machine) => {
    using stop = interrupted();
    const most = options.count ?? Number.POSITIVE_INFINITY;
    const out = options.write === '-' ? standardOutput() : await FileSink.create(options.write);
    const writer = new PcapngWriter(out.write, { application: 'skep' });
    writer.addInterface({ name });
    let packets = 0;
    let enough = (): void => {};
    const full = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const take = (captured: readonly CapturedPacket[]): void => {
      for (const { data, time, direction } of captured) {
        if (packets >= most) break;
        writer.write(data, { timestamp: time, direction });
        packets++;
      }
      if (packets >= most) enough();
    };
    try {
      using _tap = await answered(machine.deviceCapture(name, options.at, take));
      // Whoever waits for the capture to be under way reads this.
      if (options.write !== '-')
        process.stderr.write(`Recording ${name} to ${options.write}; Ctrl-C ends it.\n`);
      for (let going = true; going; ) {
        going = await Promise.race([full.then(() => false), stop.promise.then(() => false), tick()]);
        writer.flush();
        await out.drain();
      }
    } finally {
      writer.flush();
      await out.close();
    }
    const report = `${counted(packets, 'packet')} recorded.\n`;
    process.stderr.write(options.json ? `${JSON.stringify({ packets })}\n` : report);
  });
}

/** How often what was recorded is written, in milliseconds. */
const FLUSH_TIME = 200;

const tick = (): Promise<true> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(true), FLUSH_TIME);
  });

/** Standard output as a file for a capture. */
function standardOutput(): {
  write(chunk: Uint8Array): void;
  drain(): Promise<void>;
  close(): Promise<void>;
} {
  const pending: Uint8Array[] = [];
  const drain = async (): Promise<void> => {
    for (const chunk of pending.splice(0)) {
      if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
  };
  return { write: (chunk) => pending.push(chunk), drain, close: drain };
}
