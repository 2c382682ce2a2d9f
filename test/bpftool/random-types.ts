// Types at random with values for them, for BTF that the kernel takes: every kind that a map's value can have, laid out
// as a C compiler would.

import fc from 'fast-check';
import { BtfBuilder, type BtfMember } from '../../src/btf/index.js';

/** A type before it is in BTF. */
type Shape =
  | { kind: 'int'; size: number; encoding: number; name: string }
  | { kind: 'enum'; size: number; signed: boolean; values: number[] }
  | { kind: 'enum64'; signed: boolean; values: bigint[] }
  | { kind: 'pointer'; to: 'void' | 'function' | 'forward' | 'int' }
  | { kind: 'array'; of: Shape; length: number }
  | { kind: 'text'; length: number }
  | { kind: 'struct' | 'union'; members: Member[]; named: boolean }
  | { kind: 'modified'; by: 'TYPEDEF' | 'CONST' | 'VOLATILE'; of: Shape };

interface Member {
  shape: Shape;
  /** Of a bit field. */
  bits?: number;
  named: boolean;
}

const int = (name: string, size: number, encoding = 0) => ({ kind: 'int' as const, name, size, encoding });

const ints = [
  int('unsigned char', 1),
  int('signed char', 1, 1),
  int('letter', 1, 2),
  int('unsigned short', 2),
  int('short', 2, 1),
  int('unsigned int', 4),
  int('int', 4, 1),
  int('unsigned long', 8),
  int('long', 8, 1),
  int('__int128', 16, 1),
  int('unsigned __int128', 16),
  int('_Bool', 1, 4),
];

/** Those of a whole number of bits that a field may take some of. */
const fieldTypes = ints.filter(({ encoding, size }) => encoding < 2 && size <= 8);

const small = fc.integer({ min: -3, max: 3 });

const { shape } = fc.letrec<{ shape: Shape; member: Member; leaf: Shape }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(...ints),
    fc.record({
      kind: fc.constant('enum' as const),
      size: fc.constantFrom(1, 2, 4, 8),
      signed: fc.boolean(),
      values: fc.uniqueArray(small, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      kind: fc.constant('enum64' as const),
      signed: fc.boolean(),
      values: fc.uniqueArray(
        small.map((value) => BigInt(value)),
        { minLength: 1, maxLength: 4 },
      ),
    }),
    fc.record({
      kind: fc.constant('pointer' as const),
      to: fc.constantFrom('void', 'function', 'forward', 'int'),
    }),
    fc.record({ kind: fc.constant('text' as const), length: fc.integer({ min: 1, max: 12 }) }),
  ),
  shape: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    tie('leaf'),
    fc.record({
      kind: fc.constantFrom('struct' as const, 'union' as const),
      members: fc.array(tie('member'), { minLength: 1, maxLength: 5 }),
      named: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('array' as const),
      of: tie('shape'),
      length: fc.integer({ min: 0, max: 3 }),
    }),
    fc.record({
      kind: fc.constant('modified' as const),
      by: fc.constantFrom('TYPEDEF' as const, 'CONST' as const, 'VOLATILE' as const),
      of: tie('shape'),
    }),
  ),
  member: fc.oneof(
    fc.record({ shape: tie('shape'), named: fc.boolean() }),
    fc.record({
      shape: fc.constantFrom<Shape>(...fieldTypes),
      bits: fc.integer({ min: 1, max: 64 }),
      named: fc.constant(true),
    }),
  ),
}));

/** A type and the bytes of some values. */
export const typesAndValues = fc.record({
  shape,
  seed: fc.uint8Array({ minLength: 64, maxLength: 64 }),
});

const align = (at: number, to: number): number => Math.ceil(at / to) * to;

/** Bytes that often are small numbers or text. */
export function valueBytes(seed: Uint8Array, size: number, turn: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const byte = seed[(i * 7 + turn * 13) % seed.length] ?? 0;
    bytes[i] = byte % 3 === 0 ? 0 : byte % 3 === 1 ? 97 + (byte % 26) : byte;
  }
  return bytes;
}

/** Puts shapes into BTF. */
export class TypeMaker {
  readonly builder = new BtfBuilder();
  readonly #known = new Map<string, number>();
  #count = 0;

