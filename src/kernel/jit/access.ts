// Loads, stores and atomics. In checked mode each access is first proven or checked, by where its pointer comes
// from (analysis.ts): a frame slot, a context field or a global variable needs no check at run time, a packet
// access one comparison, and only what is not known asks the runtime.

import type { Semantics } from '../../isa/table.js';
import { layout, POINTER_BASE } from '../memory/memory.js';
import { swap32 } from './alu.js';
import type { FunctionProvenance } from './analysis.js';
import type { Element } from './lookup.js';
import type { Provenance } from './provenance.js';
import { FRAME, type Translator } from './translator.js';
import { I32, I64, Op } from './wasm.js';
import type { PacketWindow } from './window.js';

/** Results of lookups, kept to check what is derived from them; by the slot of the lookup. */
export type ElementBases = ReadonlyMap<number, number>;

export interface AccessContext {
  readonly t: Translator;
  /** Present in checked mode when the function touches a packet. */
  readonly window: PacketWindow | undefined;
  readonly bases: ElementBases;
  /** What the inlined lookups so far found, by their slots. */
  readonly elements: Map<number, Element>;
  readonly provenance: FunctionProvenance;
  /** What stores put into the frame that is read again, by their slots. */
  readonly stored: ReadonlyMap<number, number>;
  /** Stores into the frame that need not be made. */
  readonly unread: ReadonlySet<number>;
}

/** Ends the run. */
export function fault(
  t: Translator,
  kind: number,
  slot: number,
  pushAddress: () => void,
  size: number,
): void {
  t.pushCpu();
  t.body.i32(kind).i32(slot);
  pushAddress();
  t.body.i32(size).call(t.callees.runtime.fault).op(Op.unreachable);
}

/** Calls the runtime's check, which returns only when the access is allowed. */
function checkInRuntime(
  t: Translator,
  slot: number,
  r: number,
  offset: number,
  size: number,
  write: boolean,
): void {
  t.pushCpu();
  t.push(r);
  if (offset !== 0) t.body.i64(offset).op(Op.i64_add);
  t.body
    .i32(size)
    .i32(write ? 1 : 0)
    .i32(slot)
    .call(t.callees.runtime.check_access);
}

/** Whether the program's own comparisons show that a packet access is inside. */
export function isCovered(p: Provenance, offset: number, size: number): boolean {
  if (p?.kind !== 'packet' || p.id === undefined || p.nullable || p.offset === undefined) return false;
  return p.offset + offset >= 0 && p.offset + offset + p.slack + size <= p.range;
}

/** Whether all of these bytes of the context may be written. */
function mayWrite(t: Translator, from: number, size: number): boolean {
  const { writable } = t.code.context;
  for (let at = from; at < from + size; at++) {
    if (!(((writable[at >> 3] ?? 0) >> (at & 7)) & 1)) return false;
  }
  return from >= 0;
}

/** Checks an access in checked mode; whether the check already shows that it always fails does not matter. */
function check(
  a: AccessContext,
  slot: number,
  r: number,
  offset: number,
  size: number,
  write: boolean,
): void {
  const { t } = a;
  const { body } = t;
  const p = t.provenance(slot, r);
  const inRuntime = () => checkInRuntime(t, slot, r, offset, size, write);
  const within = (at: number, slack: number, length: number) => at >= 0 && at + slack + size <= length;
  /** Runs the runtime's check when `r - base + offset` is not below `limit`. */
  const unlessBelow = (pushBase: () => void, limit: number) => {
    t.push(r);
    pushBase();
    body.op(Op.i64_sub);
    if (offset !== 0) body.i64(offset).op(Op.i64_add);
    body.i64(Math.max(limit, 0)).op(Op.i64_ge_u).openUnlikely();
    inRuntime();
    body.end();
  };
  switch (p?.kind) {
    case 'stack':
      if (p.offset === undefined) {
        unlessBelow(
          () => {
            body.get(t.frame).op(Op.i64_extend_i32_u).i64big(POINTER_BASE).op(Op.i64_or);
          },
          FRAME - size + 1,
        );
      } else if (!within(FRAME + p.offset + offset, p.slack, FRAME)) inRuntime();
      return;
    case 'ctx':
      if (
        write ? !mayWrite(t, p.offset + offset, size) : !within(p.offset + offset, 0, t.code.context.size)
      ) {
        inRuntime();
      }
      return;
    case 'packet':
    case 'packet-end':
      if (isCovered(p, offset, size)) return;
      if (!a.window) throw new Error('a packet access without a window');
      a.window.pushOutside(r, offset, size);
      body.openUnlikely();
      inRuntime();
      // From a base that is not known it may be a pointer to something else, which the runtime allows.
      if (p.kind === 'packet' && p.id !== undefined && p.offset !== undefined) body.op(Op.unreachable);
      body.end();
      return;
    case 'value': {
      const { map } = p;
      if (!(write ? map.writable : map.readable)) inRuntime();
      else if (p.offset === undefined) {
        unlessBelow(() => body.i64big(POINTER_BASE + BigInt(map.values)), map.valueSize - size + 1);
      } else if (!within(p.offset + offset, p.slack, map.valueSize)) inRuntime();
      return;
    }
    case 'element': {
      const { map } = p;
      const base = a.bases.get(p.site);
      if (!(write ? map.writable : map.readable)) inRuntime();
      else if (p.offset !== undefined) {
        if (!within(p.offset + offset, p.slack, map.valueSize)) inRuntime();
        else if (!p.nonNull) {
          // Not before the element, so that what is below the upper half was null.
          t.push(r);
          if (offset !== 0) body.i64(offset).op(Op.i64_add);
          body.op(Op.i64_const).signed64(0x100000000n).op(Op.i64_lt_u).openUnlikely();
          inRuntime();
          body.end();
        }
      } else if (p.nonNull && base !== undefined) {
        unlessBelow(() => body.get(base), map.valueSize - size + 1);
      } else inRuntime();
      return;
    }
    default:
      inRuntime();
  }
}

