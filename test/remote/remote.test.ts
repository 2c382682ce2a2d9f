// A kernel elsewhere answers as one in this process does, and its clients cannot harm it or each other.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Bpf, Log, TraceEvent } from '../../src/bpf/bpf.js';
import { BatchError, BpfError, Errno } from '../../src/bpf/errno.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { type CollectionSpec, parseObject } from '../../src/elf/index.js';
import { encode as encodeInsns } from '../../src/isa/encode.js';
import { assemble } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { load } from '../../src/loader/index.js';
import { KernelGone, KernelRefused, RemoteKernel } from '../../src/remote/client.js';
import { encode } from '../../src/remote/codec.js';
import { frame } from '../../src/remote/frames.js';
import { bpfMethods, Greeting, PROTOCOL } from '../../src/remote/protocol.js';
import type { ServedProcess } from '../../src/remote/server.js';
import { golden, transcript } from '../maps/record.js';
import { KernelNextDoor } from './pair.js';

const example = (name: string): CollectionSpec =>
  parseObject(readFileSync(path.join(import.meta.dirname, '../../examples', `${name}.bpf.o`)), { name });

const nothing = { programs: 0, maps: 0, links: 0, btf: 0 };
const counter = { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 4, name: 'counter' };
const tooLittle = { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 2, name: 'small' };
const zero = new Uint8Array(4);
const packet = new Uint8Array(64);

