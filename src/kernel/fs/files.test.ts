// The files of the emulated kernel, and its settings.

import { describe, expect, test } from 'vitest';
import { BpfError, errnoName } from '../../bpf/errno.js';
import { traceLine } from '../../bpf/trace-line.js';
import { MapType, ProgType } from '../../bpf/types.js';
import { assemble, encode } from '../../isa/index.js';
import { EmulatedKernel, type KernelProcess } from '../kernel.js';
import { kernelTypes } from '../types/index.js';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

async function said(step: Promise<unknown>): Promise<unknown> {
  try {
    return (await step) ?? 'ok';
  } catch (error) {
    if (error instanceof BpfError) return errnoName(error.errno);
    throw error;
  }
}

const PRINT = `
  r1 = 0x0a216968 ll
  *(u64 *)(r10 - 8) = r1
  r1 = r10
  r1 += -8
  r2 = 8
  call 6
  r0 = 2
  exit
`;

async function load(kernel: KernelProcess, program: string) {
  const instructions = encode(assemble(program));
  return kernel.progLoad({ type: ProgType.Xdp, instructions, license: 'GPL' });
}

/** A number as WebAssembly writes it. */
function leb128(number: bigint): number[] {
  const found: number[] = [];
  for (let rest = number; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    const done = rest >> 6n === 0n || rest >> 6n === -1n;
    found.push(done ? low : low | 0x80);
    if (done) return found;
  }
}

const includes = (all: Uint8Array, part: readonly number[]): boolean =>
  Buffer.from(all).includes(Buffer.from(part));

const packet = { dataIn: new Uint8Array(60) };
const PIPE = '/sys/kernel/debug/tracing/trace_pipe';
const TRACE = '/sys/kernel/tracing/trace';

describe('trace_pipe', () => {
  test('has what programs printed, with who ran them, once', async () => {
    const kernel = new EmulatedKernel({ now: () => 3819_084273_999 });
    const other = kernel.process({ name: 'other', pid: 4711 });
    const prog = await load(kernel, PRINT);
    await kernel.progTestRun(prog, packet);
    await other.progTestRun(await other.progGetFdById(1), packet);
    const line = { cpu: 0, timestamp: 3819_084273_999n, text: 'hi!' };
    const lines = [
      traceLine({ ...line, task: 'skep', pid: 1 }),
      traceLine({ ...line, task: 'other', pid: 4711 }),
    ];
    expect(text(await kernel.readFile(TRACE))).toContain('# entries-in-buffer/entries-written: 2/2   #P:1\n');
    expect(text(await kernel.readFile(TRACE)).endsWith(`|     |         |\n${lines.join('')}`)).toBe(true);
    expect(text(await kernel.readFile(PIPE))).toBe(lines.join(''));
    expect(text(await kernel.readFile(PIPE))).toBe('');
    expect(text(await kernel.readFile(TRACE))).toContain('# entries-in-buffer/entries-written: 0/2   #P:1\n');
  });

  test('is read as it comes, in whole lines, by as many as want to', async () => {
    const kernel = new EmulatedKernel({ now: () => 0 });
    const prog = await load(kernel, PRINT);
    const [first, second] = [await kernel.open(PIPE), await kernel.open(PIPE)];
    const waiting = [kernel.read(first, 4096), kernel.read(second, 4096)];
    await kernel.progTestRun(prog, { ...packet, repeat: 2 });
    const line = traceLine({ task: 'skep', pid: 1, cpu: 0, timestamp: 0n, text: 'hi!' });
    // Who is woken first takes what there is.
    expect(text((await waiting[0]) as Uint8Array)).toBe(line + line);
    await kernel.progTestRun(prog, packet);
    expect(text((await waiting[1]) as Uint8Array)).toBe(line);
    await kernel.progTestRun(prog, { ...packet, repeat: 3 });
    expect(text(await kernel.read(first, line.length * 2 + 5))).toBe(line + line);
    expect(text(await kernel.read(first, 10))).toBe(line.slice(0, 10));
    expect(text(await kernel.read(first, 1000))).toBe(line.slice(10));
  });

  test('ends for whoever waits when the file or the process is closed', async () => {
    const kernel = new EmulatedKernel();
    const other = kernel.process({ name: 'other', pid: 2 });
    const [mine, its] = [await kernel.open(PIPE), await other.open(PIPE)];
    const waiting = [kernel.read(mine, 100), other.read(its, 100)];
    await kernel.close(mine);
    await other.exit();
    expect(await Promise.all(waiting)).toEqual([new Uint8Array(), new Uint8Array()]);
  });

  test('forgets the oldest lines and says how many', async () => {
    const kernel = new EmulatedKernel({ now: () => 0 });
    const prog = await load(kernel, PRINT);
    const heard: string[] = [];
    using _ = await kernel.trace((event) => heard.push(event.text));
    const runs = 60_000;
    await kernel.progTestRun(prog, { ...packet, repeat: runs });
    expect(heard.length).toBe(runs);
    const lines = text(await kernel.readFile(PIPE))
      .trimEnd()
      .split('\n');
    const lost = /^CPU:0 \[LOST (\d+) EVENTS\]$/.exec(lines[0] ?? '')?.[1];
    expect(Number(lost) + lines.length - 1).toBe(runs);
    expect(Number(lost)).toBeGreaterThan(0);
  });

  test('trace is emptied by whoever opens it to write', async () => {
    const kernel = new EmulatedKernel();
    await kernel.progTestRun(await load(kernel, PRINT), packet);
    await kernel.writeFile(TRACE, new Uint8Array());
    expect(text(await kernel.readFile(PIPE))).toBe('');
  });
});