/** Checks the access, pushes its address (i32) and returns the constant to be added by the memory instruction. */
export function pushAddress(
  a: AccessContext,
  slot: number,
  r: number,
  offset: number,
  size: number,
  write: boolean,
): number {
  const { t } = a;
  if (t.code.arena?.accesses.has(slot)) {
    t.pushCpu();
    t.push32(r);
    if (offset !== 0) t.body.i32(offset).op(Op.i32_add);
    t.body
      .i32(size)
      .i32(write ? 1 : 0)
      .i32(slot)
      .call(t.callees.runtime.arena_address);
    return 0;
  }
  if (t.options.checked) check(a, slot, r, offset, size, write);
  const p = t.provenance(slot, r);
  if (p?.kind === 'stack' && p.offset !== undefined && p.slack === 0 && FRAME + p.offset + offset >= 0) {
    t.body.get(t.frame);
    return FRAME + p.offset + offset;
  }
  if (p?.kind === 'value' && p.offset !== undefined && p.slack === 0) {
    t.body.i32(p.map.values + p.offset + offset);
    return 0;
  }
  const element = p?.kind === 'element' && p.nonNull && p.slack === 0 ? a.elements.get(p.site) : undefined;
  if (p?.kind === 'element' && element && p.offset !== undefined && p.offset + offset >= 0) {
    t.body.get(element.address);
    return p.offset + offset;
  }
  t.push32(r);
  if (offset >= 0) return offset;
  t.body.i32(offset).op(Op.i32_add);
  return 0;
}

/** Loads that zero-extend, by size, into an i64. */
const LOADS: Record<number, Op> = {
  1: Op.i64_load8_u,
  2: Op.i64_load16_u,
  4: Op.i64_load32_u,
  8: Op.i64_load,
};
const SIGNED_LOADS: Record<number, Op> = { 1: Op.i64_load8_s, 2: Op.i64_load16_s, 4: Op.i64_load32_s };
/** The same into an i32. */
const NARROW_LOADS: Record<number, Op> = { 1: Op.i32_load8_u, 2: Op.i32_load16_u, 4: Op.i32_load };
const STORES: Record<number, Op> = {
  1: Op.i64_store8,
  2: Op.i64_store16,
  4: Op.i64_store32,
  8: Op.i64_store,
};
const NARROW_STORES: Record<number, Op> = { 1: Op.i32_store8, 2: Op.i32_store16, 4: Op.i32_store };

const ofSize = (ops: Record<number, Op>, size: number): Op => {
  const op = ops[size];
  if (op === undefined) throw new Error(`no memory access of ${size} bytes`);
  return op;
};

/** Pushes what the instruction at `slot` reads from the frame, if the store that put it there has kept it. */
export function pushKept(a: AccessContext, slot: number): boolean {
  const by = a.provenance.reads.get(slot)?.by;
  const local = by === undefined ? undefined : a.stored.get(by);
  if (local === undefined) return false;
  a.t.body.get(local);
  return true;
}

/** Keeps what the store at `slot` is about to write. */
function keep(a: AccessContext, slot: number): void {
  const local = a.stored.get(slot);
  if (local !== undefined) a.t.body.tee(local);
}

