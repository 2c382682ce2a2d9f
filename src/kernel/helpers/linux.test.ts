// Helpers of the runtime against what Linux answered (test/kernel/record/runtime.py).

import { describe, expect, test } from 'vitest';
import golden from '../../../test/kernel/goldens/helper-results.json' with { type: 'json' };
import { MapType } from '../../bpf/types.js';
import { KernelMap } from '../maps/index.js';
import { KernelMemory, layout, POINTER_BASE } from '../memory/memory.js';
import { helperById } from './index.js';

type Csum = ['csum', from: string | null, to: string | null, seed: string, result: string];
type Xdp = ['xdp', packet: string, calls: number[][], results: string[], after: string, read: string[]];
type Hold = ['hold', flags: number, results: string[]];

const rows = golden.rows as (Csum | Xdp | Hold)[];
const csums = rows.filter((row): row is Csum => row[0] === 'csum');
const packets = rows.filter((row): row is Xdp => row[0] === 'xdp');
const holds = rows.filter((row): row is Hold => row[0] === 'hold');

const memory = new KernelMemory({ callHost() {}, now: () => 1_234_567_890 });
const helpers = memory.runtime as unknown as Record<string, (cpu: number, ...args: bigint[]) => bigint>;
const cpu = memory.alloc(layout.Cpu_size) as number;
const frame = memory.alloc(layout.XdpFrame_size) as number;
const area = memory.alloc(4096) as number;
const packetRoom = memory.alloc(4096) as number;

/** Where Linux's test run puts a packet in its page: the headroom, and what lies behind data_hard_end. */
const headroom = 256;
const sharedInfo = 320;

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (two) => Number.parseInt(two, 16));
const hex = (data: Uint8Array): string =>
  Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');
const pointer = (at: number): bigint => POINTER_BASE | BigInt(at);
const register = (value: number | string): bigint => BigInt.asUintN(64, BigInt(value));

/** Calls helper `id` of the runtime; r0 as a signed number. */
function call(id: number, ...args: bigint[]): bigint {
  const body = helpers[`bpf_${helperById(id)?.name}`];
  if (!body) throw new Error(`the runtime has no helper ${id}`);
  return BigInt.asIntN(64, body(cpu, ...args));
}

function placePacket(packet: Uint8Array): void {
  const data = packetRoom + headroom;
  const end = data + packet.length;
  memory.u8.fill(0, packetRoom, packetRoom + 4096);
  memory.write(data, packet);
  memory.setU32(frame + layout.XdpFrame_data, data);
  memory.setU32(frame + layout.XdpFrame_dataMeta, data);
  memory.setU32(frame + layout.XdpFrame_dataEnd, end);
  memory.setU32(frame + layout.XdpFrame_hardStart, packetRoom);
  memory.setU32(frame + layout.XdpFrame_hardEnd, packetRoom + 4096 - sharedInfo);
  memory.setU32(cpu + layout.Cpu_packetStart, data);
  memory.setU32(cpu + layout.Cpu_packetEnd, end);
}

const load = 189;
const store = 190;

function runCalls(calls: number[][]): { results: string[]; read: string[] } {
  const read: string[] = [];
  memory.u8.fill(0, area, area + 4096);
  const results = calls.map(([id = 0, ...args], index) => {
    const at = area + 64 * index;
    const [first = 0, size = 0] = args;
    if (id === load || id === store) {
      for (let k = 0; k < Math.min(size, 64); k++) memory.u8[at + k] = index * 7 + k;
      const result = call(id, pointer(frame), register(first), pointer(at), register(size));
      return String(result);
    }
    const context = helperById(id)?.args[0] === 'ctx' ? [pointer(frame)] : [];
    return String(call(id, ...context, ...args.map(register)));
  });
  for (const [index, [id, , size = 0]] of calls.entries()) {
    if (id === load) read.push(hex(memory.read(area + 64 * index, size)));
  }
  return { results, read };
}

