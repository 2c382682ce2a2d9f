import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capture, captures, golden, rows } from '../../test/pcap/captures/index.js';
import { SkepError } from '../base/error.js';
import { MAX_BLOCK_BYTES, MAX_BLOCK_PACKETS } from './block.js';
import { type PacketBlock, type ReadOptions, readPackets } from './index.js';

/** All blocks, and the error that ended the reading if one did. */
async function read(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: ReadOptions = { linkTypes: 'any' },
): Promise<{ blocks: PacketBlock[]; error: unknown }> {
  const blocks: PacketBlock[] = [];
  try {
    for await (const block of readPackets(chunks, options)) blocks.push(block);
  } catch (error) {
    return { blocks, error };
  }
  return { blocks, error: undefined };
}

const count = (blocks: readonly PacketBlock[]) => blocks.reduce((sum, block) => sum + block.count, 0);

/** Cuts bytes into pieces of a length. */
function* pieces(bytes: Uint8Array, length: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** A pcap file in the other byte order. */
function swapPcap(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice();
  const view = new DataView(swapped.buffer);
  const swap32 = (at: number) => view.setUint32(at, view.getUint32(at, true), false);
  const swap16 = (at: number) => view.setUint16(at, view.getUint16(at, true), false);
  const original = new DataView(bytes.buffer, bytes.byteOffset);
  for (const at of [0, 8, 12, 16, 20]) swap32(at);
  for (const at of [4, 6]) swap16(at);
  for (let at = 24; at < bytes.length; at += 16 + original.getUint32(at + 8, true)) {
    for (const field of [0, 4, 8, 12]) swap32(at + field);
  }
  return swapped;
}

describe('reads what tshark reads', () => {
  test.each(captures)('from %s', async (name) => {
    const { blocks, error } = await read([capture(name)]);
    expect(error).toBeUndefined();
    const want = golden(name);
    expect(want.length).toBeGreaterThan(20);
    // tshark counts interfaces anew in each section, we number them through.
    const base = name === 'exotic.pcapng' ? 4 : Number.POSITIVE_INFINITY;
    const have = rows(blocks).map(([time, id, ...rest]) => [
      time,
      String(+id >= base ? +id - base : id),
      ...rest,
    ]);
    // One packet there has a time of 1 microsecond, which is a time like any other.
    expect(have).toEqual(want.map(([time, ...rest]) => [time.replace(/^0+\.0+$/, ''), ...rest]));
  });

  test.each(['micro.pcap', 'nano.pcap'])('from %s of a machine of the other byte order', async (name) => {
    const { blocks, error } = await read([swapPcap(capture(name))]);
    expect(error).toBeUndefined();
    expect(rows(blocks)).toEqual(golden(name));
  });

  test.each([1, 3, 17, 4096])('however the bytes come: %i at a time', async (length) => {
    for (const name of ['nano.pcap', 'sample.pcapng', 'exotic.pcapng']) {
      const whole = await read([capture(name)]);
      const { blocks, error } = await read(pieces(capture(name), length));
      expect(error).toBeUndefined();
      expect(rows(blocks)).toEqual(rows(whole.blocks));
    }
  });
});

test('interfaces carry name, link type and longest packet, over all sections', async () => {
  const { blocks } = await read([capture('exotic.pcapng')]);
  const interfaces = blocks.at(-1)?.interfaces ?? [];
  expect(interfaces.map(({ name }) => name)).toEqual([0, 1, 2, 3, 0, 1, 2].map((i) => `exotic${i}`));
  expect(interfaces.map(({ snapLength }) => snapLength)).toEqual([100, 0, 0, 0, 64, 0, 0]);
});

test('blocks keep to their bounds and lose nothing', async () => {
  const bytes = new Uint8Array(24 + 40 * 60_016);
  const view = new DataView(bytes.buffer);
  bytes.set(capture('nano.pcap').subarray(0, 24));
  for (let i = 0; i < 40; i++) {
    view.setUint32(24 + i * 60_016 + 8, 60_000, true);
    view.setUint32(24 + i * 60_016 + 12, 60_000, true);
  }
  const small = capture('micro.pcap');
  const many = [small, ...Array.from({ length: 20 }, () => small.subarray(24))];
  for (const [chunks, packets] of [
    [[bytes], 40],
    [many, 21 * golden('micro.pcap').length],
  ] as const) {
    const { blocks, error } = await read(chunks);
    expect(error).toBeUndefined();
    expect(count(blocks)).toBe(packets);
    expect(blocks.length).toBeGreaterThan(1);
    for (const block of blocks) {
      expect(block.count).toBeLessThanOrEqual(MAX_BLOCK_PACKETS);
      expect(block.data.length).toBeLessThanOrEqual(MAX_BLOCK_BYTES);
      expect(block.offsets[block.count]).toBe(block.data.length);
    }
  }
});

test('an empty capture is no error', async () => {
  expect(await read([capture('nano.pcap').subarray(0, 24)])).toEqual({ blocks: [], error: undefined });
});

test('a reader that stops early lets go of the source', async () => {
  let closed = false;
  async function* source() {
    try {
      for (;;) yield capture('sample.pcapng');
    } finally {
      closed = true;
    }
  }
  for await (const block of readPackets(source())) {
    expect(block.count).toBeGreaterThan(0);
    break;
  }
  expect(closed).toBe(true);
});

describe('what is not Ethernet', () => {
  test('is refused by name when Ethernet is wanted', async () => {
    const { error } = await read([capture('rawip.pcapng')], {});
    expect(error).toBeInstanceOf(SkepError);
    expect(String(error)).toMatch(/raw IP.* but Ethernet \(link type 1\) is needed/);
  });
  test('is read when it is wanted', async () => {
    const { blocks, error } = await read([capture('rawip.pcapng')], { linkTypes: [101, 129, 7] });
    expect([error, count(blocks)]).toEqual([undefined, golden('rawip.pcapng').length]);
  });
});

/** Changes 32-bit words (little-endian) in a copy. */
const patched = (name: string, ...patches: [at: number, value: number][]): Uint8Array => {
  const bytes = capture(name);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of patches) view.setUint32(at, value, true);
  return bytes;
};