/** `dst = *(size *)(src + offset)`. */
export function load(a: AccessContext, slot: number, size: number, signed: boolean): void {
  const { t } = a;
  const { insn } = t.step(slot);
  if (pushKept(a, slot)) {
    if (size === 8) t.pop(insn.dst);
    else t.pop32(insn.dst);
    return;
  }
  const offset = pushAddress(a, slot, insn.src, insn.offset, size, false);
  if (signed || size === 8) {
    t.body.memory(ofSize(signed ? SIGNED_LOADS : LOADS, size), offset);
    t.pop(insn.dst);
  } else {
    t.body.memory(ofSize(NARROW_LOADS, size), offset);
    t.pop32(insn.dst);
  }
}

/** `*(size *)(dst + offset) = src` or an immediate. */
export function store(a: AccessContext, slot: number, size: number, operand: 'imm' | 'reg'): void {
  const { t } = a;
  const { insn } = t.step(slot);
  if (a.unread.has(slot)) {
    const local = a.stored.get(slot);
    if (local === undefined) return;
    if (operand === 'reg') size === 8 ? t.push(insn.src) : t.push32(insn.src);
    else t.body.given(insn.imm, size === 8);
    t.body.set(local);
    return;
  }
  const offset = pushAddress(a, slot, insn.dst, insn.offset, size, true);
  if (size === 8) {
    if (operand === 'reg') t.push(insn.src);
    else t.body.given(insn.imm, true);
    keep(a, slot);
    t.body.memory(Op.i64_store, offset);
  } else {
    if (operand === 'reg') t.push32(insn.src);
    else t.body.given(insn.imm, false);
    keep(a, slot);
    t.body.memory(ofSize(NARROW_STORES, size), offset);
  }
}

/**
 * Read, modify, write. The memory belongs to one CPU, so plain loads and stores are atomic already.
 * A 32-bit operation returns the old value zero-extended.
 */
export function atomic(a: AccessContext, slot: number, does: Extract<Semantics, { kind: 'atomic' }>): void {
  const { t } = a;
  const { body } = t;
  const { insn } = t.step(slot);
  const { op, size, fetch } = does;
  const address = t.scratch(I32);
  const old = t.scratch(I64);
  const offset = pushAddress(a, slot, insn.dst, insn.offset, size, true);
  body.set(address);
  body.get(address).memory(ofSize(LOADS, size), offset).set(old);
  if (op === 'cmpxchg') {
    body.get(old);
    t.push(0);
    if (size === 4) body.i64(0xffffffff).op(Op.i64_and);
    body.op(Op.i64_eq).open(Op.if).get(address);
    t.push(insn.src);
    body.memory(ofSize(STORES, size), offset).end().get(old);
    t.pop(0);
    return;
  }
  body.get(address);
  if (op === 'xchg') t.push(insn.src);
  else {
    body.get(old);
    t.push(insn.src);
    body.op({ add: Op.i64_add, or: Op.i64_or, and: Op.i64_and, xor: Op.i64_xor }[op]);
  }
  body.memory(ofSize(STORES, size), offset);
  if (fetch) {
    body.get(old);
    t.pop(insn.src);
  }
}

/**
 * Legacy packet access: network byte order, from the packet's start; outside the packet it ends the function with 0
 * (RFC 9669, section 5.1; Linux, bpf_gen_ld_abs). Where a negative offset leads, the runtime knows.
 */
export function packetLoad(t: Translator, slot: number, size: number, indirect: boolean): void {
  const { insn } = t.step(slot);
  const { body } = t;
  const { data, packetEnd } = t.code.context.frame;
  const at = t.scratch(I32, 1);
  const address = t.scratch(I32, 2);
  body.given(insn.imm, false);
  if (indirect) {
    t.push32(insn.src);
    body.op(Op.i32_add);
  }
  body.set(at);
  const ofFrame = (field: number) => {
    t.loadCpu(layout.Cpu_ctx);
    body.memory(Op.i32_load, field);
  };
  body.get(at).op(Op.i64_extend_i32_u).i64(size).op(Op.i64_add);
  ofFrame(packetEnd);
  ofFrame(data);
  body.op(Op.i32_sub).op(Op.i64_extend_i32_u).op(Op.i64_gt_u).open(Op.if);
  t.pushCpu();
  body.get(at).i32(size).call(t.callees.runtime.packet_address).tee(address);
  body.op(Op.i32_eqz).open(Op.if).i64(0);
  t.pop(0);
  t.leave();
  body.end().else();
  ofFrame(data);
  body.get(at).op(Op.i32_add).set(address).end();
  body.get(address).memory(ofSize(NARROW_LOADS, size), 0);
  if (size > 1) swap32(t, size === 2 ? 16 : 32);
  t.pop32(0);
}