describe(`helpers answer as those of ${golden.kernel}`, () => {
  test('csum_diff: every r0, down to the two ways to write zero', () => {
    const different = csums.flatMap(([, from, to, seed, want]) => {
      const source = bytes(from ?? '');
      const target = bytes(to ?? '');
      memory.write(area, source);
      memory.write(area + 2048, target);
      const got = call(
        28,
        from === null ? 0n : pointer(area),
        BigInt(source.length),
        to === null ? 0n : pointer(area + 2048),
        BigInt(target.length),
        BigInt(seed),
      );
      return String(got) === want ? [] : [{ from, to, seed, got: String(got), want }];
    });
    expect(different).toEqual([]);
    expect(csums.length).toBeGreaterThan(300);
  });

  test('XDP helpers: every r0, and the packet afterwards', () => {
    for (const [, packet, calls, results, after, read] of packets) {
      placePacket(bytes(packet));
      const got = runCalls(calls);
      const meta = memory.u32(frame + layout.XdpFrame_dataMeta);
      const end = memory.u32(frame + layout.XdpFrame_dataEnd);
      // A test run gives back metadata and packet.
      expect({ calls, ...got, after: hex(memory.read(meta, end - meta)) }).toEqual({
        calls,
        results,
        read,
        after,
      });
      expect(memory.u32(cpu + layout.Cpu_packetStart)).toBe(meta);
      expect(memory.u32(cpu + layout.Cpu_packetEnd)).toBe(end);
    }
    expect(packets.length).toBeGreaterThan(90);
  });

  for (const [, flags, want] of holds) {
    test(`pointers to values of a hash with flags ${flags}: what they show after updates and a deletion`, () => {
      const map = new KernelMap(
        memory,
        1,
        { type: MapType.Hash, keySize: 4, valueSize: 8, maxEntries: 4, flags },
        2,
      );
      const key = (n: number): bigint => {
        memory.setU32(area, n);
        return pointer(area);
      };
      const value = (n: number): bigint => {
        memory.setU32(area + 8, n);
        memory.setU32(area + 12, 0);
        return pointer(area + 8);
      };
      const self = pointer(map.address);
      const update = (k: number, v: number) => call(2, self, key(k), value(v), 0n);
      const lookup = () => Number(BigInt.asUintN(32, call(1, self, key(1))));
      const shown: string[] = [];
      const show = (...at: number[]) => shown.push(...at.map((one) => String(memory.u32(one))));
      update(1, 1);
      const p = lookup();
      update(1, 2);
      show(p);
      const q = lookup();
      show(q);
      update(1, 3);
      show(p, q);
      call(3, self, key(1));
      show(p, q);
      update(2, 9);
      show(p, q);
      map.destroy();
      expect(shown).toEqual(want);
    });
  }
});

test('redirect notes the device', () => {
  expect(call(23, 9n, 0n)).toBe(4n);
  expect(memory.u32(cpu + layout.Cpu_redirectIfindex)).toBe(9);
});

test('clocks follow the host: boot time is the same, the coarse one ticks at 250 Hz', () => {
  expect(call(5)).toBe(1_234_567_890n);
  expect(call(125)).toBe(1_234_567_890n);
  expect(call(160)).toBe(1_232_000_000n);
  // 308 ticks after the start, five minutes before the 32-bit counter wraps.
  expect(call(118)).toBe(2n ** 32n - 300n * 250n + 308n);
});

test('random numbers: 32 bits, spread evenly, the same again for the same state', () => {
  const draw = (): bigint[] => {
    memory.view.setBigUint64(cpu + layout.Cpu_random, 42n, true);
    return Array.from({ length: 4000 }, () => call(7));
  };
  const numbers = draw();
  expect(numbers.every((n) => n >= 0n && n < 2n ** 32n)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(3990);
  for (let bit = 0n; bit < 32n; bit++) {
    const ones = numbers.filter((n) => (n >> bit) & 1n).length;
    expect(Math.abs(ones - 2000)).toBeLessThan(200);
  }
  expect(draw()).toEqual(numbers);
});

test('a program on CPU 3 is told so', () => {
  memory.setU32(cpu + layout.Cpu_id, 3);
  expect(call(8)).toBe(3n);
  memory.setU32(cpu + layout.Cpu_id, 0);
  expect(call(42)).toBe(0n);
});
