// A kernel that stays lives through its clients: many at once, killed ones, bad ones, slow ones. Afterwards nothing is left
// of them, and the others have noticed nothing.

import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MapType } from '../../src/bpf/types.js';
import { load } from '../../src/loader/index.js';
import { openObject } from '../../src/node/files.js';
import { kernelPlace } from '../../src/node/run-directory.js';
import type { RemoteKernel } from '../../src/remote/client.js';
import { encode } from '../../src/remote/codec.js';
import { frame } from '../../src/remote/frames.js';
import { Greeting, PROTOCOL, STREAM } from '../../src/remote/protocol.js';
import { Background, ended, main, root, until } from './background.js';

let background: Background;
/** A client that must come to no harm, and its map. */
let witness: RemoteKernel;
let kept: number;

const counter = { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 4, name: 'kept' };
const key = new Uint8Array(4);
const example = (name: string) => path.join(root, 'examples', `${name}.bpf.o`);

beforeAll(async () => {
  background = new Background();
  await background.start();
  witness = await background.connect();
  kept = await witness.bpf.mapCreate(counter);
});
afterEach(() => background.endAll(witness));
afterAll(() => background[Symbol.asyncDispose]());

/** Only the witness and what it has are left; its calls are answered. */
async function nothingLeft(): Promise<void> {
  expect(await witness.bpf.mapLookupElem(kept, key)).toEqual(new Uint8Array(8));
  await until(async () => (await witness.control.status()).clients === 1);
  expect(await witness.control.status()).toMatchObject({
    programs: 0,
    maps: 1,
    links: 0,
    btf: 0,
    clients: 1,
    descriptors: 1,
  });
}

