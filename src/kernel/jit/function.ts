// One function of a program, from its graph to a WebAssembly body.

import { layout } from '../memory/memory.js';
import { type AccessContext, atomic, isCovered, load, packetLoad, store } from './access.js';
import { compute, extend, pushCondition } from './alu.js';
import type { FunctionProvenance, Provenances } from './analysis.js';
import type { Callees, Subprogram } from './callees.js';
import { helperCall, kfuncCall, localCall } from './calls.js';
import { type Block, blockOf, type Item } from './cfg.js';
import { type Code, target } from './code.js';
import { type Extensions, findExtensions } from './extend.js';
import type { Flow } from './flow.js';
import { elementBases, pushFound } from './lookup.js';
import { LoopPayment } from './payment.js';
import { findRotations, type Rotations } from './rotate.js';
import { structure } from './structure.js';
import { type Home, type TranslationOptions, Translator } from './translator.js';
import { unreadStores } from './unread.js';
import { unroll } from './unroll.js';
import { I32, I64, Op } from './wasm.js';
import { PacketWindow } from './window.js';

export interface FunctionInput {
  readonly code: Code;
  readonly flow: Flow;
  readonly provenance: FunctionProvenance;
  readonly callees: Callees;
  readonly options: TranslationOptions;
  /** What callers know of it. */
  readonly self: Subprogram;
  /** Whether it is the program's entry. */
  readonly isMain: boolean;
  readonly home: Home;
}

interface Access {
  readonly register: number;
  readonly size: number;
  readonly offset: number;
}

/** What the instruction at `slot` accesses through its base register. */
function accessOf(code: Code, slot: number): Access | undefined {
  const step = code.steps[slot];
  if (!step) return undefined;
  const { does, insn } = step;
  const { offset } = insn;
  if (does.kind === 'load' || does.kind === 'loadAcquire') {
    return { register: insn.src, size: does.size, offset };
  }
  if (does.kind === 'store' || does.kind === 'storeRelease' || does.kind === 'atomic') {
    return { register: insn.dst, size: does.size, offset };
  }
  return undefined;
}

/** What checked mode has to keep in locals: sizes of packet accesses, and lookups whose result moves. */
function wanted(code: Code, provenances: Provenances): { sizes: Set<number>; sites: Set<number> } {
  const sizes = new Set<number>();
  const sites = new Set<number>();
  for (const [slot, registers] of provenances) {
    const does = code.steps[slot]?.does;
    const found = does?.kind === 'call' ? registers[1] : undefined;
    const key = found?.kind === 'map' ? { register: 2, size: found.map.keySize, offset: 0 } : undefined;
    const access = accessOf(code, slot) ?? key;
    if (!access) continue;
    const p = registers[access.register];
    if ((p?.kind === 'packet' || p?.kind === 'packet-end') && !isCovered(p, access.offset, access.size)) {
      sizes.add(access.size);
    }
    if (p?.kind === 'element' && p.offset === undefined && p.nonNull) sites.add(p.site);
  }
  return { sizes, sites };
}

/** A local for each store of which the value is read again. */
function storedLocals({ body }: Translator, { reads }: FunctionProvenance): Map<number, number> {
  const locals = new Map<number, number>();
  for (const { by, size } of reads.values()) {
    if (by !== undefined && !locals.has(by)) locals.set(by, body.local(size === 8 ? I64 : I32));
  }
  return locals;
}