/** Where the blocks of a little-endian pcapng file start. */
const blockStarts = (bytes: Uint8Array): number[] => {
  const starts: number[] = [];
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += view.getUint32(at + 4, true)) starts.push(at);
  return starts;
};

describe('damage is an error that says where and what, after the packets before it', () => {
  const ng = capture('sample.pcapng');
  const starts = blockStarts(ng);
  const [shb = 0, idb = 0] = starts;
  const epb = starts[12] ?? 0; // ten packets before it
  const end = starts[13] ?? 0;
  const nano = capture('nano.pcap');
  const header = new DataView(nano.buffer).getUint32(24 + 8, true) + 16 + 24; // second packet

  const cases: [name: string, bytes: Uint8Array, packets: number, message: RegExp][] = [
    [
      'a block length of 0',
      patched('sample.pcapng', [epb + 4, 0]),
      10,
      /byte \d+, enhanced packet block: .*length of 0/,
    ],
    [
      'an odd block length',
      patched('sample.pcapng', [epb + 4, 77]),
      10,
      /enhanced packet block: .*multiple of 4/,
    ],
    [
      'a huge block length',
      patched('sample.pcapng', [epb + 4, 0xfffffffc]),
      10,
      /enhanced packet block: .*4294967292/,
    ],
    ['a wrong second length', patched('sample.pcapng', [end - 4, 4]), 10, /at its start, but 4 at its end/],
    [
      'a captured length of 4 GB',
      patched('sample.pcapng', [epb + 20, 0xffffffff]),
      10,
      /claims 4294967295 captured/,
    ],
    [
      'more captured than the block',
      patched('sample.pcapng', [epb + 20, end - epb]),
      10,
      /there can be at most/,
    ],
    ['an unknown interface', patched('sample.pcapng', [epb + 8, 7]), 10, /interface 7, but .* described 1/],
    [
      'a huge unknown block',
      patched('sample.pcapng', [epb, 0xabc], [epb + 4, 0xfffffff0]),
      10,
      /before the end of a block/,
    ],
    ['a wrong byte-order magic', patched('sample.pcapng', [shb + 8, 5]), 0, /byte 8: .*byte-order magic/],
    ['an unknown version', patched('sample.pcapng', [shb + 12, 2]), 0, /version 2\.0 is not known/],
    [
      'an option beyond its block',
      patched('sample.pcapng', [idb + 16, 0xfff00009]),
      0,
      /interface description.*option 9 claims 65520/,
    ],
    [
      'an option of the wrong size',
      patched('sample.pcapng', [idb + 16, 0x00020009]),
      0,
      /option 9 must have 1 bytes/,
    ],
    [
      'no interface at all',
      new Uint8Array([...ng.subarray(0, idb), ...ng.subarray(starts[2])]),
      0,
      /described 0/,
    ],
    [
      'an end within a block',
      ng.subarray(0, epb + 50),
      10,
      /ends 50 bytes after the start of its last block \(enhanced packet block\)/,
    ],
    ['an end within a block header', ng.subarray(0, epb + 5), 10, /ends 5 bytes after the start/],
    [
      'pcap: a captured length of 4 GB',
      patched('nano.pcap', [header + 8, 0xfffffff0]),
      1,
      /packet 2 claims 4294967280/,
    ],
    ['pcap: an end within a packet', nano.subarray(0, header + 20), 1, /ends within the bytes of packet 2/],
    [
      'pcap: an end within a packet header',
      nano.subarray(0, header + 7),
      1,
      /ends within the header of packet 2/,
    ],
    ['pcap: an end within the file header', nano.subarray(0, 20), 0, /within its header, after 20 of 24/],
    ['pcap: an unknown version', patched('nano.pcap', [4, 0x00090009]), 0, /version 9\.9/],
    ['pcap: the modified variant', patched('nano.pcap', [0, 0xa1b2cd34]), 0, /modified libpcap/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0, 0), 0, /compressed with gzip/],
    [
      'an ELF file',
      new TextEncoder().encode('\x7fELF....'),
      0,
      /no pcap or pcapng file: it starts with 0x7f454c46/,
    ],
    ['nothing', new Uint8Array(0), 0, /empty/],
    ['two bytes', Uint8Array.of(0xd4, 0xc3), 0, /only 2 bytes/],
  ];
  test.each(cases)('%s', async (_, bytes, packets, message) => {
    for (const length of [bytes.length + 1, 100]) {
      const { blocks, error } = await read(pieces(bytes, length));
      expect(error).toBeInstanceOf(SkepError);
      expect(String(error)).toMatch(message);
      expect(count(blocks)).toBe(packets);
    }
  });

  test('an error of the source itself comes through, after the packets before it', async () => {
    const { blocks, error } = await read(
      (function* () {
        yield ng;
        throw new Error('the disk is gone');
      })(),
    );
    expect(String(error)).toBe('Error: the disk is gone');
    expect(count(blocks)).toBe(golden('sample.pcapng').length);
  });
});

