// The sections of the object that is being made.

import { SkepError } from '../../base/error.js';
import type { BtfSectionVar } from '../../btf/types.js';
import { type ElfSection, SectionType } from '../file.js';

/** A record of .BTF.ext: the instruction's offset in bytes, then the words that follow it. */
export type ExtRecord = number[];

export class OutputSection {
  readonly name: string;
  /** In the file; 0 for a section that only the types have. */
  index = 0;
  type = 0;
  flags = 0;
  entrySize = 0;
  alignment = 1;
  link = 0;
  info = 0;
  /** In bytes. */
  size = 0;
  /** The index of its section symbol; 0 before there is one. */
  symbol = 0;
  /** Whether the types have a DATASEC for it, if only an empty one. */
  hasDatasec = false;
  readonly vars: BtfSectionVar[] = [];
  readonly ext: Record<'func' | 'line' | 'core', ExtRecord[]> = { func: [], line: [], core: [] };
  #parts: { offset: number; bytes: Uint8Array }[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Gives the section a place in the file. */
  materialize(index: number, like: ElfSection): void {
    this.index = index;
    this.type = like.type;
    this.flags = like.flags;
    this.entrySize = like.entrySize;
    this.alignment = like.alignment;
  }

  /** Throws a SkepError when contents of `section` do not fit in here. */
  checkLike(section: ElfSection): void {
    const differs = (['type', 'flags', 'entrySize'] as const).find((field) => this[field] !== section[field]);
    if (this.index === 0 || differs === undefined) return;
    const names = { type: 'types', flags: 'flags', entrySize: 'sizes of an entry' } as const;
    throw new SkepError(
      `objects have different ${names[differs]} for it: ${this[differs]} and ${section[differs]}`,
      { where: `section '${this.name}'` },
    );
  }

  /** Adds contents at the section's alignment. Gives back where they begin. */
  append(section: ElfSection, contents: Uint8Array): number {
    this.alignment = Math.max(this.alignment, section.alignment, 1);
    const offset = Math.ceil(this.size / this.alignment) * this.alignment;
    if (section.type !== SectionType.Nobits) this.#parts.push({ offset, bytes: contents.slice() });
    this.size = offset + section.size;
    return offset;
  }

  /** The contents, with zeroes between the parts; undefined without any in the file. A view that may be changed. */
  get contents(): Uint8Array | undefined {
    if (this.type === SectionType.Nobits) return undefined;
    const [first] = this.#parts;
    if (this.#parts.length === 1 && first?.bytes.length === this.size) return first.bytes;
    const all = new Uint8Array(this.size);
    for (const { offset, bytes } of this.#parts) all.set(bytes, offset);
    this.#parts = [{ offset: 0, bytes: all }];
    return all;
  }
}