  #fresh(prefix: string): string {
    return `${prefix}${++this.#count}`;
  }

  #int({ name, size, encoding }: { name: string; size: number; encoding: number }): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const id = this.builder.add({ kind: 'INT', name, size, encoding, bitOffset: 0, bits: size * 8 });
    this.#known.set(name, id);
    return id;
  }

  /** The id, size and alignment of the type. */
  add(type: Shape): { id: number; size: number; alignment: number } {
    const { builder } = this;
    switch (type.kind) {
      case 'int':
        return { id: this.#int(type), size: type.size, alignment: Math.min(type.size, 8) };
      case 'text': {
        const character = this.#int(int('char', 1, 1));
        const id = this.#array(character, type.length);
        return { id, size: type.length, alignment: 1 };
      }
      case 'enum': {
        const values = type.values.map((value, i) => ({ name: this.#fresh(`E${i}_`), value }));
        const { size, signed } = type;
        const id = builder.add({ kind: 'ENUM', name: this.#fresh('e'), size, signed, values });
        return { id, size, alignment: size };
      }
      case 'enum64': {
        const values = type.values.map((value, i) => ({ name: this.#fresh(`L${i}_`), value }));
        const id = builder.add({
          kind: 'ENUM64',
          name: this.#fresh('l'),
          size: 8,
          signed: type.signed,
          values,
        });
        return { id, size: 8, alignment: 8 };
      }
      case 'pointer':
        return {
          id: builder.add({ kind: 'PTR', name: '', type: this.#target(type.to) }),
          size: 8,
          alignment: 8,
        };
      case 'array': {
        const inner = this.add(type.of);
        const id = this.#array(inner.id, type.length);
        return { id, size: inner.size * type.length, alignment: inner.alignment };
      }
      case 'modified': {
        const inner = this.add(type.of);
        const id =
          type.by === 'TYPEDEF'
            ? builder.add({ kind: 'TYPEDEF', name: this.#fresh('t'), type: inner.id })
            : builder.add({ kind: type.by, name: '', type: inner.id });
        return { ...inner, id };
      }
      case 'struct':
      case 'union':
        return this.#composite(type.kind, type.members, type.named);
    }
  }

  #array(type: number, length: number): number {
    const indexType = this.#int(int('unsigned int', 4));
    return this.builder.add({ kind: 'ARRAY', name: '', type, indexType, length });
  }

  #target(to: 'void' | 'function' | 'forward' | 'int'): number {
    if (to === 'void') return 0;
    if (to === 'int') return this.#int(int('int', 4, 1));
    if (to === 'forward') return this.builder.add({ kind: 'FWD', name: this.#fresh('f'), union: false });
    const params = [{ name: '', type: this.#int(int('long', 8, 1)) }];
    return this.builder.add({ kind: 'FUNC_PROTO', name: '', returnType: 0, params });
  }

  #composite(kind: 'struct' | 'union', members: readonly Member[], named: boolean) {
    const made: BtfMember[] = [];
    let bit = 0;
    let end = 0;
    let alignment = 1;
    for (const member of members) {
      const inner = this.add(member.shape);
      const isField = member.bits !== undefined;
      const bits = Math.min(member.bits ?? 0, inner.size * 8);
      if (kind === 'union') bit = 0;
      // A bit field does not reach over the boundary of its type.
      const unit = inner.alignment * 8;
      if (!isField || Math.floor(bit / unit) !== Math.floor((bit + bits - 1) / unit)) bit = align(bit, unit);
      const anonymous = !member.named && (member.shape.kind === 'struct' || member.shape.kind === 'union');
      const name = anonymous ? '' : this.#fresh('m');
      made.push({ name, type: inner.id, bitOffset: bit, bitSize: bits });
      bit += isField ? bits : inner.size * 8;
      end = Math.max(end, bit);
      alignment = Math.max(alignment, inner.alignment);
    }
    const size = align(Math.ceil(end / 8), alignment);
    const id = this.builder.add({
      kind: kind === 'struct' ? 'STRUCT' : 'UNION',
      name: named ? this.#fresh('s') : '',
      size,
      kindFlag: true,
      members: made,
    });
    return { id, size, alignment };
  }
}
