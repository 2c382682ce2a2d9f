// Packets travel in blocks, as many as fit, because a promise and a few objects for each one would cost more
// than running a program on it. Within a block the packets lie one behind the other:
//
//     data      | packet 0 | packet 1     | packet 2 | ...
//     offsets   0          offsets[1]     offsets[2]   ... offsets[count] = data.length

/** Where packets were captured: a pcapng interface, or the one that a pcap file stands for. */
export interface CaptureInterface {
  /** LINKTYPE_* number; see LinkType. */
  readonly linkType: number;
  /** Longest packet that was captured, in bytes; 0 when there was no limit. */
  readonly snapLength: number;
  /** Its name (`eth0`), or an empty string when the file does not say. */
  readonly name: string;
}

/** Consecutive packets of a capture, all of one link type. It owns its memory. */
export interface PacketBlock {
  readonly count: number;
  /** LINKTYPE_* number of all packets of this block. */
  readonly linkType: number;
  /** The captured bytes of all packets, one behind the other. */
  readonly data: Uint8Array;
  /** `count + 1` places in `data`: packet i is offsets[i] (included) to offsets[i + 1] (excluded). */
  readonly offsets: Uint32Array;
  /** Nanoseconds since 1970-01-01 UTC; 0 where the file gives no time (simple packet blocks). */
  readonly timestamps: BigInt64Array;
  /** Lengths on the wire in bytes, which may be more than was captured. */
  readonly originalLengths: Uint32Array;
  /** Indices into `interfaces`. */
  readonly interfaceIds: Uint32Array;
  /** All interfaces of the file up to here, over all sections; it only grows from block to block. */
  readonly interfaces: readonly CaptureInterface[];
}

/** A block holds at most so many packets ... */
export const MAX_BLOCK_PACKETS = 1024;
/** ... and so many bytes. */
export const MAX_BLOCK_BYTES = 1 << 20;
/** Longest captured packet that is believed (what libpcap allows for Ethernet). */
export const MAX_CAPTURED_LENGTH = 262144;

const lowWord = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;

/** Collects packets until a block is full. Its buffers are reused; `take` copies what is in them. */
export class BlockBuilder {
  readonly interfaces: CaptureInterface[] = [];
  count = 0;
  #linkType = 0;
  #used = 0;
  #data = new Uint8Array(1 << 16); // grows up to MAX_BLOCK_BYTES when packets need it
  readonly #offsets = new Uint32Array(MAX_BLOCK_PACKETS + 1);
  readonly #timestamps = new BigInt64Array(MAX_BLOCK_PACKETS);
  readonly #words = new Uint32Array(this.#timestamps.buffer);
  readonly #originalLengths = new Uint32Array(MAX_BLOCK_PACKETS);
  readonly #interfaceIds = new Uint32Array(MAX_BLOCK_PACKETS);

  /** Whether a packet of `length` bytes and this link type goes into the block that is being built. */
  fits(length: number, linkType: number): boolean {
    if (this.count === 0) return true;
    return (
      this.count < MAX_BLOCK_PACKETS && this.#used + length <= MAX_BLOCK_BYTES && this.#linkType === linkType
    );
  }

  /**
   * Adds a packet, whose time is `high * 2^32 + low` nanoseconds. The caller has asked `fits` before, and
   * `length` is at most MAX_CAPTURED_LENGTH.
   */
  add(
    source: Uint8Array,
    start: number,
    length: number,
    originalLength: number,
    interfaceId: number,
    linkType: number,
    low: number,
    high: number,
  ): void {
    if (this.#used + length > this.#data.length) this.#grow(this.#used + length);
    const at = this.count++;
    this.#linkType = linkType;
    this.#data.set(source.subarray(start, start + length), this.#used);
    this.#used += length;
    this.#offsets[at + 1] = this.#used;
    this.#words[2 * at + lowWord] = low;
    this.#words[2 * at + 1 - lowWord] = high;
    this.#originalLengths[at] = originalLength;
    this.#interfaceIds[at] = interfaceId;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, Math.min(4 * this.#data.length, MAX_BLOCK_BYTES)));
    larger.set(this.#data.subarray(0, this.#used));
    this.#data = larger;
  }

  /** The block with all packets so far; the builder is empty afterwards. */
  take(): PacketBlock {
    const count = this.count;
    const block: PacketBlock = {
      count,
      linkType: this.#linkType,
      data: this.#data.slice(0, this.#used),
      offsets: this.#offsets.slice(0, count + 1),
      timestamps: this.#timestamps.slice(0, count),
      originalLengths: this.#originalLengths.slice(0, count),
      interfaceIds: this.#interfaceIds.slice(0, count),
      interfaces: this.interfaces,
    };
    this.count = 0;
    this.#used = 0;
    return block;
  }
}
