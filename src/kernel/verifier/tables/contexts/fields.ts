// The words that contexts are written in, and the one rule that reads them.

import type { AttachType } from '../../../../bpf/types.js';
import type { ContextDefinition, ContextField, ContextPointer, FieldAccess, SizeRule } from '../types.js';

/** A 32-bit number that can be read whole or in part. */
export const u32 = (name: string, offset: number): ContextField => ({
  name,
  offset,
  size: 4,
  read: { sizes: 'narrow' },
});
/** A number of `size` bytes that can only be read whole. */
export const whole = (name: string, offset: number, size = 4): ContextField => ({
  name,
  offset,
  size,
  read: { sizes: 'exact' },
});
/** Elements of 32 bits, each of which can only be read whole. */
export const words = (name: string, offset: number, count: number): ContextField => ({
  name,
  offset,
  size: 4 * count,
  unit: 4,
  read: { sizes: 'exact' },
});
/** A pointer, read as `size` bytes. */
export const pointer = (name: string, offset: number, yields: ContextPointer, size = 8): ContextField => ({
  name,
  offset,
  size,
  read: { sizes: 'exact' },
  yields,
});

export const packetStart: ContextPointer = { kind: 'packet' };
export const packetEnd: ContextPointer = { kind: 'packet-end' };
export const packetMeta: ContextPointer = { kind: 'packet-meta' };
export const socket: ContextPointer = { kind: 'socket' };
export const socketOrNull: ContextPointer = { kind: 'socket', nullable: true };
export const sockCommonOrNull: ContextPointer = { kind: 'sock-common', nullable: true };

/** The same field with another way to write it; none: read only. */
export const writable = (
  field: ContextField,
  sizes: SizeRule = 'exact',
  attach?: readonly AttachType[],
): ContextField => ({ ...field, write: attach ? { sizes, attach } : { sizes } });

/** The same field for these attach types alone. */
export const only = (field: ContextField, attach: readonly AttachType[]): ContextField => ({
  ...field,
  ...(field.read ? { read: { ...field.read, attach } } : {}),
  ...(field.write ? { write: { ...field.write, attach } } : {}),
});

export interface Access {
  readonly offset: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly size: number;
  readonly write: boolean;
  /** LDSX. */
  readonly signExtend?: boolean;
  /** The loader has no CAP_BPF. */
  readonly unprivileged?: boolean;
}

/** What an allowed access is to: the field, and the pointer that a load gives. */
export interface AllowedAccess {
  readonly field?: ContextField;
  readonly yields?: ContextPointer;
}

const packetPointer = (field: ContextField): boolean => field.yields?.kind.startsWith('packet') ?? false;

function fits(rule: FieldAccess, field: ContextField, { offset, size }: Access): boolean {
  const at = offset - field.offset;
  const unit = field.unit ?? field.size;
  if (at === 0 && size === rule.orBytes) return true;
  if (at + size > field.size || size < (rule.atLeast ?? 0)) return false;
  const inUnit = (at % unit) + size <= unit;
  switch (rule.sizes) {
    case 'exact':
      return size === unit && at % unit === 0;
    case 'narrow':
      return inUnit;
    case 'narrow-at-start':
      return inUnit && at === 0;
    case 'exact-or-wide':
      return (size === unit && at % unit === 0) || size === 8;
    case 'narrow-or-wide':
      return inUnit || size === 8;
    case 'any':
      return true;
  }
}

/**
 * Whether a context may be accessed, and what the access is to; undefined: `invalid bpf_context access`. Contexts of
 * arguments are typed by BTF and are not decided here.
 */
export function contextAccess(
  context: Exclude<ContextDefinition, { kind: 'arguments' | 'target' }>,
  access: Access,
  attach: AttachType,
): AllowedAccess | undefined {
  const { offset, size, write } = access;
  if (offset < 0 || offset % size !== 0) return undefined;
  const field = context.fields?.find((one) => offset >= one.offset && offset < one.offset + one.size);
  if (field) {
    const rule = write ? field.write : field.read;
    if (!rule || (rule.attach && !rule.attach.includes(attach)) || !fits(rule, field, access))
      return undefined;
    if (access.signExtend && packetPointer(field)) return undefined;
    if (access.unprivileged && rule.capability) return undefined;
    return !write && field.yields ? { field, yields: field.yields } : { field };
  }
  if (context.kind === 'fields' || (write && !context.writable)) return undefined;
  return offset >= context.from && offset + size <= context.size ? {} : undefined;
}
