// bpf_trace_printk and bpf_trace_vprintk against what Linux printed and returned (test/kernel/record/printk.py).

import { describe, expect, test } from 'vitest';
import golden from '../../../test/kernel/goldens/printk.json' with { type: 'json' };
import { KernelMemory, POINTER_BASE } from '../memory/memory.js';
import { helpers } from './index.js';
import { addressText } from './printf.js';

type Argument = string | { at: string };
type Row = [helper: string, format: string, args: Argument[], result: number, text: string | null];

const memory = new KernelMemory({ callHost() {}, now: () => 0 });
const room = memory.alloc(16384) as number;
const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (two) => Number.parseInt(two, 16));

/** Runs the helper as a program would; its result and what it printed. */
function run([name, format, args]: Row): [number, string | null] {
  const definition = helpers.find((row) => row.name === name);
  if (typeof definition?.runs !== 'function') throw new Error(`no host helper ${name}`);
  const formatAt = room;
  const dataAt = room + 2048;
  let used = room + 4096;
  const formatBytes = bytes(format);
  memory.write(formatAt, formatBytes);
  const values = args.map((arg) => {
    if (typeof arg === 'string') return BigInt.asUintN(64, BigInt(arg));
    const content = bytes(arg.at);
    const at = used;
    memory.write(at, content);
    used += content.length;
    return POINTER_BASE | BigInt(at);
  });
  for (const [index, value] of values.entries()) memory.view.setBigUint64(dataAt + 8 * index, value, true);
  const vprintk = name === 'trace_vprintk';
  const registers = [
    POINTER_BASE | BigInt(formatAt),
    BigInt(formatBytes.length),
    vprintk ? POINTER_BASE | BigInt(dataAt) : (values[0] ?? 0n),
    vprintk ? BigInt(8 * values.length) : (values[1] ?? 0n),
    values[2] ?? 0n,
  ];
  let printed: string | null = null;
  const result = definition.runs({
    memory,
    cpu: 0,
    cpuId: 0,
    hasDevice: () => false,
    task: { name: 'test', pid: 1, uid: 0 },
    arg: (index) => registers[index - 1] ?? 0n,
    trace: (text) => {
      printed = text;
    },
  });
  return [Number(BigInt.asIntN(64, result)), printed];
}

const rows = golden.rows as Row[];
const decoder = new TextDecoder();
const show = ([, format, args]: Row): string =>
  `${JSON.stringify(decoder.decode(bytes(format)))} ${JSON.stringify(args)}`;

describe(`trace_printk as ${golden.kernel} prints`, () => {
  test('every format gives the same text and the same result', () => {
    const different = rows.flatMap((row) => {
      const got = run(row);
      const want = [row[3], row[4] === null ? null : decoder.decode(bytes(row[4]))];
      return got[0] === want[0] && got[1] === want[1] ? [] : [{ case: show(row), got, want }];
    });
    expect(different).toEqual([]);
  });
});

test('%p tells nothing about the address, but the same address prints the same', () => {
  const text = (n: bigint) => run(['trace_vprintk', '257000', [String(n)], 0, null])[1];
  const address = POINTER_BASE | 0x12345n;
  expect(text(address)).toMatch(/^00000000[0-9a-f]{8}$/);
  expect(text(address)).toBe(text(address));
  expect(text(address)).not.toBe(text(address + 8n));
  expect(text(address)).not.toContain('12345');
});

test('an IPv6 address is not shortened', () => {
  const loopback = new Uint8Array(16).fill(1, 15);
  expect(addressText(loopback, 'I')).toBe('0000:0000:0000:0000:0000:0000:0000:0001');
});