function signal(): { given: Promise<void>; give(): void } {
  let give = (): void => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

/** Runs `body` with a kernel and a client of it. */
async function withClient(
  body: (bpf: Bpf, next: KernelNextDoor, remote: RemoteKernel) => Promise<void>,
): Promise<void> {
  const next = new KernelNextDoor();
  using connected = await next.connect();
  await body(connected.remote.bpf, next, connected.remote);
  expect(next.notes).toEqual([]);
}

/** An XDP program; what it loads with `ll` is the descriptor of a map. */
function program(text: string) {
  const instructions = encodeInsns(assemble(text));
  for (let at = 0; at < instructions.length; at += 8) {
    const [code, registers = 0] = instructions.subarray(at);
    if (code !== 0x18) continue;
    instructions[at + 1] = registers | 0x10; // BPF_PSEUDO_MAP_FD
    at += 8;
  }
  return { type: ProgType.Xdp, license: 'GPL', instructions };
}

describe('a kernel elsewhere', () => {
  const { cpus, blocks } = golden();

  test('answers every command of maps as Linux does', async () => {
    const next = new KernelNextDoor({ cpus });
    using connected = await next.connect();
    const answers = await transcript(connected.remote.bpf);
    expect([...answers]).toEqual([...blocks]);
  });

  test('has every method of a kernel here', async () => {
    await withClient(async (bpf) => {
      const here = new EmulatedKernel();
      const names = [...Object.keys(bpfMethods), 'trace'].sort();
      expect(Object.keys(bpf).sort()).toEqual(names);
      for (const name of names) expect(here[name as keyof Bpf], name).toBeInstanceOf(Function);
    });
  });

  test('loads an object, runs it, and shows what it is made of, to the bit', async () => {
    const outcome = async (kernel: Bpf) => {
      await using collection = await load(example('firewall'), kernel);
      const loaded = collection.program('firewall');
      const run = await loaded.run({ data: packet });
      const { loadedAt: _, runTimeNs: _t, ...info } = await loaded.info();
      return {
        retval: run.retval,
        dataOut: run.dataOut,
        info,
        dump: await kernel.progDump(loaded.fd),
        maps: await Promise.all([...collection.maps.values()].map(({ fd }) => kernel.mapInfo(fd))),
      };
    };
    await withClient(async (bpf) => {
      const there = await outcome(bpf);
      expect(there.dump.xlated.length).toBeGreaterThan(100);
      expect(there).toEqual(await outcome(new EmulatedKernel()));
    });
  });

  test('runs a batch of packets with their times', async () => {
    await withClient(async (bpf) => {
      const prog = await bpf.progLoad(program('call 5\n exit'));
      const batch = {
        count: 3,
        data: new Uint8Array(192),
        offsets: Uint32Array.of(0, 64, 128, 192),
        times: Float64Array.of(1, 20, 300),
      };
      const { retvals, faults } = await bpf.progRunBatch(prog, batch);
      expect([retvals, faults]).toEqual([Uint32Array.of(1, 20, 300), []]);
    });
  });

  test('fills in the log of a load, whether it succeeds or fails', async () => {
    await withClient(async (bpf) => {
      const good: Log = { text: '' };
      await bpf.progLoad({ ...program('r0 = 2\n exit'), logLevel: 1, log: good });
      expect(good.text).toContain('processed 2 insns');
      const bad: Log = { text: '' };
      const failure = bpf.progLoad({ ...program('exit'), logLevel: 1, log: bad });
      await expect(failure).rejects.toMatchObject({ errno: Errno.EACCES, command: 'BPF_PROG_LOAD' });
      expect(bad.text).toContain('R0 !read_ok');
      // Without a log nothing is asked for.
      await expect(bpf.progLoad(program('exit'))).rejects.toBeInstanceOf(BpfError);
    });
  });

  test('says how far a batch has come that failed', async () => {
    await withClient(async (bpf) => {
      const map = await bpf.mapCreate(tooLittle);
      const elements = {
        count: 3,
        keys: new Uint8Array(Uint32Array.of(1, 2, 3).buffer),
        values: new Uint8Array(24),
      };
      const error = await bpf.mapUpdateBatch(map, elements).catch((error) => error);
      expect(error).toBeInstanceOf(BatchError);
      expect(error).toMatchObject({ errno: Errno.E2BIG, count: 2 });
    });
  });

  test('takes null for a key, and leaves out what was left out', async () => {
    await withClient(async (bpf) => {
      const map = await bpf.mapCreate(counter);
      expect(await bpf.mapGetNextKey(map, null)).toEqual(zero);
      expect(await bpf.mapUpdateElem(map, zero, new Uint8Array(8))).toBeUndefined();
      expect(await bpf.mapLookupElem(map, zero, undefined)).toEqual(new Uint8Array(8));
    });
  });

  test('wakes who waits for records, and does other things meanwhile', async () => {
    await withClient(async (bpf) => {
      const ring = await bpf.mapCreate({ type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 });
      const send = await bpf.progLoad(
        program(
          `r1 = ${ring} ll\n r2 = r10\n r2 += -8\n *(u64 *)(r10 - 8) = 7\n r3 = 8\n r4 = 0\n call 130\n r0 = 2\n exit`,
        ),
      );
      const waiting = bpf.poll([ring], -1);
      expect((await bpf.mapInfo(ring)).maxEntries).toBe(4096);
      await bpf.progTestRun(send, { dataIn: packet });
      expect(await waiting).toEqual([ring]);
      expect(await bpf.ringbufConsume(ring)).toEqual([Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0)]);
    });
  });
});

describe('calls of one client', () => {
  test('are done in their order, without waiting for the answers', async () => {
    await withClient(async (bpf, next) => {
      const map = await bpf.mapCreate(counter);
      const value = (n: number) => Uint8Array.of(n, 0, 0, 0, 0, 0, 0, 0);
      const answers = [];
      for (let n = 0; n < 50; n++) {
        answers.push(bpf.mapUpdateElem(map, zero, value(n)), bpf.mapLookupElem(map, zero));
      }
      answers.push(bpf.close(map));
      const got = await Promise.all(answers);
      expect(got.filter((_, i) => i % 2 === 1)).toEqual(Array.from({ length: 50 }, (_, n) => value(n)));
      expect(await next.objects()).toEqual(nothing);
    });
  });

  test('see what a load left, also when the map was closed right after it was asked for', async () => {
    await withClient(async (bpf) => {
      const map = await bpf.mapCreate(counter);
      const loading = bpf.progLoad(program(`r1 = ${map} ll\n r0 = 2\n exit`));
      const closing = bpf.close(map);
      const prog = await loading;
      await closing;
      expect((await bpf.progInfo(prog)).mapIds).toHaveLength(1);
    });
  });
});

