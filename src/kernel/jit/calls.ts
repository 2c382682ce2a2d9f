// Calls: helpers (inlined where that pays, straight into the runtime otherwise), subprograms, tail calls.

import type { ArgType, HelperDefinition } from '../helpers/definition.js';
import { ARG_BITS, argKinds } from '../helpers/index.js';
import { layout } from '../memory/memory.js';
import type { AccessContext } from './access.js';
import { keepElement, lookup } from './lookup.js';
import type { Provenance } from './provenance.js';
import { FRAME, type Translator } from './translator.js';
import { I32, Op } from './wasm.js';

/** Whether `size` bytes at `p` can be read on every path, known without running. */
function isReadable(p: Provenance, size: number): boolean {
  if (p?.kind === 'stack') {
    return p.offset !== undefined && p.offset >= -FRAME && p.offset + p.slack + size <= 0;
  }
  if (p?.kind === 'value' || (p?.kind === 'element' && p.nonNull)) {
    return (
      p.map.readable &&
      p.offset !== undefined &&
      p.offset >= 0 &&
      p.offset + p.slack + size <= p.map.valueSize
    );
  }
  return false;
}

/** The same for writing. */
const isWritable = (p: Provenance, size: number): boolean =>
  isReadable(p, size) &&
  (p?.kind === 'stack' || ((p?.kind === 'value' || p?.kind === 'element') && p.map.writable));

/** Whether an argument is what it must be, known without running. `next` is the argument after it. */
function isProven(type: ArgType, p: Provenance, next: Provenance, first: Provenance): boolean {
  switch (type) {
    case 'anything':
    case 'verified':
      return true;
    case 'ctx':
      return p?.kind === 'ctx' && p.offset === 0;
    case 'map':
      return p?.kind === 'map';
    case 'prog-array':
    case 'perf-event-array':
    case 'ringbuf':
    case 'redirect-map':
      return p?.kind === 'map' && p.map.kind === type;
    case 'ringbuf-record':
      return false;
    case 'map-key':
      return first?.kind === 'map' && isReadable(p, first.map.keySize);
    case 'map-value':
      return first?.kind === 'map' && isReadable(p, first.map.valueSize);
    case 'read':
    case 'read-or-null':
      return (
        next?.kind === 'number' && next.value !== undefined && next.value > 0 && isReadable(p, next.value)
      );
    case 'map-value-out':
      return first?.kind === 'map' && isWritable(p, first.map.valueSize);
    case 'write-4':
      return isWritable(p, 4);
    case 'write-8':
      return isWritable(p, 8);
    case 'write':
    case 'write-or-null':
      return (
        next?.kind === 'number' && next.value !== undefined && next.value > 0 && isWritable(p, next.value)
      );
  }
}

/** Checked mode: has the runtime check the arguments that are not known to be right. */
function checkArguments(t: Translator, slot: number, helper: HelperDefinition): void {
  let kinds = 0;
  helper.args.forEach((type, i) => {
    const p = t.provenance(slot, i + 1);
    if (isProven(type, p, t.provenance(slot, i + 2), t.provenance(slot, 1))) return;
    kinds |= argKinds[type] << (ARG_BITS * i);
  });
  if (kinds === 0) return;
  t.pushCpu();
  t.body.i32(kinds).i32(slot);
  for (let r = 1; r <= 5; r++) t.push(r);
  t.body.call(t.callees.runtime.check_arguments);
}

/** A helper call; r0 is its result. */
export function helperCall(a: AccessContext, slot: number, helper: HelperDefinition): void {
  const { t } = a;
  const { body } = t;
  const first = t.provenance(slot, 1);
  const map = first?.kind === 'map' ? first.map : undefined;
  if (helper.name === 'tail_call') {
    if (t.options.checked) checkArguments(t, slot, helper);
    tailCall(t, slot);
    return;
  }
  if (helper.name === 'map_lookup_elem' && map && lookup(a, slot, map)) {
    keepElement(a, slot);
    return;
  }
  if (t.options.checked) checkArguments(t, slot, helper);
  if (helper.name === 'map_update_elem' && map?.kind === 'hash' && map.writable) {
    body.i32(map.address);
    t.push32(2);
    t.push32(3);
    t.push(4);
    t.loadCpu(layout.Cpu_id);
    body.call(t.callees.runtime.htab_update).op(Op.i64_extend_i32_s);
    t.pop(0);
    return;
  }
  if (helper.callsBack) keepFrame(t);
  const index = t.callees.helpers.get(helper.id);
  t.pushCpu();
  if (index !== undefined) {
    for (let r = 1; r <= helper.args.length; r++) t.push(r);
    body.call(index);
  } else {
    body.i32(helper.id);
    for (let r = 1; r <= 5; r++) t.push(r);
    body.call(t.callees.runtime.call_helper);
  }
  t.pop(0);
  keepElement(a, slot);
  a.window?.reloadAfter(helper);
}

