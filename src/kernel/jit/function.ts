// One function of a program, from its graph to a WebAssembly body.

import { layout } from '../memory/memory.js';
import { type AccessContext, atomic, fault, load, packetLoad, store } from './access.js';
import { compute, pushCondition } from './alu.js';
import type { Provenances } from './analysis.js';
import type { Callees } from './callees.js';
import { elementBases, helperCall, localCall } from './calls.js';
import type { Block, Item } from './cfg.js';
import { type Code, target } from './code.js';
import type { Flow } from './flow.js';
import { findRotations, type Rotations } from './rotate.js';
import { structure } from './structure.js';
import { type TranslationOptions, Translator } from './translator.js';
import { type FunctionBody, I32, I64, Op } from './wasm.js';
import { PacketWindow } from './window.js';

export interface FunctionInput {
  readonly code: Code;
  readonly flow: Flow;
  readonly provenances: Provenances;
  readonly callees: Callees;
  readonly options: TranslationOptions;
  /** The registers that it gets, in order. */
  readonly parameters: readonly number[];
  /** Whether it is the program's entry. */
  readonly isMain: boolean;
}

/** Bytes that the instruction at `slot` accesses through its base register, 0 when it does not. */
function accessOf(code: Code, slot: number): { register: number; size: number } | undefined {
  const step = code.steps[slot];
  if (!step) return undefined;
  const { does, insn } = step;
  if (does.kind === 'load' || does.kind === 'loadAcquire') return { register: insn.src, size: does.size };
  if (does.kind === 'store' || does.kind === 'storeRelease' || does.kind === 'atomic') {
    return { register: insn.dst, size: does.size };
  }
  return undefined;
}

/** What checked mode has to keep in locals: packet access sizes, and lookups whose result moves. */
function wanted(code: Code, provenances: Provenances): { sizes: Set<number>; sites: Set<number> } {
  const sizes = new Set<number>();
  const sites = new Set<number>();
  for (const [slot, registers] of provenances) {
    const access = accessOf(code, slot);
    const does = code.steps[slot]?.does;
    const lookup = does?.kind === 'call' ? registers[1] : undefined;
    const p = access ? registers[access.register] : lookup?.kind === 'map' ? registers[2] : undefined;
    const size = access ? access.size : lookup?.kind === 'map' ? lookup.map.keySize : 0;
    if ((p?.kind === 'packet' || p?.kind === 'packet-end') && size > 0) sizes.add(size);
    if (p?.kind === 'element' && p.offset === undefined && p.nonNull) sites.add(p.site);
  }
  return { sizes, sites };
}

/** Translates the function: `parameters` as i64, then the lower end of its frame (i32), giving r0. */
export function translate(input: FunctionInput): FunctionBody {
  const { code, options } = input;
  const { graph, order } = input.flow;
  const t = new Translator(code, input.callees, options, input.provenances, input.parameters);
  const { body } = t;
  /** Loop headers with the instructions of one round. */
  const loops = new Map(
    [...input.flow.loops].map(([header, { members }]) => [
      header,
      [...members].reduce((sum, id) => sum + (graph.blocks.get(id)?.weight ?? 0), 0),
    ]),
  );
  const blocks = order.sequence.map((id) => graph.blocks.get(id)).filter((b): b is Block => b !== undefined);
  const weight = blocks.reduce((sum, block) => sum + block.weight, 0);
  const { isMain } = input;

  let a: AccessContext = { t, window: undefined, bases: new Map() };
  if (options.checked) {
    const { sizes, sites } = wanted(code, input.provenances);
    const window = sizes.size > 0 ? new PacketWindow(t, sizes) : undefined;
    a = { t, window, bases: elementBases(t, sites) };
    window?.reload();
    if (loops.size > 0 || !isMain) {
      t.useBudget();
      if (!isMain) spend(t, weight, graph.blocks.get(graph.entry)?.slot ?? 0);
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
  const condition = (slot: number) => {
    if (t.step(slot).does.kind !== 'mayGoto') {
      pushCondition(t, slot);
      return;
    }
    const left = mayGotoLeft ?? 0;
    body.get(left).op(Op.i32_eqz);
    body.get(left).get(left).i32(0).op(Op.i32_ne).op(Op.i32_sub).set(left);
  };

  const instruction = (slot: number, found: Rotations | undefined) => {
    const { insn, does } = t.step(slot);
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
  const select = (item: Extract<Item, { kind: 'select' }>) => {
    const condition = conditions.get(item.branch) ?? 0;
    const destinations = [...new Set(item.slots.map((slot) => t.step(slot).insn.dst))];
    const before = destinations.map((r, i) => {
      const local = t.scratch(I64, 2 + i);
      t.push(r);
      body.set(local);
      return { r, local };
    });
    for (const slot of item.slots) compute(t, slot);
    for (const { r, local } of before) {
      if (item.when) t.push(r);
      body.get(local);
      if (!item.when) t.push(r);
      body.get(condition).op(Op.select);
      t.pop(r);
    }
  };

  structure(graph, order, input.flow.idom, {
    openBlock: () => body.open(Op.block),
    openLoop: () => body.open(Op.loop),
    openIf: (slot) => {
      condition(slot);
      body.open(Op.if);
    },
    openElse: () => body.else(),
    close: () => body.end(),
    body: (block) => {
      const loop = loops.get(block.id);
      if (loop !== undefined && options.checked) spend(t, loop, block.slot);
      const found = rotations.get(block);
      for (const item of block.items) {
        switch (item.kind) {
          case 'insn':
            instruction(item.slot, found);
            break;
          case 'condition': {
            const local = body.local(I32);
            conditions.set(item.slot, local);
            condition(item.slot);
            body.set(local);
            break;
          }
          case 'select':
            select(item);
            break;
          case 'label':
            body.i32(item.value).set(labelLocal(item.node));
        }
      }
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
      t.push(0);
      body.op(Op.return);
    },
  });
  body.op(Op.unreachable);
  return body;
}

/** Takes `weight` instructions from the budget; ends the run when there are not enough. */
function spend(t: Translator, weight: number, slot: number): void {
  t.pushOverdrawn(weight);
  t.body.open(Op.if);
  fault(t, layout.FAULT_BUDGET, slot, () => t.body.i64(0), 0);
  t.body.end();
}