test('mutated captures give packets or a SkepError, never anything else', async () => {
  const originals = ['nano.pcap', 'sample.pcapng', 'exotic.pcapng'].map(capture);
  const words = fc.constantFrom(0, 1, 4, 11, 12, 16, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff);
  const mutation = fc.record({
    at: fc.nat(2047).map((n) => n * 2),
    value: fc.oneof(words, fc.nat(0xffffffff)),
    wide: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(originals.length - 1),
      fc.array(mutation, { minLength: 1, maxLength: 6 }),
      fc.nat(8192),
      fc.integer({ min: 50, max: 5000 }),
      async (which, mutations, cut, length) => {
        const bytes = (originals[which] ?? new Uint8Array()).slice(0, 4096 + cut);
        const view = new DataView(bytes.buffer);
        for (const { at, value, wide } of mutations) {
          if (at + 4 > bytes.length) continue;
          if (wide) view.setUint32(at, value, true);
          else view.setUint8(at, value & 255);
        }
        const { blocks, error } = await read(pieces(bytes, length));
        expect(error === undefined || error instanceof SkepError).toBe(true);
        expect(blocks.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(bytes.length);
      },
    ),
    { numRuns: 2000 },
  );
});

test('memory does not grow with the capture', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // Freed buffers are counted until a thread of the collector has swept them: wait for it.
  const held = async () => {
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  const total = 200 << 20;
  const part = capture('sample.pcapng');
  const body = part.subarray(blockStarts(part)[2]);
  const filler = new Uint8Array(body.length * 20);
  for (let i = 0; i < 20; i++) filler.set(body, i * body.length);
  let given = part.length;
  function* source() {
    yield part;
    for (; given < total; given += filler.length) yield filler;
  }
  let packets = 0;
  let early = 0;
  for await (const block of readPackets(source())) {
    packets += block.count;
    if (early === 0 && given > 20 << 20) early = await held();
  }
  const late = await held();
  expect(given).toBeGreaterThanOrEqual(total);
  expect(packets).toBeGreaterThan(500_000);
  expect(early).toBeGreaterThan(0);
  // 180 MB went by in between.
  expect(late - early).toBeLessThan(8 << 20);
});
