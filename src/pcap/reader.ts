// Reads captures: finds out what a stream of bytes is, and turns it into blocks of packets.

import { SkepError } from '../base/error.js';
import { BlockBuilder, type PacketBlock } from './block.js';
import { damage, type Format, Input } from './input.js';
import { LinkType } from './link-type.js';
import { PCAP_MICROSECONDS, PCAP_NANOSECONDS, PcapFormat } from './pcap.js';
import { BlockType, PcapngFormat } from './pcapng.js';

/** How to read a capture. */
export interface ReadOptions {
  /** The link types (LINKTYPE_* numbers) that are welcome, or 'any'. Ethernet alone when left out. */
  readonly linkTypes?: readonly number[] | 'any';
}

/** More of a chunk is not taken in at once, so that a whole file in one chunk is not copied. */
const PIECE = 1 << 20;

/** Files that are taken for captures, by their first four bytes (most significant first). */
const strangers = new Map<number, readonly [what: string, hint: string]>([
  [
    0xa1b2cd34,
    ['a pcap file of a modified libpcap (longer packet headers)', 'Convert it: editcap in out.pcapng'],
  ],
  [
    0x34cdb2a1,
    ['a pcap file of a modified libpcap (longer packet headers)', 'Convert it: editcap in out.pcapng'],
  ],
  [0x1c0001ac, ['a capture of an Ixia device', 'Convert it: editcap in out.pcapng']],
  [0xac01001c, ['a capture of an Ixia device', 'Convert it: editcap in out.pcapng']],
  [0x736e6f6f, ['a snoop capture', 'Convert it: editcap in out.pcapng']],
  [0x28b52ffd, ['compressed with zstd', 'Decompress it first: zstd -dc in | ...']],
  [0x504b0304, ['a ZIP archive', 'Take the capture out of it first.']],
]);

function detect(
  input: Input,
  builder: BlockBuilder,
  linkTypes: readonly number[] | undefined,
): Format | undefined {
  if (input.available === 0 && input.finished) {
    throw new SkepError('it is empty', { where: 'capture', hint: 'A pcap or pcapng file is needed.' });
  }
  if (input.available < 4) {
    if (!input.finished) return undefined;
    throw damage('capture', 0, `it has only ${input.available} bytes, less than any capture`);
  }
  for (const littleEndian of [true, false]) {
    const magic = input.view.getUint32(input.start, littleEndian);
    if (magic === PCAP_MICROSECONDS || magic === PCAP_NANOSECONDS) {
      return new PcapFormat(littleEndian, magic === PCAP_NANOSECONDS, builder, linkTypes);
    }
  }
  const magic = input.view.getUint32(input.start, false);
  if (magic === BlockType.SectionHeader) return new PcapngFormat(builder, linkTypes);
  const [what, hint] =
    magic >>> 16 === 0x1f8b
      ? ['compressed with gzip', 'Decompress it first: gzip -dc in | ...']
      : (strangers.get(magic) ?? [
          `no pcap or pcapng file: it starts with 0x${magic.toString(16).padStart(8, '0')}`,
          'Capture with tcpdump -w, dumpcap or Wireshark.',
        ]);
  throw new SkepError(`it is ${what}`, { where: 'capture', hint });
}

/**
 * Reads a pcap file (micro- or nanoseconds, both byte orders) or a pcapng file (any number of sections and
 * interfaces) from its bytes in chunks of any size. Memory stays the same however long the capture is.
 *
 * Throws a SkepError that names the place in the file when it is damaged, cut off, of another format or of another
 * link type; the packets before that place have been delivered by then.
 */
export async function* readPackets(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<PacketBlock, void, undefined> {
  const linkTypes = options.linkTypes === 'any' ? undefined : (options.linkTypes ?? [LinkType.Ethernet]);
  const input = new Input();
  const builder = new BlockBuilder();
  let format: Format | undefined;

  /** The next full block, or undefined when more bytes are needed; damage is kept until the rest is delivered. */
  let broken: unknown;
  const next = (): PacketBlock | undefined => {
    try {
      format ??= detect(input, builder, linkTypes);
      if (format?.parse(input)) return builder.take();
      if (input.finished) format?.finish(input);
    } catch (error) {
      broken = error;
    }
    return undefined;
  };

  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length && !broken; at += PIECE) {
        input.append(chunk.length <= PIECE ? chunk : chunk.subarray(at, at + PIECE));
        for (let block = next(); block; block = next()) yield block;
      }
      if (broken) break;
    }
  } catch (error) {
    broken = error; // of the source: what it gave before is good
  }
  if (!broken) {
    input.finished = true;
    for (let block = next(); block; block = next()) yield block;
  }
  if (builder.count > 0) yield builder.take();
  if (broken) throw broken;
}