describe('settings', () => {
  const JIT = '/proc/sys/net/core/bpf_jit_enable';
  const read = async (kernel: EmulatedKernel, path: string) => text(await kernel.readFile(path));

  // What Linux 6.18 answers; bpf_jit_enable 0 is refused by kernels that are built without the interpreter.
  test.each([
    ['net/core/bpf_jit_enable', '1\n', ['0', '1', '2'], ['3', '-1', 'x', '', ' ', '9999999999999', '1x']],
    [
      'net/core/bpf_jit_harden',
      '0\n',
      ['0', '1', '2', '0x0', '01', ' 1', '2\t', '1 8'],
      ['3', '-1', '7 8', '0x3'],
    ],
    ['net/core/bpf_jit_kallsyms', '1\n', ['0', '1'], ['2']],
    ['net/core/bpf_jit_limit', '528482304\n', ['1', '4096', '1056964608'], ['0', '1056964609']],
    ['kernel/bpf_stats_enabled', '0\n', ['0', '1'], ['2', '-1']],
    ['kernel/unprivileged_bpf_disabled', '2\n', ['0', '2', '1'], ['3']],
  ])('%s is %s, takes what Linux takes and nothing else', async (name, first, good, bad) => {
    const kernel = new EmulatedKernel();
    const path = `/proc/sys/${name}`;
    expect(await read(kernel, path)).toBe(first);
    for (const value of bad) {
      if (value !== '') expect(await said(kernel.writeFile(path, bytes(value))), value).toBe('EINVAL');
      expect(await read(kernel, path)).toBe(first);
    }
    for (const value of good) {
      expect(await said(kernel.writeFile(path, bytes(`${value}\n`))), value).toBe('ok');
      expect(Number(await read(kernel, path))).toBe(Number.parseInt(value, value.includes('x') ? 16 : 10));
    }
  });

  test('what users without rights may not do cannot be allowed again', async () => {
    const kernel = new EmulatedKernel();
    const path = '/proc/sys/kernel/unprivileged_bpf_disabled';
    await kernel.writeFile(path, bytes('1'));
    expect(await said(kernel.writeFile(path, bytes('0')))).toBe('EPERM');
    expect(await said(kernel.writeFile(path, bytes('2')))).toBe('EPERM');
    expect(await said(kernel.writeFile(path, bytes('1')))).toBe('ok');
  });

  test('bpf_jit_enable decides how programs run that are loaded from then on', async () => {
    const kernel = new EmulatedKernel();
    const bytesJited = async () => (await kernel.progInfo(await load(kernel, 'r0 = 2\nexit'))).bytesJited;
    const compiled = await bytesJited();
    expect(compiled).toBeGreaterThan(0);
    await kernel.writeFile(JIT, bytes('0'));
    expect(await bytesJited()).toBe(0);
    await kernel.writeFile(JIT, bytes('2'));
    const log = text(await kernel.readFile('/dev/kmsg'));
    expect(log).toMatch(/^4,0,\d+,-;bpf_jit_enable = 2 was set! NEVER use this in production/);
    expect(await bytesJited()).toBe(compiled);
    const dumped = text(await kernel.readFile('/dev/kmsg'))
      .slice(log.length)
      .split('\n');
    expect(dumped[0]).toMatch(
      new RegExp(`^3,1,\\d+,-;flen=2 proglen=${compiled} pass=1 image=[0-9a-f]{16} from=skep pid=1$`),
    );
    expect(dumped[1]).toMatch(/^3,2,\d+,-;JIT code: 00000000: 00 61 73 6d 01 00 00 00( [0-9a-f]{2}){8}$/);
    expect(dumped.length - 2).toBe(Math.ceil(compiled / 16));
  });

  test('bpf_jit_harden hides the numbers of programs in their code', async () => {
    const numbers = [0x12345678, -0x6edcba99, 0x13579bdf, 0x2468ace1, 0x7eadbeef];
    const program = `
      r1 = 0x1122334455667788 ll
      r2 = ${numbers[0]}
      r2 += r1
      if r2 == ${numbers[1]} goto l
      w2 ^= ${numbers[2]}
      *(u32 *)(r10 - 4) = ${numbers[3]}
      *(u64 *)(r10 - 16) = ${numbers[4]}
      l:
      r0 = r2
      w0 /= 0x01020304
      exit
    `;
    const kernel = new EmulatedKernel({ safety: 'trust' });
    const answers = async (process: KernelProcess) => {
      const prog = await load(process, program);
      const { jited } = await process.progDump(prog);
      const { retval } = await process.progTestRun(prog, packet);
      return { retval, shown: ALL.filter((number) => includes(jited, leb128(number))).length, code: jited };
    };
    const ALL = [0x1122334455667788n, ...numbers.map(BigInt), 0x01020304n];
    const plain = await answers(kernel);
    expect(plain.shown).toBe(ALL.length);
    await kernel.writeFile('/proc/sys/net/core/bpf_jit_harden', bytes('1'));
    expect((await answers(kernel)).code).toEqual(plain.code);
    await kernel.writeFile('/proc/sys/net/core/bpf_jit_harden', bytes('2'));
    const [one, another] = [await answers(kernel), await answers(kernel)];
    expect([one.retval, one.shown]).toEqual([plain.retval, 0]);
    expect([another.retval, another.shown]).toEqual([plain.retval, 0]);
    expect(one.code).not.toEqual(another.code);
  });

  test('programs of one array are all compiled or all interpreted', async () => {
    const kernel = new EmulatedKernel();
    const array = await kernel.mapCreate({
      type: MapType.ProgArray,
      keySize: 4,
      valueSize: 4,
      maxEntries: 2,
    });
    const put = (key: number, fd: number) =>
      said(kernel.mapUpdateElem(array, new Uint8Array([key, 0, 0, 0]), new Uint8Array([fd, 0, 0, 0])));
    expect(await put(0, await load(kernel, 'r0 = 2\nexit'))).toBe('ok');
    await kernel.writeFile(JIT, bytes('0'));
    expect(await put(1, await load(kernel, 'r0 = 2\nexit'))).toBe('EINVAL');
    expect((await kernel.mapInfo(array)).ownerJited).toBe(true);
  });

  test('statistics are kept while the setting or a descriptor says so', async () => {
    const kernel = new EmulatedKernel();
    const prog = await load(kernel, 'r0 = 2\nexit');
    const counts: bigint[] = [];
    const runs = async () => {
      await kernel.progTestRun(prog, { ...packet, repeat: 10 });
      counts.push((await kernel.progInfo(prog)).runCnt);
    };
    await runs();
    await kernel.writeFile('/proc/sys/kernel/bpf_stats_enabled', bytes('1'));
    await runs();
    const fd = await kernel.enableStats(0);
    await kernel.writeFile('/proc/sys/kernel/bpf_stats_enabled', bytes('0'));
    await runs();
    await kernel.close(fd);
    await runs();
    expect(counts).toEqual([0n, 10n, 20n, 20n]);
    expect((await kernel.progInfo(prog)).recursionMisses).toBe(0n);
  });
});

