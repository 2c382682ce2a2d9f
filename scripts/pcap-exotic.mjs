// Writes a pcapng file of everything that common tools do not write: two sections of opposite byte orders,
// interfaces with odd clocks, all four kinds of packet blocks, options, and blocks that a reader must pass over.
// tshark's reading of it is the golden that the reader is tested against.
//
//     node scripts/pcap-exotic.mjs OUT.pcapng

import { writeFileSync } from 'node:fs';

const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** Writers of numbers in one byte order. */
const numbers = (little) => ({
  u16: (value) => {
    const bytes = Buffer.alloc(2);
    little ? bytes.writeUInt16LE(value) : bytes.writeUInt16BE(value);
    return bytes;
  },
  u32: (value) => {
    const bytes = Buffer.alloc(4);
    little ? bytes.writeUInt32LE(value) : bytes.writeUInt32BE(value);
    return bytes;
  },
  i64: (value) => {
    const bytes = Buffer.alloc(8);
    little ? bytes.writeBigInt64LE(value) : bytes.writeBigInt64BE(value);
    return bytes;
  },
});

const section = (little, clocks) => {
  const { u16, u32, i64 } = numbers(little);
  const block = (type, ...parts) => {
    const body = Buffer.concat(parts);
    const length = u32(body.length + 12);
    return Buffer.concat([u32(type), length, body, length]);
  };
  const option = (code, value) => Buffer.concat([u16(code), u16(value.length), padded(value)]);
  const end = option(0, Buffer.alloc(0));
  const ticks = (value) => [u32(Number(value >> 32n)), u32(Number(value & 0xffffffffn))];
  const packet = (seed, size) => {
    const head = Buffer.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    return Buffer.concat([
      head,
      Buffer.from(Array.from({ length: size - 14 }, (_, i) => (seed * 31 + i) & 255)),
    ]);
  };
  const enhanced = (id, time, data, original = data.length, options = []) =>
    block(6, u32(id), ...ticks(time), u32(data.length), u32(original), padded(data), ...options);

  const blocks = [
    block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), i64(-1n), option(4, Buffer.from('exotic')), end),
    // A name resolution block, a custom block and one of a type that nobody has: passed over.
    block(4, u16(1), u16(8), Buffer.from([192, 0, 2, 1, 0x61, 0x62, 0x63, 0]), u16(0), u16(0)),
    block(0xbad, u32(32473), Buffer.from('whatever')),
    block(0x7ffffff0, Buffer.alloc(300, 7)),
  ];
  clocks.forEach(({ resolution, offset, snapLength = 0 }, i) => {
    const options = [option(2, Buffer.from(`exotic${i}`))];
    if (resolution !== undefined) options.push(option(9, Buffer.from([resolution])));
    if (offset !== undefined) options.push(option(14, i64(offset)));
    blocks.push(
      block(1, u16(1), u16(0), u32(snapLength), ...options, option(1, Buffer.from('a comment')), end),
    );
  });
  clocks.forEach(({ times }, id) => {
    times.forEach((time, i) => {
      blocks.push(enhanced(id, time, packet(id * 16 + i, 60 + i)));
      blocks.push(
        enhanced(id, time, packet(id + i, 61), 1500, [option(2, u32(1)), option(1, Buffer.from('hi')), end]),
      );
    });
    blocks.push(
      block(
        2,
        u16(id),
        u16(0xffff),
        ...ticks(times[0]),
        u32(63),
        u32(64),
        padded(packet(99, 63)),
        option(2, u32(2)),
        end,
      ),
    );
  });
  blocks.push(block(3, u32(62), padded(packet(7, 62))));
  blocks.push(block(3, u32(900), padded(packet(8, clocks[0].snapLength))));
  blocks.push(block(5, u32(0), ...ticks(clocks[0].times[0]))); // interface statistics
  return Buffer.concat(blocks);
};

const second = 1_700_000_000n;
const file = Buffer.concat([
  section(false, [
    { times: [second * 1_000_000n + 123_456n, 1n], snapLength: 100 },
    { resolution: 9, times: [second * 1_000_000_000n + 123_456_789n] },
    { resolution: 0, times: [second] },
    { resolution: 3, times: [second * 1000n + 7n] },
  ]),
  section(true, [
    { resolution: 0x80 | 20, times: [(second << 20n) + 12345n], snapLength: 64 },
    { resolution: 6, offset: 1_000_000n, times: [second * 1_000_000n + 5n] },
    { resolution: 9, offset: -5n, times: [second * 1_000_000_000n] },
  ]),
]);
const [output] = process.argv.slice(2);
if (output === undefined) {
  console.error('Usage: node scripts/pcap-exotic.mjs OUT.pcapng');
  process.exit(1);
}
writeFileSync(output, file);