describe('the end of a client', () => {
  test('closes what it opened, and nothing else', async () => {
    const next = new KernelNextDoor();
    using other = await next.connect();
    const kept = await other.remote.bpf.mapCreate(counter);
    const { remote, client } = await next.connect();
    await load(example('firewall'), remote.bpf);
    expect(client.descriptors).toBeGreaterThan(3);
    remote.close();
    await client.gone;
    expect(await next.objects()).toEqual({ ...nothing, maps: 1 });
    expect((await other.remote.bpf.mapInfo(kept)).name).toBe('counter');
    expect([next.clients.size, client.descriptors, other.client.descriptors]).toEqual([1, 0, 1]);
  });

  test('closes what a call opens that was under way, and does not begin those that waited', async () => {
    const [begun, gate] = [signal(), signal()];
    const next = new (class extends KernelNextDoor {
      override process(task: { name: string; pid: number }): ServedProcess {
        const served = super.process(task);
        const mapCreate: Bpf['mapCreate'] = async (attr) => {
          begun.give();
          await gate.given;
          return served.bpf.mapCreate(attr);
        };
        const slow = (name: string) => (name === 'mapCreate' ? mapCreate : served.bpf[name as keyof Bpf]);
        const methods = Object.keys(bpfMethods).map((name) => [name, slow(name).bind(served.bpf)]);
        return { ...served, bpf: Object.fromEntries(methods) };
      }
    })();
    const { channel, client } = next.dial();
    const { bpf } = await RemoteKernel.connect(channel, { name: 'test', pid: 1 });
    const calls = Promise.allSettled([bpf.mapCreate(counter), bpf.btfLoad(new Uint8Array(1))]);
    await begun.given;
    channel.destroy();
    for (const { status } of await calls) expect(status).toBe('rejected');
    gate.give();
    await client.gone;
    expect(await next.objects()).toEqual(nothing);
    // The second would have been told that this is no BTF.
    expect(next.notes).toEqual([]);
  });

  test('ends its waiting', async () => {
    const next = new KernelNextDoor();
    const { remote, client } = await next.connect();
    const ring = await remote.bpf.mapCreate({
      type: MapType.Ringbuf,
      keySize: 0,
      valueSize: 0,
      maxEntries: 4096,
    });
    const waiting = remote.bpf.poll([ring], -1);
    remote.close();
    await expect(waiting).rejects.toBeInstanceOf(KernelGone);
    await client.gone;
    expect(await next.objects()).toEqual(nothing);
    await expect(remote.bpf.possibleCpus()).rejects.toBeInstanceOf(KernelGone);
  });
});

describe('lines of trace_pipe', () => {
  const numberOf = ({ text }: TraceEvent) => Number(/packet (\d+)/.exec(text)?.[1]);
  const printing = async (bpf: Bpf): Promise<{ fd: number; close(): Promise<void> }> => {
    const collection = await load(example('hello'), bpf);
    return { fd: collection.program('hello').fd, close: () => collection[Symbol.asyncDispose]() };
  };

  test('are there before the answer to the run that printed them, with the task of whoever ran it', async () => {
    const next = new KernelNextDoor();
    using runs = await next.connect('runner');
    using listens = await next.connect();
    const { fd } = await printing(runs.remote.bpf);
    const [own, others]: [TraceEvent[], TraceEvent[]] = [[], []];
    using _a = await runs.remote.bpf.trace((event) => own.push(event));
    using _b = await listens.remote.bpf.trace((event) => others.push(event));
    await runs.remote.bpf.progTestRun(fd, { dataIn: packet, repeat: 3 });
    expect(own).toHaveLength(3);
    expect(own[0]).toMatchObject({ task: 'runner', pid: 100, cpu: 0 });
    await listens.remote.bpf.possibleCpus();
    expect(others).toEqual(own);
  });

  test('end when they are disposed of', async () => {
    await withClient(async (bpf) => {
      const { fd } = await printing(bpf);
      const events: TraceEvent[] = [];
      const tracing = await bpf.trace((event) => events.push(event));
      await bpf.progTestRun(fd, { dataIn: packet });
      tracing[Symbol.dispose]();
      await bpf.progTestRun(fd, { dataIn: packet });
      expect(events).toHaveLength(1);
    });
  });

  test('are lost, the oldest first, when they are not taken, and counted', async () => {
    await withClient(async (bpf) => {
      const { fd } = await printing(bpf);
      const events: TraceEvent[] = [];
      const [gate, all] = [signal(), signal()];
      using _ = await bpf.trace((event) => {
        events.push(event);
        if (numberOf(event) === 60_000) all.give();
        return gate.given;
      });
      for (let i = 0; i < 60; i++) await bpf.progTestRun(fd, { dataIn: packet, repeat: 1000 });
      // Only one has been looked at, and the kernel has not kept all.
      expect(events).toHaveLength(1);
      gate.give();
      await all.given;
      const lost = events.reduce((sum, event) => sum + (event.lost ?? 0), 0);
      expect(lost).toBeGreaterThan(30_000);
      expect(events.length + lost).toBe(60_000);
      expect(events.filter((event) => event.lost)).toHaveLength(1);
      // What is there is in order.
      const numbers = events.map(numberOf);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    });
  });
});