test("the kernel's types are a file, and what there is to trace is listed from them", async () => {
  const kernel = new EmulatedKernel();
  const types = await kernel.readFile('/sys/kernel/btf/vmlinux');
  expect(Buffer.compare(types, (await kernelTypes()).bytes)).toBe(0);
  const events = text(await kernel.readFile('/sys/kernel/tracing/available_events')).split('\n');
  expect(events).toEqual(expect.arrayContaining(['sched:sched_switch', 'xdp:xdp_exception', 'net:netif_rx']));
  expect(events.filter((line) => !/^[a-z0-9_]+:[a-z0-9_]+$/.test(line))).toEqual(['']);
  const functions = text(await kernel.readFile('/sys/kernel/tracing/available_filter_functions')).split('\n');
  expect(functions).toEqual(expect.arrayContaining(['vfs_read', 'tcp_v4_connect']));
});

test('a process ends with its descriptors', async () => {
  const kernel = new EmulatedKernel();
  const one = kernel.process({ name: 'one', pid: 10 });
  const other = kernel.process({ name: 'other', pid: 11 });
  const attr = { type: MapType.Ringbuf, keySize: 0, valueSize: 0, maxEntries: 4096 };
  const [a, b] = [await one.mapCreate(attr), await one.mapCreate(attr)];
  expect([a, b]).toEqual([3, 4]);
  const shared = await other.mapGetFdById(2);
  expect(shared).toBe(3);
  await one.close(a);
  expect(await one.mapGetFdById(2)).toBe(3);
  const waiting = one.poll([b], -1);
  const loading = load(one, 'r0 = 2\nexit');
  const heard: string[] = [];
  await one.trace((event) => heard.push(event.text));
  await one.exit();
  expect(await waiting).toEqual([]);
  // What it was about to get is nobody's.
  expect(await said(loading)).toBe('ESRCH');
  expect(await said(one.mapCreate(attr))).toBe('ESRCH');
  expect(await said(kernel.progGetNextId(0))).toBe('ENOENT');
  expect([await kernel.mapGetNextId(0), await said(kernel.mapGetNextId(2))]).toEqual([2, 'ENOENT']);
  await other.progTestRun(await load(other, PRINT), packet);
  expect(heard).toEqual([]);
  await other.exit();
  expect(await said(kernel.mapGetNextId(0))).toBe('ENOENT');
});
