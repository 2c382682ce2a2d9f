import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capture, golden, goldenVerdicts, rows } from '../../test/pcap/captures/index.js';
import { missingTool, needs } from '../../test/require.js';
import { SkepError } from '../base/error.js';
import { LinkType, type PacketBlock, PcapngWriter, readPackets } from './index.js';

/** Everything that `use` writes. */
async function written(
  use: (writer: PcapngWriter) => void | Promise<void>,
  application?: string,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter(
    (chunk) => chunks.push(chunk),
    application === undefined ? {} : { application },
  );
  await use(writer);
  writer.flush();
  return new Uint8Array(Buffer.concat(chunks));
}

async function blocksOf(bytes: Uint8Array): Promise<PacketBlock[]> {
  const blocks: PacketBlock[] = [];
  for await (const block of readPackets([bytes], { linkTypes: 'any' })) blocks.push(block);
  return blocks;
}

/** The sample as the golden was made: packet i with verdict i modulo 6, where 5 stands for none. */
const rewritten = () =>
  written(async (writer) => {
    writer.addInterface({ name: 'veth0', snapLength: 262144 });
    let number = 0;
    for (const block of await blocksOf(capture('sample.pcapng'))) {
      for (let i = 0; i < block.count; i++, number++) {
        const verdict = number % 6;
        writer.write(block.data.subarray(block.offsets[i], block.offsets[i + 1]), {
          timestamp: block.timestamps[i] ?? 0n,
          originalLength: block.originalLengths[i] ?? 0,
          ...(verdict === 5 ? {} : { verdict }),
        });
      }
    }
  }, 'skep');

describe('a capture that went through reader and writer', () => {
  test('is byte for byte the file that tshark has read', async () => {
    expect(Buffer.from(await rewritten()).equals(capture('written.pcapng'))).toBe(true);
    expect(golden('written.pcapng')).toEqual(golden('sample.pcapng'));
  });
  test('carries the verdicts that tshark has read', () => {
    expect(goldenVerdicts('written.pcapng')).toEqual(
      golden('sample.pcapng').map((_, i) => (i % 6 === 5 ? '' : String(i % 6))),
    );
  });
});

test('what is written is read again: bytes, times, lengths, interfaces', async () => {
  const packet = fc.record({
    data: fc.uint8Array({ maxLength: 200 }),
    timestamp: fc.bigInt({ min: 1n, max: (1n << 63n) - 1n }),
    extra: fc.nat(2000),
    interfaceId: fc.nat(2),
    verdict: fc.option(fc.nat(0xffffffff), { nil: undefined }),
  });
  const linkTypes = [LinkType.Ethernet, LinkType.Raw, LinkType.Ethernet];
  await fc.assert(
    fc.asyncProperty(fc.array(packet, { maxLength: 40 }), async (packets) => {
      const file = await written((writer) => {
        linkTypes.forEach((linkType, i) => {
          writer.addInterface({ linkType, name: `eth${i}`, snapLength: i * 100 });
        });
        for (const { data, timestamp, extra, interfaceId, verdict } of packets) {
          writer.write(data, {
            timestamp,
            interfaceId,
            originalLength: data.length + extra,
            ...(verdict === undefined ? {} : { verdict }),
          });
        }
      }, 'a test');
      const blocks = await blocksOf(file);
      const have = blocks.flatMap((block) =>
        Array.from({ length: block.count }, (_, i) => ({
          data: block.data.slice(block.offsets[i], block.offsets[i + 1]),
          timestamp: block.timestamps[i],
          extra: (block.originalLengths[i] ?? 0) - ((block.offsets[i + 1] ?? 0) - (block.offsets[i] ?? 0)),
          interfaceId: block.interfaceIds[i],
          linkType: block.linkType,
        })),
      );
      expect(have).toEqual(
        packets.map(({ verdict, ...rest }) => ({ ...rest, linkType: linkTypes[rest.interfaceId] })),
      );
    }),
    { numRuns: 200 },
  );
});

test('packets longer than a chunk and many chunks arrive whole', async () => {
  const big = Uint8Array.from({ length: 200_000 }, (_, i) => i);
  const file = await written((writer) => {
    writer.addInterface();
    for (let i = 0; i < 10; i++) {
      writer.write(big, { timestamp: 5n });
      writer.write(big.subarray(0, 61), { timestamp: 6n });
    }
  });
  const all = rows(await blocksOf(file));
  expect(all.length).toBe(20);
  expect(new Set(all.map((row) => row[4])).size).toBe(2);
});

test('what cannot be written is an error, and the file stays whole', async () => {
  const file = await written((writer) => {
    expect(() => writer.write(new Uint8Array(60), { timestamp: 0n })).toThrow(/interface 0 was not added/);
    writer.addInterface();
    expect(() => writer.write(new Uint8Array(300_000), { timestamp: 0n })).toThrow(SkepError);
    writer.write(new Uint8Array(60), { timestamp: 1n });
  });
  expect(rows(await blocksOf(file)).length).toBe(1);
});

needs('tcpdump', missingTool('tcpdump'), 'SKEP_REQUIRE_TOOLS', () => {
  test('reads what is written', async () => {
    const file = await rewritten();
    const { status, stdout } = spawnSync('tcpdump', ['-r', '-', '-nn', '-tt', '--nano'], { input: file });
    expect(status).toBe(0);
    const times = stdout
      .toString()
      .split('\n')
      .flatMap((line) => line.match(/^\d+\.\d{9}(?= )/) ?? []);
    expect(times).toEqual(golden('sample.pcapng').map(([time]) => time));
  });
});