/**
 * bpf_tail_call(ctx, prog_array, index): the program takes this function's place and its stack frame. It goes on with
 * the next instruction when the index is too large, the slot is empty, or 33 tail calls were made.
 */
function tailCall(t: Translator, slot: number): void {
  const { body } = t;
  const program = t.scratch(I32);
  const calls = t.scratch(I32, 1);
  const known = t.provenance(slot, 2);
  const map = known?.kind === 'map' ? known.map : undefined;
  t.push32(3);
  if (map) body.i32(map.maxEntries);
  else {
    t.push32(2);
    body.memory(Op.i32_load, layout.BpfMap_maxEntries);
  }
  body.op(Op.i32_lt_u).open(Op.if);
  t.loadCpu(layout.Cpu_tailCalls);
  body.tee(calls).i32(layout.MAX_TAIL_CALLS).op(Op.i32_lt_u).open(Op.if);
  if (map) body.i32(map.values);
  else {
    t.push32(2);
    body.memory(Op.i32_load, layout.BpfMap_values);
  }
  t.push32(3);
  body.i32(4).op(Op.i32_mul).op(Op.i32_add).memory(Op.i32_load, 0).tee(program).open(Op.if);
  t.pushCpu();
  body.get(calls).i32(1).op(Op.i32_add).memory(Op.i32_store, layout.Cpu_tailCalls);
  t.pushCpu();
  body.get(program).memory(Op.i32_store, layout.Cpu_program);
  t.storeBudget();
  t.push(1);
  body.get(t.frame).get(program).memory(Op.i32_load, layout.Program_entry);
  body.op(Op.return_call_indirect).unsigned(t.callees.mainType).unsigned(0);
  body.end().end().end();
}

/** What is called back has its frame below ours. */
function keepFrame(t: Translator): void {
  t.pushCpu();
  t.body.get(t.frame).i32(FRAME).op(Op.i32_sub).memory(Op.i32_store, layout.Cpu_frame);
}

/** A call of a kernel function; some registers are the kernel's to fill in. */
export function kfuncCall({ t }: AccessContext, slot: number): void {
  const call = t.code.kfuncs.get(slot);
  if (!call) throw new Error(`the call at ${slot} was not checked`);
  const { definition, type, offset } = call;
  if (definition.callsBack) keepFrame(t);
  t.pushCpu();
  for (let r = 1; r <= definition.args; r++) {
    if (r === definition.typeAt) t.body.i64(type);
    else if (r === definition.offsetAt) t.body.i64(offset);
    else t.push(r);
  }
  t.body.call(t.callees.kfuncs.get(definition.name) ?? 0);
  t.pop(0);
}

/** A bpf-to-bpf call: the callee's frame lies below ours. */
export function localCall(a: AccessContext, entry: number): void {
  const { t } = a;
  const callee = t.callees.subprograms.get(entry);
  if (!callee) throw new Error(`no subprogram at ${entry}`);
  if (callee.countsItself || t.options.tailCalls) t.storeBudget();
  // A tail call in there makes another program the running one.
  const program = t.options.tailCalls ? t.scratch(I32) : undefined;
  if (program !== undefined) {
    t.loadCpu(layout.Cpu_program);
    t.body.set(program);
  }
  for (const r of callee.parameters) t.push(r);
  t.body.get(t.frame).i32(FRAME).op(Op.i32_sub).call(callee.index);
  t.pop(0);
  if (program !== undefined) {
    t.pushCpu();
    t.body.get(program).memory(Op.i32_store, layout.Cpu_program);
  }
  if (callee.countsItself || t.options.tailCalls) t.loadBudget();
  // No program may rely on what a function leaves in them; one that was not verified finds 0, as in the interpreter.
  if (t.options.checked) {
    for (let r = 1; r <= 5; r++) {
      t.body.i64(0);
      t.pop(r);
    }
  }
  if (t.options.movesPacket) a.window?.reload();
}
