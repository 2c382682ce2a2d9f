// Writes pcapng (draft-ietf-opsawg-pcapng): one little-endian section, times in nanoseconds, and for each packet,
// where it is known, which way it went (option epb_flags) and what XDP decided about it (option epb_verdict):
//
//     code 7 (2) | length 9 (2) | kind 2 = Linux_eBPF_XDP (1) | enum xdp_action (8) | padding (3) | end of options (4)

import { SkepError } from '../base/error.js';
import { MAX_CAPTURED_LENGTH } from './block.js';
import { LinkType } from './link-type.js';
import { BlockType, BYTE_ORDER_MAGIC, OptionCode } from './pcapng.js';

/** What a PcapngWriter says about the file. */
export interface PcapngOptions {
  /** The program that made the file (option shb_userappl). */
  readonly application?: string;
}

/** What a PcapngWriter says about an interface. */
export interface PcapngInterface {
  /** LINKTYPE_* number; Ethernet when left out. */
  readonly linkType?: number;
  readonly name?: string;
  /** Longest packet in bytes; 0 or left out for no limit. */
  readonly snapLength?: number;
}

/** What a PcapngWriter says about a packet. */
export interface PcapngPacket {
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly timestamp: bigint;
  /** Length on the wire in bytes; that of the data when left out. */
  readonly originalLength?: number;
  /** What `addInterface` returned; 0 when left out. */
  readonly interfaceId?: number;
  /** The answer of the XDP program (0 aborted, 1 drop, 2 pass, 3 tx, 4 redirect, or any other number it gave). */
  readonly verdict?: number;
  /** Which way it went on its interface (option epb_flags). */
  readonly direction?: 'in' | 'out';
}

const CHUNK = 1 << 16;
const VERDICT_LINUX_XDP = 2;
const VERDICT_OPTION = 4 + 12;
const FLAGS_OPTION = 4 + 4;
const END_OF_OPTIONS = 4;
/** epb_flags: the lowest two bits. */
const DIRECTION = { in: 1, out: 2 } as const;
const SHB_USERAPPL = 4;
const UNKNOWN_LENGTH = 0xffffffff;

const padded = (length: number): number => (length + 3) & ~3;

/**
 * Writes a pcapng file to `sink`, which gets it in chunks of about 64 KiB that it may keep. Call `flush` at the end.
 * A packet needs an interface: `addInterface` comes first.
 */
export class PcapngWriter {
  readonly #sink: (chunk: Uint8Array) => void;
  #bytes = new Uint8Array(CHUNK);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  #interfaces = 0;

  constructor(sink: (chunk: Uint8Array) => void, options: PcapngOptions = {}) {
    this.#sink = sink;
    const texts: [number, Uint8Array][] = [];
    if (options.application !== undefined) texts.push([SHB_USERAPPL, encode(options.application)]);
    const at = this.#open(BlockType.SectionHeader, 16 + optionsLength(texts));
    this.#view.setUint32(at, BYTE_ORDER_MAGIC, true);
    this.#view.setUint16(at + 4, 1, true);
    this.#view.setUint32(at + 8, UNKNOWN_LENGTH, true);
    this.#view.setUint32(at + 12, UNKNOWN_LENGTH, true);
    this.#options(at + 16, texts);
  }

  /** Describes an interface and returns its number. */
  addInterface(description: PcapngInterface = {}): number {
    const { linkType = LinkType.Ethernet, name, snapLength = 0 } = description;
    const values: [number, Uint8Array][] = [];
    if (name) values.push([OptionCode.InterfaceName, encode(name)]);
    values.push([OptionCode.TimeResolution, Uint8Array.of(9)]);
    const at = this.#open(BlockType.InterfaceDescription, 8 + optionsLength(values));
    this.#view.setUint16(at, linkType, true);
    this.#view.setUint32(at + 4, snapLength, true);
    this.#options(at + 8, values);
    return this.#interfaces++;
  }

  /** Writes a packet. Throws a SkepError when its interface was not added or it is longer than 256 KiB. */
  write(data: Uint8Array, packet: PcapngPacket): void {
    const { timestamp, originalLength = data.length, interfaceId = 0, verdict, direction } = packet;
    if (!(interfaceId >= 0 && interfaceId < this.#interfaces)) {
      throw new SkepError(`interface ${interfaceId} was not added, there are ${this.#interfaces}`, {
        where: 'pcapng writer',
      });
    }
    if (data.length > MAX_CAPTURED_LENGTH) {
      throw new SkepError(`a packet of ${data.length} bytes is longer than ${MAX_CAPTURED_LENGTH}`, {
        where: 'pcapng writer',
      });
    }
    let options = (direction === undefined ? 0 : FLAGS_OPTION) + (verdict === undefined ? 0 : VERDICT_OPTION);
    if (options > 0) options += END_OF_OPTIONS;
    const at = this.#open(BlockType.EnhancedPacket, 20 + padded(data.length) + options);
    const view = this.#view;
    view.setUint32(at, interfaceId, true);
    view.setUint32(at + 4, Number((timestamp >> 32n) & 0xffffffffn), true);
    view.setUint32(at + 8, Number(timestamp & 0xffffffffn), true);
    view.setUint32(at + 12, data.length, true);
    view.setUint32(at + 16, originalLength, true);
    this.#bytes.set(data, at + 20);
    let option = at + 20 + padded(data.length);
    if (direction !== undefined) {
      view.setUint16(option, OptionCode.PacketFlags, true);
      view.setUint16(option + 2, 4, true);
      view.setUint32(option + 4, DIRECTION[direction], true);
      option += FLAGS_OPTION;
    }
    if (verdict === undefined) return;
    view.setUint16(option, OptionCode.PacketVerdict, true);
    view.setUint16(option + 2, 9, true);
    view.setUint8(option + 4, VERDICT_LINUX_XDP);
    view.setUint32(option + 5, verdict, true); // the upper half stays 0: an XDP program answers with 32 bits
  }

  /** Hands everything that is left to the sink. More may be written afterwards. */
  flush(): void {
    if (this.#used === 0) return;
    this.#sink(this.#bytes.subarray(0, this.#used));
    this.#bytes = new Uint8Array(CHUNK);
    this.#view = new DataView(this.#bytes.buffer);
    this.#used = 0;
  }

  /** Starts a block of `body` bytes (a multiple of 4, zeroed) and returns where its body starts. */
  #open(type: number, body: number): number {
    const length = body + 12;
    if (this.#used + length > this.#bytes.length) {
      this.flush();
      if (length > CHUNK) {
        this.#bytes = new Uint8Array(length);
        this.#view = new DataView(this.#bytes.buffer);
      }
    }
    const at = this.#used;
    this.#view.setUint32(at, type, true);
    this.#view.setUint32(at + 4, length, true);
    this.#view.setUint32(at + length - 4, length, true);
    this.#used += length;
    return at + 8;
  }

  #options(at: number, options: readonly [number, Uint8Array][]): void {
    for (const [code, value] of options) {
      this.#view.setUint16(at, code, true);
      this.#view.setUint16(at + 2, value.length, true);
      this.#bytes.set(value, at + 4);
      at += 4 + padded(value.length);
    }
  }
}

/** An option's text; its length field has 16 bits. */
const encode = (text: string): Uint8Array => new TextEncoder().encode(text.slice(0, 10_000));

/** Bytes of these options with the end mark; none for no options. */
const optionsLength = (options: readonly [number, Uint8Array][]): number =>
  options.length === 0 ? 0 : options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
