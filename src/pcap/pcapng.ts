// The pcapng file (draft-ietf-opsawg-pcapng): blocks, each with its length before and behind, in sections, each with
// a byte order and interfaces of its own.
//
//     type 4 | length 4 | body ... padded to 4 | length 4
//     body of an enhanced packet block:  interface 4 | time high 4 | time low 4 | captured 4 | original 4 | bytes | options
//     option:                            code 2 | length 2 | value ... padded to 4

import { SkepError } from '../base/error.js';
import { type BlockBuilder, type CaptureInterface, MAX_CAPTURED_LENGTH } from './block.js';
import { damage, type Format, type Input } from './input.js';
import { wrongLinkType } from './link-type.js';
import { scale, scaleExactly, type Time } from './time.js';

/** Block types. */
export const BlockType = {
  SectionHeader: 0x0a0d0d0a,
  InterfaceDescription: 1,
  Packet: 2,
  SimplePacket: 3,
  EnhancedPacket: 6,
} as const;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const SWAPPED_MAGIC = 0x4d3c2b1a;

/** Option codes: of every block, of the interface description, of the enhanced packet. */
export const OptionCode = {
  EndOfOptions: 0,
  InterfaceName: 2,
  TimeResolution: 9,
  TimeOffset: 14,
  PacketFlags: 2,
  PacketVerdict: 7,
} as const;

/** A block that must be held as a whole is not believed when it is longer. */
const MAX_HELD_BLOCK = 16 << 20;
const MAX_INTERFACES = 65536;

const blockNames = new Map<number, string>([
  [BlockType.SectionHeader, 'section header block'],
  [BlockType.InterfaceDescription, 'interface description block'],
  [BlockType.Packet, 'packet block'],
  [BlockType.SimplePacket, 'simple packet block'],
  [BlockType.EnhancedPacket, 'enhanced packet block'],
]);

const blockName = (type: number): string =>
  blockNames.get(type) ?? `block of type 0x${type.toString(16).padStart(8, '0')}`;

/** Bytes of the body before packet data or options. */
const fixedPart = new Map<number, number>([
  [BlockType.SectionHeader, 16],
  [BlockType.InterfaceDescription, 8],
  [BlockType.Packet, 20],
  [BlockType.SimplePacket, 4],
  [BlockType.EnhancedPacket, 20],
]);

/** How the times of one interface count. */
interface Clock {
  /** Nanoseconds in a tick, or 0 when that is no integer or there is an offset: then the rest is used. */
  readonly unit: number;
  readonly perSecond: bigint;
  readonly offset: bigint;
}

const MICROSECONDS: Clock = { unit: 1000, perSecond: 1_000_000n, offset: 0n };

/** `value`: bit 7 clear: 10^-value seconds; set: 2^-(value & 127) seconds. */
function clockOf(resolution: number, offset: bigint): Clock {
  const power = resolution & 0x7f;
  const perSecond = (resolution & 0x80 ? 2n : 10n) ** BigInt(power);
  const simple = !(resolution & 0x80) && power <= 9 && offset === 0n;
  return { unit: simple ? 10 ** (9 - power) : 0, perSecond, offset };
}

/** Reads pcapng, from the first section header on. */
export class PcapngFormat implements Format {
  readonly what = 'pcapng file';
  readonly #builder: BlockBuilder;
  readonly #linkTypes: readonly number[] | undefined;
  readonly #time: Time = { low: 0, high: 0 };
  readonly #clocks: Clock[] = [];
  #littleEndian = true;
  /** Index of the first interface of this section. */
  #section = 0;

  constructor(builder: BlockBuilder, linkTypes: readonly number[] | undefined) {
    this.#builder = builder;
    this.#linkTypes = linkTypes;
  }