/** Writes the function to its home. */
export function translate(input: FunctionInput): void {
  const { code, options } = input;
  const { graph } = input.flow;
  const t = new Translator(code, input.callees, options, input.provenance.before, input.home);
  const { body } = t;
  /** Instructions of a block, with those of functions that do not count them themselves. */
  const weightOf = (block: Block | undefined): number => {
    let weight = block?.weight ?? 0;
    for (const item of block?.items ?? []) {
      if (item.kind !== 'insn') continue;
      const step = t.step(item.slot);
      if (step.does.kind !== 'call' || step.does.target !== 'local') continue;
      const callee = input.callees.subprograms.get(target(item.slot, step));
      if (callee && !callee.countsItself) weight += callee.weight;
    }
    return weight;
  };
  /** Loop headers with the instructions of one round. */
  const loops = new Map(
    [...input.flow.loops].map(([header, { members }]) => [
      header,
      [...members].reduce((sum, id) => sum + weightOf(graph.blocks.get(id)), 0),
    ]),
  );
  const flow = unroll(input.flow, input.provenance.rounds);
  const blocks = flow.order.sequence.map((id) => blockOf(flow.graph, id));
  const { isMain } = input;

  let payment: LoopPayment | undefined;
  let a: AccessContext = {
    t,
    window: undefined,
    bases: new Map(),
    elements: new Map(),
    provenance: input.provenance,
    stored: storedLocals(t, input.provenance),
    unread: unreadStores(code, input.provenance.before, input.provenance.reads, options.helpers),
  };
  if (options.checked) {
    const { sizes, sites } = wanted(code, input.provenance.before);
    const window = sizes.size > 0 ? new PacketWindow(t, sizes) : undefined;
    a = { ...a, window, bases: elementBases(t, sites) };
    window?.reload();
    if (input.self.countsItself) {
      t.useBudget();
      payment = new LoopPayment(t, input.flow, input.provenance.rounds, loops);
      if (!isMain) payment.spend(graph.blocks.get(graph.entry)?.slot ?? 0, () => body.i32(input.self.weight));
    }
  }

  const conditions = new Map<number, number>();
  const labels = new Map<number, number>();
  const rotations = new Map<Block, Rotations>();
  const kept = new Map<number, number>();
  let mayGotoLeft: number | undefined;
  for (const block of blocks) {
    rotations.set(block, findRotations(code, block.items));
    if (block.exit.kind === 'branch' && t.step(block.exit.slot).does.kind === 'mayGoto') {
      mayGotoLeft ??= body.local(I32);
    }
  }
  if (mayGotoLeft !== undefined) body.i32(layout.MAX_LOOPS).set(mayGotoLeft);

  const labelLocal = (node: number): number => {
    const known = labels.get(node);
    if (known !== undefined) return known;
    const local = body.local(I32);
    labels.set(node, local);
    return local;
  };

  /** Pushes the condition of a branch, or takes one of may_goto's iterations. */
  const condition = (slot: number, inOtherWords = false) => {
    const { does, insn } = t.step(slot);
    body.place(slot);
    if (does.kind === 'branch') {
      const { bits, condition, operand } = does;
      const isNullCheck =
        bits === 64 && operand === 'imm' && insn.imm === 0 && (condition === 'eq' || condition === 'ne');
      if (!isNullCheck || !pushFound(a, slot, insn.dst)) pushCondition(t, slot, inOtherWords);
      else if (condition === 'eq') body.op(Op.i32_eqz);
      return;
    }
    const left = mayGotoLeft ?? 0;
    body.get(left).op(Op.i32_eqz);
    body.get(left).get(left).i32(0).op(Op.i32_ne).op(Op.i32_sub).set(left);
  };

  const instruction = (slot: number, found: Rotations | undefined, extensions: Extensions) => {
    const { insn, does } = t.step(slot);
    body.place(slot);
    const rotation = found?.at.get(slot);
    if (rotation) {
      const value = kept.get(rotation.shift) ?? 0;
      if (rotation.bits === 64) {
        body.get(value).i64(rotation.distance).op(Op.i64_rotl);
        t.pop(insn.dst);
      } else {
        body.get(value).op(Op.i32_wrap_i64).i32(rotation.distance).op(Op.i32_rotl);
        t.pop32(insn.dst);
      }
      return;
    }
    if (found?.keep.has(slot)) {
      const local = body.local(I64);
      kept.set(slot, local);
      t.push(insn.dst);
      body.set(local);
    }
    if (extensions.first.has(slot)) return;
    const extension = extensions.second.get(slot);
    if (extension) {
      extend(t, insn.dst, extension.signed, t.provenance(extension.first, insn.dst));
      return;
    }
    switch (does.kind) {
      case 'load':
        load(a, slot, does.size, does.signed);
        break;
      case 'loadAcquire':
        load(a, slot, does.size, false);
        break;
      case 'store':
        store(a, slot, does.size, does.operand);
        break;
      case 'storeRelease':
        store(a, slot, does.size, 'reg');
        break;
      case 'atomic':
        atomic(a, slot, does);
        break;
      case 'packetLoad':
        packetLoad(t, slot, does.size, does.indirect);
        break;
      case 'call':
        if (does.target === 'local') localCall(a, target(slot, t.step(slot)));
        else if (does.target === 'kfunc') kfuncCall(a, slot);
        else {
          const helper = does.target === 'helper' ? options.helpers(insn.imm) : undefined;
          if (!helper) throw new Error(`the call at ${slot} was not checked`);
          helperCall(a, slot, helper);
        }
        break;
      default:
        compute(t, slot);
    }
  };

  /** Computes the selected instructions, then keeps old or new by the condition. */
  const select = (item: Extract<Item, { kind: 'select' }>, afterCondition: boolean) => {
    const condition = conditions.get(item.branch) ?? 0;
    const destinations = [...new Set(item.slots.map((slot) => t.step(slot).insn.dst))];
    const before = destinations.map((r, i) => {
      const local = t.scratch(I64, 2 + i);
      t.push(r);
      body.set(local);
      // Only right after the condition is what was known there still true of the register.
      return { r, local, narrow: afterCondition && isNarrow(t, item, r) };
    });
    for (const slot of item.slots) compute(t, slot);
    for (const { r, local, narrow } of before) {
      // Where both have no upper half, V8 makes better code of a selection of lower halves.
      if (narrow) t.push32(r);
      else t.push(r);
      body.get(local);
      if (narrow) body.op(Op.i32_wrap_i64);
      body.get(condition);
      if (!item.when) body.op(Op.i32_eqz);
      body.op(Op.select);
      if (narrow) t.pop32(r);
      else t.pop(r);
    }
  };

  structure(flow, {
    openBlock: () => body.open(Op.block),
    openLoop: (header) => {
      payment?.begin(header);
      body.open(Op.loop);
    },
    openIf: (slot) => {
      condition(slot);
      body.open(Op.if);
    },
    openElse: () => body.else(),
    close: () => body.end(),
    body: (block) => {
      payment?.round(block.copyOf ?? block.id);
      const found = rotations.get(block);
      const extensions = findExtensions(code, block.items, found?.keep ?? new Set());
      const asked = new Set<string>();
      block.items.forEach((item, i) => {
        switch (item.kind) {
          case 'insn':
            instruction(item.slot, found, extensions);
            break;
          case 'condition': {
            const local = body.local(I32);
            conditions.set(item.slot, local);
            const { opcode, dst, src, imm } = t.step(item.slot).insn;
            const question = `${opcode} ${dst} ${src} ${imm}`;
            condition(item.slot, asked.has(question));
            if (!asked.delete(question)) asked.add(question);
            body.set(local);
            break;
          }
          case 'select':
            select(item, block.items[i - 1]?.kind === 'condition');
            break;
          case 'leave':
            payment?.leave(item.header, item.from);
            break;
          case 'label':
            body.i32(item.value).set(labelLocal(item.node));
        }
      });
    },
    jump: (depth) => body.op(Op.br).unsigned(depth),
    jumpIf: (slot, when, depth) => {
      condition(slot);
      if (!when) body.op(Op.i32_eqz);
      body.op(Op.br_if).unsigned(depth);
    },
    jumpTable: (block, depths) => {
      body
        .get(labelLocal(block.id))
        .op(Op.br_table)
        .unsigned(depths.length - 1);
      for (const depth of depths) body.unsigned(depth);
    },
    ret: () => {
      if (!isMain) t.storeBudget();
      t.leave();
    },
  });
  body.op(Op.unreachable);
}

/** Whether register `r` has no upper half, be the selected instructions run or not. */
function isNarrow(t: Translator, item: Extract<Item, { kind: 'select' }>, r: number): boolean {
  const before = t.provenance(item.branch, r);
  const writes = item.slots.filter((slot) => t.step(slot).insn.dst === r);
  return (
    before?.kind === 'number' &&
    before.max <= 0xffffffff &&
    writes.every((slot) => {
      const { does } = t.step(slot);
      return (does.kind === 'alu' || does.kind === 'neg' || does.kind === 'movsx') && does.bits === 32;
    })
  );
}