describe('packets that pass a device', () => {
  test('come to who captures them', async () => {
    await withClient(async (_, __, remote) => {
      const { machine } = remote;
      await machine.deviceAdd({ name: 'eth0' });
      const got: number[] = [];
      using _capture = await machine.deviceCapture('eth0', 'cable', (packets) => {
        got.push(...packets.map(({ data }) => data.length));
      });
      const packets = { count: 2, data: new Uint8Array(128), offsets: Uint32Array.of(0, 60, 128) };
      expect(await machine.deviceReceive('eth0', packets)).toMatchObject({ received: 2 });
      expect(got).toEqual([60, 68]);
    });
  });

  test('of no device are an error', async () => {
    await withClient(async (_, __, { machine }) => {
      await expect(machine.deviceCapture('eth7', 'cable', () => {})).rejects.toMatchObject({
        errno: Errno.ENODEV,
      });
    });
  });
});

describe('bad clients', () => {
  /** Sends bytes and waits until the kernel has ended the connection. */
  const ended = async (next: KernelNextDoor, ...messages: Uint8Array[]): Promise<unknown[]> => {
    const { channel, client } = next.dial();
    const answers: unknown[] = [];
    channel.open({ received: (bytes) => answers.push(bytes), drained() {}, ended() {} });
    for (const message of messages) channel.send(message);
    await client.gone;
    return answers;
  };
  const message = (value: unknown) => frame(encode(value));
  const hello = { greeting: Greeting.client, protocol: PROTOCOL, name: 'bad', pid: 1 };

  test.each<[string, Uint8Array[]]>([
    ['what is no frame', [new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')]],
    ['a first message that is too long', [frame(new Uint8Array(5000))]],
    ['a first message that is no value', [frame(Uint8Array.of(0xc1))]],
    ['a first message that is no greeting', [message({ hello: 'world' })]],
    ['a greeting without a name', [message({ ...hello, name: undefined })]],
    ['a message that is no value', [message(hello), frame(Uint8Array.of(0xdd, 255, 255, 255, 255))]],
    ['a message that is no call', [message(hello), message(42)]],
    ['the announcement of a huge message', [message(hello), Uint8Array.of(255, 255, 255, 255)]],
  ])('%s ends their connection, and no other', async (_, messages) => {
    const next = new KernelNextDoor();
    using good = await next.connect();
    const map = await good.remote.bpf.mapCreate(counter);
    await ended(next, ...messages);
    expect((await good.remote.bpf.mapInfo(map)).name).toBe('counter');
    expect(next.clients.size).toBe(1);
  });

  test.each<[string, unknown[]]>([
    ['a method that does not exist', ['nonsense']],
    ['one that every object has', ['toString']],
    ['one of the prototype of all objects', ['__proto__']],
    ['a name that is no text', [{ a: 1 }]],
    ['arguments that are none', ['mapInfo', 7]],
    ['a descriptor that is text', ['mapInfo', ['x']]],
    ['a key that is no bytes', ['mapLookupElem', [3, { length: 4 }]]],
    ['no attributes', ['mapCreate', []]],
    ['a load without instructions', ['progLoad', [{ type: 6, license: 'GPL' }]]],
    ['a load of nothing', ['progLoad', [null]]],
  ])('%s is an error, and the connection goes on', async (_, [method, args]) => {
    const next = new KernelNextDoor();
    const { channel, client } = next.dial();
    let bytes = 0;
    const answered = new Promise<void>((resolve) => {
      channel.open({
        received: (chunk) => {
          bytes += chunk.length;
          // The greeting, then an answer.
          if (bytes > 100) resolve();
        },
        drained() {},
        ended() {},
      });
    });
    channel.send(message(hello));
    channel.send(message({ t: 'q', i: '1', m: method, a: args }));
    channel.send(message({ t: 'q', i: '2', m: 'possibleCpus', a: [] }));
    await answered;
    expect(next.clients.size).toBe(1);
    channel.destroy();
    await client.gone;
    expect(await next.objects()).toEqual(nothing);
  });

  test('another version is told so', async () => {
    const next = new KernelNextDoor();
    const [answer] = (await ended(next, message({ ...hello, protocol: 999 }))) as [Uint8Array];
    expect(new TextDecoder().decode(answer)).toContain(
      `it speaks version ${PROTOCOL} of the protocol, not 999`,
    );
  });

  test('who waits for more than anybody would is told so', async () => {
    await withClient(async (bpf) => {
      const ring = await bpf.mapCreate({
        type: MapType.Ringbuf,
        keySize: 0,
        valueSize: 0,
        maxEntries: 4096,
      });
      const waits = Array.from({ length: 300 }, () => bpf.poll([ring], -1));
      const ends = Promise.allSettled(waits);
      await expect(waits[299]).rejects.toMatchObject({ errno: Errno.EAGAIN });
      expect((await bpf.mapInfo(ring)).maxEntries).toBe(4096);
      await bpf.close(ring);
      const outcomes = (await ends).map(({ status }) => status);
      expect(outcomes.filter((status) => status === 'fulfilled')).toHaveLength(256);
    });
  });

  test('more bytes than are held at once are taken when there is room', async () => {
    await withClient(async (bpf) => {
      const map = await bpf.mapCreate({ ...counter, valueSize: 8 << 20, maxEntries: 1 });
      const value = new Uint8Array(8 << 20).fill(7);
      await Promise.all(Array.from({ length: 20 }, () => bpf.mapUpdateElem(map, zero, value)));
      expect((await bpf.mapLookupElem(map, zero))[12345]).toBe(7);
    });
  });

  test('what is too long to go at once is an error of that call', async () => {
    await withClient(async (bpf) => {
      const map = await bpf.mapCreate(counter);
      const update = bpf.mapUpdateElem(map, zero, new Uint8Array(65 << 20));
      await expect(update).rejects.toMatchObject({ errno: Errno.E2BIG, command: 'mapUpdateElem' });
      const large = await bpf.mapCreate({ ...counter, valueSize: 65 << 20, maxEntries: 1 });
      await expect(bpf.mapLookupElem(large, zero)).rejects.toMatchObject({ errno: Errno.E2BIG });
      expect(await bpf.mapLookupElem(map, zero)).toEqual(new Uint8Array(8));
    });
  });
});

describe('what answers and is no kernel', () => {
  test('is refused with what it says', async () => {
    const next = new KernelNextDoor();
    const { channel } = next.dial();
    // A client of the future.
    const send = channel.send.bind(channel);
    channel.send = (bytes) =>
      send(
        bytes.length < 200
          ? frame(encode({ greeting: Greeting.client, protocol: 2, name: 'x', pid: 1 }))
          : bytes,
      );
    const error = await RemoteKernel.connect(channel, { name: 'test', pid: 1 }).catch((error) => error);
    expect(error).toBeInstanceOf(KernelRefused);
    expect(error.about).toEqual(next.about);
  });

  test('is no kernel when it ends at once', async () => {
    const next = new KernelNextDoor();
    const { channel } = next.dial();
    channel.destroy();
    await expect(RemoteKernel.connect(channel, { name: 'test', pid: 1 })).rejects.toBeInstanceOf(KernelGone);
  });
});