  parse(input: Input): boolean {
    while (input.available >= 12) {
      const { view, start } = input;
      const type = view.getUint32(start, this.#littleEndian);
      if (type === BlockType.SectionHeader) this.#readByteOrder(input);
      const length = view.getUint32(start + 4, this.#littleEndian);
      const fixed = fixedPart.get(type);
      if (length % 4 !== 0 || length < 12 + (fixed ?? 0)) {
        throw this.#damage(
          input,
          type,
          `its length of ${length} bytes is ${length % 4 ? 'no multiple of 4' : 'too small for it'}`,
        );
      }
      if (fixed === undefined) {
        // Nothing in it is needed: it goes by unheld, so that it may be of any length.
        input.skip(length);
        continue;
      }
      if (length > MAX_HELD_BLOCK) {
        throw this.#damage(input, type, `its length of ${length} bytes is more than ${MAX_HELD_BLOCK}`);
      }
      if (input.available < length) return false;
      const again = view.getUint32(start + length - 4, this.#littleEndian);
      if (again !== length) {
        throw this.#damage(input, type, `its length is ${length} at its start, but ${again} at its end`);
      }
      if (type === BlockType.SectionHeader) this.#readSection(input);
      else if (type === BlockType.InterfaceDescription) this.#readInterface(input, length);
      else if (!this.#readPacket(input, type, length)) return true;
      input.skip(length);
    }
    return false;
  }

  finish(input: Input): void {
    if (input.missing > 0) {
      throw damage(
        this.what,
        input.position,
        `the file ends ${input.missing} bytes before the end of a block`,
      );
    }
    if (input.available === 0) return;
    const name =
      input.available >= 4
        ? blockName(input.view.getUint32(input.start, this.#littleEndian))
        : 'type unknown';
    throw damage(
      this.what,
      input.position,
      `the file ends ${input.available} bytes after the start of its last block (${name})`,
      'The capture was cut off; all packets before this block are good.',
    );
  }

  #readByteOrder({ view, start, position }: Input): void {
    const magic = view.getUint32(start + 8, true);
    if (magic !== BYTE_ORDER_MAGIC && magic !== SWAPPED_MAGIC) {
      throw damage(
        this.what,
        position + 8,
        `section header block: the byte-order magic is 0x${magic.toString(16).padStart(8, '0')}, not 0x1a2b3c4d`,
      );
    }
    this.#littleEndian = magic === BYTE_ORDER_MAGIC;
  }

  #readSection(input: Input): void {
    const major = input.view.getUint16(input.start + 12, this.#littleEndian);
    const minor = input.view.getUint16(input.start + 14, this.#littleEndian);
    // 1.2 was written for a while and means 1.0.
    if (major !== 1 || (minor !== 0 && minor !== 2)) {
      throw this.#damage(
        input,
        BlockType.SectionHeader,
        `version ${major}.${minor} is not known, only 1.0 is`,
      );
    }
    this.#section = this.#builder.interfaces.length;
  }

  #readInterface(input: Input, length: number): void {
    const { view, start } = input;
    const little = this.#littleEndian;
    let name = '';
    let resolution: number | undefined;
    let offset = 0n;
    const end = start + length - 4;
    for (let at = start + 16; at + 4 <= end; ) {
      const code = view.getUint16(at, little);
      const size = view.getUint16(at + 2, little);
      if (code === OptionCode.EndOfOptions) break;
      const value = at + 4;
      if (value + size > end) {
        throw this.#damage(
          input,
          BlockType.InterfaceDescription,
          `option ${code} claims ${size} bytes, but only ${end - value} are left`,
        );
      }
      const expect = code === OptionCode.TimeResolution ? 1 : code === OptionCode.TimeOffset ? 8 : size;
      if (size !== expect) {
        throw this.#damage(
          input,
          BlockType.InterfaceDescription,
          `option ${code} must have ${expect} bytes, but has ${size}`,
        );
      }
      if (code === OptionCode.InterfaceName) {
        name = new TextDecoder().decode(input.bytes.subarray(value, value + size)).replace(/\0+$/, '');
      } else if (code === OptionCode.TimeResolution) {
        resolution = view.getUint8(value);
      } else if (code === OptionCode.TimeOffset) {
        offset = view.getBigInt64(value, little);
      }
      at = value + ((size + 3) & ~3);
    }
    if (this.#builder.interfaces.length >= MAX_INTERFACES) {
      throw this.#damage(
        input,
        BlockType.InterfaceDescription,
        `there are more than ${MAX_INTERFACES} interfaces in this file`,
      );
    }
    this.#builder.interfaces.push({
      linkType: view.getUint16(start + 8, little),
      snapLength: view.getUint32(start + 12, little),
      name,
    });
    const clock = resolution === undefined && offset === 0n ? MICROSECONDS : clockOf(resolution ?? 6, offset);
    this.#clocks.push(clock);
  }

  /** False when the block that is being built must be taken first; nothing has happened then. */
  #readPacket(input: Input, type: number, length: number): boolean {
    const { view, start, bytes } = input;
    const little = this.#littleEndian;
    const simple = type === BlockType.SimplePacket;
    const id = simple
      ? 0
      : type === BlockType.Packet
        ? view.getUint16(start + 8, little)
        : view.getUint32(start + 8, little);
    const index = this.#section + id;
    const from = this.#builder.interfaces[index];
    const clock = this.#clocks[index];
    if (!from || !clock) {
      const known = this.#builder.interfaces.length - this.#section;
      throw this.#damage(input, type, `it is of interface ${id}, but its section has described ${known}`);
    }
    const header = simple ? 12 : 28;
    const room = length - header - 4;
    const original = view.getUint32(start + header - 4, little);
    const captured = simple
      ? capturedBySimple(original, from, room)
      : view.getUint32(start + header - 8, little);
    if (captured > room || captured > MAX_CAPTURED_LENGTH) {
      const limit = Math.min(room, MAX_CAPTURED_LENGTH);
      throw this.#damage(
        input,
        type,
        `it claims ${captured} captured bytes, but there can be at most ${limit}`,
      );
    }
    if (this.#linkTypes && !this.#linkTypes.includes(from.linkType)) {
      throw wrongLinkType(this.#place(input, type), from.linkType, this.#linkTypes);
    }
    if (!this.#builder.fits(captured, from.linkType)) return false;

    const time = this.#time;
    if (simple) {
      time.low = 0;
      time.high = 0;
    } else {
      const high = view.getUint32(start + 12, little);
      const low = view.getUint32(start + 16, little);
      if (clock.unit !== 0) scale(time, high, low, clock.unit);
      else scaleExactly(time, high, low, clock.perSecond, clock.offset);
    }
    this.#builder.add(bytes, start + header, captured, original, index, from.linkType, time.low, time.high);
    return true;
  }

  #place(input: Input, type: number): string {
    return `${this.what}, byte ${input.position}, ${blockName(type)}`;
  }

  #damage(input: Input, type: number, message: string): SkepError {
    return new SkepError(message, {
      where: this.#place(input, type),
      hint: 'The file is damaged here; all packets before this block are good.',
    });
  }
}

/** A simple packet block does not say how much it holds: what the interface's limit left of the packet. */
const capturedBySimple = (original: number, from: CaptureInterface, room: number): number => {
  const captured = from.snapLength === 0 ? original : Math.min(original, from.snapLength);
  // Without a limit a longer packet was cut by whoever wrote it; the rest of the block is the packet.
  return from.snapLength === 0 && captured > room ? room : captured;
};
