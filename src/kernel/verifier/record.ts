// Special fields of a map value or an allocated object (Linux: struct btf_record): memory that a program may not touch
// as bytes.

import type { Btf } from '../../btf/index.js';

export type SpecialKind =
  | 'spin-lock'
  | 'res-spin-lock'
  | 'timer'
  | 'workqueue'
  | 'task-work'
  | 'kptr-unref'
  | 'kptr-ref'
  | 'kptr-percpu'
  | 'uptr'
  | 'list-head'
  | 'list-node'
  | 'rb-root'
  | 'rb-node'
  | 'refcount';

export interface SpecialField {
  readonly kind: SpecialKind;
  /** Bytes from the beginning of the value. */
  readonly offset: number;
  readonly size: number;
  /** Of a kernel pointer: what it points to; of a list or tree: what its nodes are in. */
  readonly btf?: Btf;
  readonly btfId?: number;
  /** Of a list or tree: offset of the node in what it holds. */
  readonly nodeOffset?: number;
}

export interface BtfRecord {
  /** By ascending offset. */
  readonly fields: readonly SpecialField[];
}

/** The field of one of these kinds; undefined when there is none. */
export const fieldOf = (record: BtfRecord | undefined, ...kinds: SpecialKind[]): SpecialField | undefined =>
  record?.fields.find(({ kind }) => kinds.includes(kind));

/** The special field that begins at `offset`. */
export const fieldAt = (record: BtfRecord | undefined, offset: number): SpecialField | undefined =>
  record?.fields.find((field) => field.offset === offset);