describe('a hundred clients in parallel', () => {
  test('each have their own, and see what all share', async () => {
    const spec = await openObject(example('hello'));
    const packet = new Uint8Array(64);
    const shared = await witness.bpf.mapCreate({
      ...counter,
      type: MapType.Hash,
      maxEntries: 1000,
      name: 'shared',
    });
    const { id } = await witness.bpf.mapInfo(shared);
    const clients = await Promise.all(Array.from({ length: 100 }, () => background.connect()));
    await Promise.all(
      clients.map(async ({ bpf }, n) => {
        const collection = await load(spec, bpf);
        for (let i = 0; i <= n % 5; i++) await collection.program('hello').run({ data: packet });
        expect(await collection.variables.get('counter')).toBe((n % 5) + 1);
        const map = await bpf.mapGetFdById(id);
        const own = Uint8Array.of(n, 1, 0, 0);
        await bpf.mapUpdateElem(map, own, new Uint8Array(8).fill(n));
        expect(await bpf.mapLookupElem(map, own)).toEqual(new Uint8Array(8).fill(n));
      }),
    );
    expect(await witness.control.status()).toMatchObject({ clients: 101, programs: 100 });
    const keys = { count: 0, keys: new Set<number | undefined>() };
    const found = await witness.bpf.mapLookupBatch(shared, null, 1000);
    for (let i = 0; i < found.count; i++) keys.keys.add(found.keys[i * 4]);
    expect([found.count, keys.keys.size]).toEqual([100, 100]);
    for (const client of clients) client.close();
    await witness.bpf.close(shared);
    await nothingLeft();
  });

  test('of them half are commands of the shell', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        background.skep([
          'map',
          'create',
          `/sys/fs/bpf/m${n}`,
          'type',
          'array',
          'key',
          '4',
          'value',
          '4',
          'entries',
          '1',
          'name',
          `m${n}`,
        ]),
      ),
    );
    expect(outcomes.map(({ status, stderr }) => [status, stderr])).toEqual(Array(12).fill([0, '']));
    const names = (await background.output('ls')).trimEnd().split('\n');
    expect(names).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`).sort());
    await background.output('rm', ...names.map((name) => `/sys/fs/bpf/${name}`));
    await nothingLeft();
  });
});

describe('clients that are killed', () => {
  /** A process that begins calls without end, of this kind. */
  const busy = (calls: string): string => `
    import { openObject } from ${JSON.stringify(path.join(root, 'dist/node/files.js'))};
    import { kernelPlace } from ${JSON.stringify(path.join(root, 'dist/node/run-directory.js'))};
    import { dial } from ${JSON.stringify(path.join(root, 'dist/node/socket-channel.js'))};
    import { RemoteKernel } from ${JSON.stringify(path.join(root, 'dist/remote/client.js'))};
    import { load } from ${JSON.stringify(path.join(root, 'dist/loader/index.js'))};
    const spec = await openObject(${JSON.stringify(example('firewall'))});
    const { bpf } = await RemoteKernel.connect(await dial(kernelPlace('default').socket), { name: 'busy', pid: process.pid });
    console.log('ready');
    for (let n = 0; ; n++) { ${calls} }`;

  test.each([
    ['while programs are loaded', 'await load(spec, bpf);'],
    [
      'while packets run',
      `const collection = await load(spec, bpf);
       for (;;) await collection.program('firewall').run({ data: new Uint8Array(64), repeat: 1000 });`,
    ],
    [
      'while they wait',
      `const ring = await bpf.mapCreate({ type: ${MapType.Ringbuf}, keySize: 0, valueSize: 0, maxEntries: 4096 });
       await bpf.trace(() => {});
       await bpf.poll([ring], -1);`,
    ],
    [
      'with calls that nobody waited for',
      `const maps = Array.from({ length: 200 }, () => bpf.mapCreate({ type: 2, keySize: 4, valueSize: 1 << 16, maxEntries: 4 }));
       if (n % 4 === 3) for (const map of maps) await bpf.close(await map);
       else for (const map of await Promise.all(maps)) await bpf.close(map);`,
    ],
  ])('%s', async (_, calls) => {
    const children = Array.from({ length: 4 }, () =>
      background.spawn(['--input-type=module', '-e', busy(calls)]),
    );
    await Promise.all(children.map((child) => new Promise((resolve) => child.stdout?.once('data', resolve))));
    // Long enough that they are in the middle of something, whatever it is.
    for (let i = 0; i < 20; i++) await witness.control.status();
    for (const { pid } of children) await ended(pid as number, 'SIGKILL');
    await nothingLeft();
  });

  test('following the trace', async () => {
    const children = Array.from({ length: 3 }, () => background.spawn([main, 'prog', 'tracelog']));
    await until(async () => (await witness.control.status()).clients === 4);
    for (const { pid } of children) await ended(pid as number, 'SIGKILL');
    await nothingLeft();
  });
});

const message = (value: unknown): Uint8Array => frame(encode(value));
const hello = message({ greeting: Greeting.client, protocol: PROTOCOL, name: 'raw', pid: 1 });
const call = (id: string, method: string, ...args: unknown[]): Uint8Array =>
  message({ t: 'q', i: id, m: method, a: args });

async function raw(...chunks: Uint8Array[]): Promise<Socket> {
  const socket = connect(kernelPlace('default').socket);
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  for (const chunk of chunks) socket.write(chunk);
  return socket;
}

describe('bytes that are no messages', () => {
  const noise = (seed: number, size: number): Uint8Array => {
    let state = seed;
    return Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    });
  };

  test.each<[string, Uint8Array[]]>([
    ['of another protocol', [new TextEncoder().encode('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')]],
    ['at random', [noise(1, 10_000)]],
    ['at random behind a greeting', [hello, noise(2, 10_000)]],
    ['that announce four gigabytes', [hello, Uint8Array.of(255, 255, 255, 255, 1)]],
    ['in a frame that is no value', [hello, frame(noise(3, 1000))]],
  ])('%s end their connection', async (_, chunks) => {
    const socket = await raw(...chunks);
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    await nothingLeft();
  });

  test('and frames that are never complete hold nothing when their sender goes', async () => {
    const half = call('1', 'mapCreate', counter);
    const sockets = await Promise.all([
      raw(),
      raw(hello.subarray(0, 7)),
      raw(hello, half.subarray(0, 3)),
      raw(hello, half.subarray(0, half.length - 1)),
      raw(hello, half, half.subarray(0, 20)),
      // 64 MB are announced, and as good as nothing comes.
      raw(hello, Uint8Array.of(0, 0, 0, 4), new Uint8Array(1000)),
    ]);
    await until(async () => (await witness.control.status()).descriptors === 2);
    for (const socket of sockets) socket.destroy();
    await nothingLeft();
  });
});

describe('clients that do not read', () => {
  test('are not answered any more, and hold up nobody', async () => {
    const flood = Array.from({ length: 400 }, (_, n) => call(String(n), 'btfData', 3));
    // Each answer is as long as the types of the object.
    const btf = (await openObject(example('loadbalancer'))).btf;
    const socket = await raw(hello, call('b', 'btfLoad', btf?.bytes ?? new Uint8Array()), ...flood);
    await until(async () => (await witness.control.status()).btf === 1);
    const { memory } = await witness.control.status();
    for (let i = 0; i < 20; i++) for (const request of flood) socket.write(request);
    for (let i = 0; i < 50; i++) await witness.control.status();
    // 8,000 answers are waited for; those that the kernel has made are few.
    expect((await witness.control.status()).memory - memory).toBeLessThan(100 << 20);
    socket.destroy();
    await nothingLeft();
  });

  test('lose lines of trace_pipe, which are counted; the kernel does not keep them all', async () => {
    const spec = await openObject(example('hello'));
    const slow = await raw(hello, call('t', `${STREAM}trace`, 1));
    const runner = await background.connect();
    const collection = await load(spec, runner.bpf);
    let lines = 0;
    let lost = 0;
    using _ = await witness.bpf.trace(({ lost: more = 0 }) => {
      lines++;
      lost += more;
    });
    const { memory } = await witness.control.status();
    const runs = 100;
    for (let i = 0; i < runs; i++) {
      await collection.program('hello').run({ data: new Uint8Array(64), repeat: 1000 });
    }
    // Each line is a hundred bytes on its way.
    expect((await witness.control.status()).memory - memory).toBeLessThan(100 << 20);
    // Who reads has lost little or nothing, and knows of it.
    await until(() => lines + lost === runs * 1000);
    slow.destroy();
    runner.close();
    await nothingLeft();
  });
});
