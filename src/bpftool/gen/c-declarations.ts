// Sections of variables as C structures.

import { Alignment } from '../../btf/align.js';
import { Btf } from '../../btf/btf.js';
import { CText } from '../../btf/c-text.js';
import { BtfBuilder } from '../../btf/encode.js';
import { withTypeIds } from '../../btf/references.js';
import type { BtfType } from '../../btf/types.js';
import { type DescribedMap, identifierOf } from './described.js';

const QUALIFIERS: ReadonlySet<BtfType['kind']> = new Set(['CONST', 'VOLATILE', 'RESTRICT']);

/** What the alignment of a member may be relied on to be where nothing is known of the machine that compiles. */
const LARGEST_ALIGNMENT = 4;

/** C declarations of the types of one object. */
export class Declarations {
  readonly #btf: Btf;
  readonly #unqualified: Btf;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#unqualified = withoutQualifiers(btf);
  }

  /** `type name`, as a member at this depth. Constants of the program are no constants for who sets them. */
  of(typeId: number, name: string, level: number, keepQualifiers = false): string {
    const btf = keepQualifiers ? this.#btf : this.#unqualified;
    const text = new CText(btf, new Alignment(btf));
    text.declaration(keepQualifiers ? typeId : skipQualifiers(btf, typeId), name, level);
    return text.toString();
  }

  /** Whether a pointer to the type is written around it: `int (*x)[3]`. */
  wrapsName(typeId: number): boolean {
    const type = this.#btf.type(this.#btf.skipModifiers(typeId));
    if (type.kind === 'ARRAY') return true;
    return type.kind === 'PTR' && this.#btf.kind(type.type) === 'FUNC_PROTO';
  }

  /** In bytes; undefined for a type that has none. */
  sizeOf(typeId: number): number {
    return this.#btf.sizeOf(typeId);
  }

  /** The members of a section's structure, each as a line without its end. */
  members({ variables = [], spec }: DescribedMap): string[] {
    const alignment = new Alignment(this.#btf);
    const lines: string[] = [];
    let end = 0;
    let pads = 0;
    for (const { name, typeId, offset, size } of variables) {
      const align = Math.min(alignment.of(typeId) || 1, LARGEST_ALIGNMENT);
      if (Math.ceil(end / align) * align !== offset) lines.push(`char __pad${pads++}[${offset - end}]`);
      lines.push(this.of(typeId, identifierOf(name), 2, spec.section?.kind === 'kconfig'));
      end = offset + size;
    }
    return lines;
  }
}

const skipQualifiers = (btf: Btf, id: number): number => {
  let at = id;
  for (let type = btf.type(at); QUALIFIERS.has(type.kind) && 'type' in type; type = btf.type(at))
    at = type.type;
  return at;
};

/** The same types, with references that pass by `const`, `volatile` and `restrict`. */
function withoutQualifiers(btf: Btf): Btf {
  const builder = new BtfBuilder({ littleEndian: btf.littleEndian, strings: btf.strings.bytes });
  for (let id = 1; id < btf.typeCount; id++) {
    builder.add(withTypeIds(btf.type(id), (other) => skipQualifiers(btf, other)));
  }
  return Btf.parse(builder.encode());
}
