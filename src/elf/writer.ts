// A relocatable ELF64 file from its sections:
//
//     header (64 bytes) | the sections' contents, each at its alignment | section headers (64 bytes each)
//
// Layout of the structures: the System V ABI's ELF-64.

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const EM_BPF = 247;
const ET_REL = 1;

export interface SectionToWrite {
  /** Offset of the name in the section of names. */
  nameOffset: number;
  type: number;
  flags: number;
  link: number;
  info: number;
  alignment: number;
  entrySize: number;
  /** In bytes. */
  size: number;
  /** Undefined for a section without contents (`Nobits`). */
  contents: Uint8Array | undefined;
}

/** A string table: each string once, in the order in which they were added; the empty one is at 0. */
export class StringTable {
  readonly #offsets = new Map<string, number>([['', 0]]);
  #size = 1;

  /** The offset of a string. */
  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#size;
    this.#offsets.set(text, offset);
    this.#size += utf8.encode(text).length + 1;
    return offset;
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(this.#size);
    for (const [text, offset] of this.#offsets) bytes.set(utf8.encode(text), offset);
    return bytes;
  }
}

const utf8 = new TextEncoder();
const aligned = (offset: number, alignment: number): number =>
  alignment > 1 ? Math.ceil(offset / alignment) * alignment : offset;

/** `names` is the index of the section with their names; indices count from 1, since the null section is written before. */
export function writeElf(
  sections: readonly SectionToWrite[],
  { littleEndian, names }: { littleEndian: boolean; names: number },
): Uint8Array {
  let end = HEADER_SIZE;
  const offsets = sections.map(({ alignment, size, contents }) => {
    const offset = aligned(end, alignment);
    end = offset + (contents === undefined ? 0 : size);
    return offset;
  });
  const headers = aligned(end, 8);
  const bytes = new Uint8Array(headers + (sections.length + 1) * SECTION_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, littleEndian);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, littleEndian);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), littleEndian);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, littleEndian ? 1 : 2, 1]);
  u16(16, ET_REL);
  u16(18, EM_BPF);
  u32(20, 1);
  u64(40, headers);
  u16(52, HEADER_SIZE);
  u16(58, SECTION_HEADER_SIZE);
  u16(60, sections.length + 1);
  u16(62, names);
  sections.forEach((section, i) => {
    const offset = offsets[i] ?? 0;
    if (section.contents) bytes.set(section.contents, offset);
    const at = headers + (i + 1) * SECTION_HEADER_SIZE;
    u32(at, section.nameOffset);
    u32(at + 4, section.type);
    u64(at + 8, section.flags);
    u64(at + 24, offset);
    u64(at + 32, section.size);
    u32(at + 40, section.link);
    u32(at + 44, section.info);
    u64(at + 48, section.alignment);
    u64(at + 56, section.entrySize);
  });
  return bytes;
}
