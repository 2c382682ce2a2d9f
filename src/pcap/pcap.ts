// The pcap file (draft-ietf-opsawg-pcap), in the byte order of the machine that wrote it:
//
//     magic 4 | major 2 | minor 2 | zone 4 | accuracy 4 | snapLength 4 | linkType 4      once
//     seconds 4 | fraction 4 | captured length 4 | original length 4 | bytes ...          for each packet
//
// The magic tells the order and whether the fraction counts micro- or nanoseconds.

import { type BlockBuilder, MAX_CAPTURED_LENGTH } from './block.js';
import { damage, type Format, type Input } from './input.js';
import { wrongLinkType } from './link-type.js';
import { addNanoseconds, scale, type Time } from './time.js';

export const PCAP_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER = 24;
const PACKET_HEADER = 16;

/** Reads pcap; whoever makes one has seen the magic and knows byte order and precision. */
export class PcapFormat implements Format {
  readonly what = 'pcap file';
  readonly #littleEndian: boolean;
  readonly #unit: number;
  readonly #builder: BlockBuilder;
  readonly #linkTypes: readonly number[] | undefined;
  readonly #time: Time = { low: 0, high: 0 };
  #linkType = -1;
  #packets = 0;

  constructor(
    littleEndian: boolean,
    nanoseconds: boolean,
    builder: BlockBuilder,
    linkTypes: readonly number[] | undefined,
  ) {
    this.#littleEndian = littleEndian;
    this.#unit = nanoseconds ? 1 : 1000;
    this.#builder = builder;
    this.#linkTypes = linkTypes;
  }

  parse(input: Input): boolean {
    if (this.#linkType < 0) {
      if (input.available < FILE_HEADER) return false;
      this.#readHeader(input);
    }
    const { view, bytes } = input;
    const littleEndian = this.#littleEndian;
    const linkType = this.#linkType;
    const time = this.#time;
    while (input.available >= PACKET_HEADER) {
      const at = input.start;
      const captured = view.getUint32(at + 8, littleEndian);
      if (captured > MAX_CAPTURED_LENGTH) {
        throw damage(
          this.what,
          input.position,
          `packet ${this.#packets + 1} claims ${captured} captured bytes; more than ${MAX_CAPTURED_LENGTH} is not possible`,
          'The file is damaged here.',
        );
      }
      if (input.available < PACKET_HEADER + captured) return false;
      if (!this.#builder.fits(captured, linkType)) return true;
      scale(time, 0, view.getUint32(at, littleEndian), 1_000_000_000);
      addNanoseconds(time, view.getUint32(at + 4, littleEndian) * this.#unit);
      const original = view.getUint32(at + 12, littleEndian);
      this.#builder.add(bytes, at + PACKET_HEADER, captured, original, 0, linkType, time.low, time.high);
      this.#packets++;
      input.skip(PACKET_HEADER + captured);
    }
    return false;
  }

  finish(input: Input): void {
    if (this.#linkType < 0) {
      throw damage(
        this.what,
        input.position,
        `the file ends within its header, after ${input.available} of ${FILE_HEADER} bytes`,
      );
    }
    if (input.available === 0) return;
    const part = input.available < PACKET_HEADER ? 'header' : 'bytes';
    throw damage(
      this.what,
      input.position,
      `the file ends within the ${part} of packet ${this.#packets + 1}`,
      'The capture was cut off; all packets before this one are good.',
    );
  }

  #readHeader(input: Input): void {
    const { view, start } = input;
    const little = this.#littleEndian;
    const major = view.getUint16(start + 4, little);
    const minor = view.getUint16(start + 6, little);
    if (major !== 2 || minor < 3) {
      throw damage(
        this.what,
        input.position + 4,
        `version ${major}.${minor} is not known; 2.4 is the usual one`,
      );
    }
    // The upper half of the word tells about frame check sequences.
    this.#linkType = view.getUint32(start + 20, little) & 0xffff;
    if (this.#linkTypes && !this.#linkTypes.includes(this.#linkType)) {
      throw wrongLinkType(`${this.what}, byte ${input.position + 20}`, this.#linkType, this.#linkTypes);
    }
    this.#builder.interfaces.push({
      linkType: this.#linkType,
      snapLength: view.getUint32(start + 16, little),
      name: '',
    });
    input.skip(FILE_HEADER);
  }
}
