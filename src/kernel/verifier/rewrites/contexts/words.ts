// The words that conversions of context accesses are written in. A path names fields of the kernel's structures, from the
// context on: `['xdp_buff.rxq', 'xdp_rxq_info.dev', 'net_device.ifindex']` follows two pointers.

import type { InsnFields } from '../code.js';
import { type Bytes, jumpImm, load, store, storeAs } from '../emit.js';
import { bytesOf, type KernelLayout } from '../layout.js';

/** An access to a field of the context. */
export interface ContextAccess {
  /** The load or store. A narrow load is made as wide as the field before. */
  readonly insn: InsnFields;
  readonly write: boolean;
  /** Bytes from the beginning of the field, of an array. */
  readonly at: number;
  /** Bytes that the instruction accesses. */
  readonly size: Bytes;
  readonly layout: KernelLayout;
  /** The program reads `tstamp_type`, so it knows that `tstamp` is not always what it was. */
  readonly knowsTimestamps: boolean;
}

/** What an access becomes. */
export interface Converted {
  readonly insns: InsnFields[];
  /** Bytes that the kernel's own field has; what is narrower is cut out of it. */
  readonly target: number;
}

export type Conversion = (access: ContextAccess) => Converted;

/** How many bytes the last load of a path has: as the kernel's field, or as the program asks. */
export type Width = 'field' | 'access';

/** One structure that names another field for each field of the context. */
export type Conversions = Readonly<Record<string, Conversion>>;

const one = (path: string | readonly string[]): readonly string[] =>
  typeof path === 'string' ? [path] : path;

/** Loads along a path into the destination. */
export function follow(
  { insn, at, size, layout }: ContextAccess,
  path: string | readonly string[],
  width: Width = 'field',
): Converted {
  const { dst } = insn;
  let from = insn.src;
  let target = 0;
  const fields = one(path);
  const insns = fields.map((name, i) => {
    const field = layout.field(name);
    const last = i === fields.length - 1;
    target = width === 'access' ? size : field.size;
    const bytes = last && width === 'access' ? size : bytesOf(field);
    const loaded = load(bytes, dst, from, field.offset + (last ? at : 0));
    from = dst;
    return loaded;
  });
  return { insns, target };
}

/** Reads along a path. */
export const read =
  (path: string | readonly string[], width: Width = 'field'): Conversion =>
  (access) =>
    follow(access, path, width);

/** Reads along a path whose last pointer may be null: then 0 is read. */
export const readIfThere =
  (...path: readonly string[]): Conversion =>
  (access) => {
    const { insns, target } = follow(access, path);
    const last = insns.pop();
    return { insns: [...insns, jumpImm('JEQ', access.insn.dst, 0, 1), ...(last ? [last] : [])], target };
  };

/** Reads and writes a field of the context's own structure. */
export const field =
  (name: string, width: Width = 'field'): Conversion =>
  (access) => {
    if (!access.write) return follow(access, name, width);
    const { insn, at, size, layout } = access;
    const { offset } = layout.field(name);
    const bytes = width === 'access' ? size : bytesOf(layout.field(name));
    return { insns: [storeAs(insn, bytes, insn.dst, offset + at)], target: bytes };
  };

/** A register that the instruction does not use, from r9 down. */
export function spare({ dst, src }: InsnFields): number {
  let register = 9;
  while (register === dst || register === src) register--;
  return register;
}

/**
 * A write along a path. It needs a register for the pointers on the way; one is saved in `temp`, a field of the context
 * for that alone. An empty name is the beginning of what the pointer before it leads to.
 */
export function writeThrough(
  access: ContextAccess,
  temp: string,
  path: readonly string[],
  bytes: Bytes,
): Converted {
  const { insn, at, layout } = access;
  const register = spare(insn);
  const saved = layout.offset(temp);
  let from = insn.dst;
  const loads = path.slice(0, -1).map((name) => {
    const pointer = load(8, register, from, layout.offset(name));
    from = register;
    return pointer;
  });
  const name = path[path.length - 1] ?? '';
  const last = (name === '' ? 0 : layout.offset(name)) + at;
  return {
    insns: [
      store(8, insn.dst, register, saved),
      ...loads,
      storeAs(insn, bytes, register, last),
      load(8, register, insn.dst, saved),
    ],
    target: bytes,
  };
}

/** Reads a path, and writes it with the help of `temp`. */
export const through =
  (temp: string, path: readonly string[], width: Width = 'field'): Conversion =>
  (access) => {
    if (!access.write) return follow(access, path, width);
    const bytes =
      width === 'access' ? access.size : bytesOf(access.layout.field(path[path.length - 1] as string));
    return writeThrough(access, temp, path, bytes);
  };
