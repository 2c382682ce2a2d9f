// The 19 kinds of BTF as plain values. Each type begins with three 32-bit words,
//
//     name_off
//     info:  kind_flag(31)  reserved(29..30)  kind(24..28)  reserved(16..23)  vlen(0..15)
//     size (bytes) or type (id)
//
// and the kind says what follows. Source of the layout: the kernel's Documentation/bpf/btf.rst.

/** The kinds by their number; the names are those that `bpftool btf dump` prints. */
export const btfKinds = [
  'VOID',
  'INT',
  'PTR',
  'ARRAY',
  'STRUCT',
  'UNION',
  'ENUM',
  'FWD',
  'TYPEDEF',
  'VOLATILE',
  'CONST',
  'RESTRICT',
  'FUNC',
  'FUNC_PROTO',
  'VAR',
  'DATASEC',
  'FLOAT',
  'DECL_TAG',
  'TYPE_TAG',
  'ENUM64',
] as const;

export type BtfKindName = (typeof btfKinds)[number];

/** The number of each kind, as it stands in the info word. */
export const BtfKind = {
  Void: 0,
  Int: 1,
  Ptr: 2,
  Array: 3,
  Struct: 4,
  Union: 5,
  Enum: 6,
  Fwd: 7,
  Typedef: 8,
  Volatile: 9,
  Const: 10,
  Restrict: 11,
  Func: 12,
  FuncProto: 13,
  Var: 14,
  Datasec: 15,
  Float: 16,
  DeclTag: 17,
  TypeTag: 18,
  Enum64: 19,
} as const;

/** The encoding bits of an INT. */
export const IntEncoding = { Signed: 1, Char: 2, Bool: 4 } as const;

/** Linkage of a FUNC or VAR by its number; the words are bpftool's. */
export const funcLinkages = ['static', 'global', 'extern'] as const;
export const varLinkages = ['static', 'global', 'extern'] as const;
export type BtfLinkage = 'static' | 'global' | 'extern';

/** Type id 0. */
export interface BtfVoid {
  readonly kind: 'VOID';
  readonly id: number;
  readonly name: '';
}

export interface BtfInt {
  readonly kind: 'INT';
  readonly id: number;
  readonly name: string;
  /** In bytes: 1, 2, 4, 8 or 16. */
  readonly size: number;
  /** The `IntEncoding` bits. */
  readonly encoding: number;
  /** Where the value begins within its bytes, in bits; 0 in practice. */
  readonly bitOffset: number;
  /** Width of the value in bits. */
  readonly bits: number;
}

/** Kinds that only refer to another type. */
export interface BtfReference {
  readonly kind: 'PTR' | 'VOLATILE' | 'CONST' | 'RESTRICT';
  readonly id: number;
  readonly name: string;
  readonly type: number;
}

export interface BtfTypedef {
  readonly kind: 'TYPEDEF';
  readonly id: number;
  readonly name: string;
  readonly type: number;
}

export interface BtfTypeTag {
  readonly kind: 'TYPE_TAG';
  readonly id: number;
  /** The tag itself: `user`, `rcu`. */
  readonly name: string;
  readonly type: number;
  /** kind_flag: the name is a whole attribute, not the argument of `btf_type_tag`. */
  readonly attribute: boolean;
}

export interface BtfArray {
  readonly kind: 'ARRAY';
  readonly id: number;
  readonly name: string;
  /** Type id of an element. */
  readonly type: number;
  readonly indexType: number;
  readonly length: number;
}

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  /** From the start of the struct, in bits. */
  readonly bitOffset: number;
  /** Width of a bit field that the struct itself declares (kind_flag), else 0. */
  readonly bitSize: number;
}

export interface BtfComposite {
  readonly kind: 'STRUCT' | 'UNION';
  readonly id: number;
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Whether the offset words hold bit field sizes. */
  readonly kindFlag: boolean;
  readonly members: readonly BtfMember[];
}

export interface BtfEnumerator {
  readonly name: string;
  /** Signed or unsigned as the enum says. */
  readonly value: number;
}

export interface BtfEnum {
  readonly kind: 'ENUM';
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumerator[];
}

export interface BtfEnumerator64 {
  readonly name: string;
  readonly value: bigint;
}

export interface BtfEnum64 {
  readonly kind: 'ENUM64';
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly BtfEnumerator64[];
}

export interface BtfFwd {
  readonly kind: 'FWD';
  readonly id: number;
  readonly name: string;
  readonly union: boolean;
}

export interface BtfFunc {
  readonly kind: 'FUNC';
  readonly id: number;
  readonly name: string;
  /** Type id of the FUNC_PROTO. */
  readonly type: number;
  readonly linkage: BtfLinkage;
}

export interface BtfParam {
  readonly name: string;
  readonly type: number;
}

export interface BtfFuncProto {
  readonly kind: 'FUNC_PROTO';
  readonly id: number;
  readonly name: string;
  readonly returnType: number;
  /** A last parameter without name and type stands for `...`. */
  readonly params: readonly BtfParam[];
}

export interface BtfVar {
  readonly kind: 'VAR';
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly linkage: BtfLinkage;
}

export interface BtfSectionVar {
  /** Type id of the VAR, or of the FUNC in `.ksyms`. */
  readonly type: number;
  /** In bytes; 0 until the object is linked. */
  readonly offset: number;
  readonly size: number;
}

export interface BtfDatasec {
  readonly kind: 'DATASEC';
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly vars: readonly BtfSectionVar[];
}

export interface BtfFloat {
  readonly kind: 'FLOAT';
  readonly id: number;
  readonly name: string;
  readonly size: number;
}

export interface BtfDeclTag {
  readonly kind: 'DECL_TAG';
  readonly id: number;
  /** The tag itself. */
  readonly name: string;
  readonly type: number;
  /** Member or parameter that is tagged, or -1 for the type itself. */
  readonly componentIndex: number;
  /** kind_flag: the name is a whole attribute, not the argument of `btf_decl_tag`. */
  readonly attribute: boolean;
}

export type BtfType =
  | BtfVoid
  | BtfInt
  | BtfReference
  | BtfTypedef
  | BtfTypeTag
  | BtfArray
  | BtfComposite
  | BtfEnum
  | BtfEnum64
  | BtfFwd
  | BtfFunc
  | BtfFuncProto
  | BtfVar
  | BtfDatasec
  | BtfFloat
  | BtfDeclTag;
