// A whole program as one WebAssembly module:
//
//    main(ctx, stack)             the program, also the target of tail calls
//    sub_<slot>(r1..r5, stack)    its subprograms
//    run(program, frames, ...)    runs the program once a frame (driver.ts)

import type { HelperDefinition } from '../helpers/definition.js';
import { type AnalysisOptions, analyse, type FunctionProvenance } from './analysis.js';
import { type Callees, importRuntime, type Subprogram } from './callees.js';
import type { Graph } from './cfg.js';
import { type Code, target } from './code.js';
import { driver, RUN_TYPE, single, type Traces } from './driver.js';
import { type Flow, flowAt } from './flow.js';
import { translate } from './function.js';
import { parameters } from './liveness.js';
import { join, type Provenance } from './provenance.js';
import {
  type Home,
  MAIN_PARAMETERS,
  MAIN_TYPE,
  ownHome,
  subprogramType,
  type TranslationOptions,
} from './translator.js';
import { FunctionBody, type FunctionType, I32, I64, ModuleBuilder, Op } from './wasm.js';

export interface JitOptions {
  readonly checked: boolean;
  /** Hide the numbers that the program brought. */
  readonly blinded?: boolean;
  readonly helpers: (id: number) => HelperDefinition | undefined;
}

interface FunctionPlan {
  readonly entry: number;
  readonly flow: Flow;
  readonly provenance: FunctionProvenance;
}

export interface CompiledProgram {
  /** The WebAssembly binary. */
  readonly bytes: Uint8Array;
  /** Its functions, with what is where in them. */
  readonly functions: ModuleBuilder['encoded'];
  /** One run may take long: there is a loop of which it is not known that it is short. */
  readonly mayRunLong: boolean;
}

/** Instructions of a loop, all its rounds together, up to which it is short. */
const SHORT_LOOP = 1 << 16;

/** Compiles a checked program (see verifier/structure.ts). */
export function compileProgram(code: Code, options: JitOptions): CompiledProgram {
  const called = new Set<HelperDefinition>();
  for (const step of code.steps) {
    if (step?.does.kind !== 'call' || step.does.target !== 'helper') continue;
    const helper = options.helpers(step.insn.imm);
    if (helper) called.add(helper);
  }
  const translation: TranslationOptions = {
    ...options,
    movesPacket: [...called].some((helper) => helper.changesPacket),
    tailCalls: [...called].some((helper) => helper.name === 'tail_call'),
  };
  const plans = planFunctions(code, translation);
  const module = new ModuleBuilder();
  const kfuncs = new Set([...code.kfuncs.values()].map(({ definition }) => definition));
  const imports = importRuntime(module, called, kfuncs);
  const described = describeFunctions(code, plans, options.helpers);
  const subprograms = new Map<number, Subprogram>();
  for (const [entry, fn] of described) {
    const index =
      entry === 0
        ? module.declare('main', MAIN_TYPE, true)
        : module.declare(`sub_${entry}`, subprogramType(fn.parameters), false);
    subprograms.set(entry, { ...fn, index });
  }
  const callees: Callees = { ...imports, subprograms, mainType: module.typeIndex(MAIN_TYPE) };
  const run = module.declare('run', RUN_TYPE, true);
  const traces: Traces = {
    tailCalls: translation.tailCalls,
    redirects: [...called].some((helper) => helper.name.startsWith('redirect')),
    budget: translation.checked && (described.get(0)?.countsItself ?? false),
    shape: code.context.frame,
  };
  for (const { entry, flow, provenance } of plans) {
    const self = subprograms.get(entry);
    if (!self) continue;
    const isMain = entry === 0;
    const into = (home: Home) =>
      translate({ code, flow, provenance, callees, options: translation, self, isMain, home });
    // What runs in the place of another program may not undo what that left behind.
    if (isMain && flow.loops.size === 0 && !traces.tailCalls && !traces.redirects) {
      module.define(run, driver(traces, into));
      module.define(self.index, single(run, traces.shape));
      continue;
    }
    const home = ownHome(self.parameters);
    into(home);
    module.define(self.index, home.body);
    if (isMain) module.define(run, driver(traces, self.index));
  }
  const callbacks = calledBack(code);
  if (callbacks.length > 0) {
    const index = module.declare('callback', CALLBACK_TYPE, true);
    module.define(index, callback(callbacks, subprograms));
  }
  const mayRunLong = plans.some(({ flow, provenance }) =>
    [...flow.loops.values()].some(({ header, members }) => {
      let weight = 0;
      for (const id of members) weight += flow.graph.blocks.get(id)?.weight ?? 0;
      return !((provenance.rounds.get(header)?.most ?? Number.POSITIVE_INFINITY) * weight <= SHORT_LOOP);
    }),
  );
  return { bytes: module.encode(), functions: module.encoded, mayRunLong };
}

/** The functions in an order in which callers come before callees, so that arguments are known. */
function planFunctions(code: Code, options: AnalysisOptions): FunctionPlan[] {
  const flows = new Map<number, Flow>();
  const callees = new Map<number, number[]>();
  const postorder: number[] = [];
  const visit = [{ entry: 0, next: 0 }];
  flows.set(0, flowAt(code, 0));
  for (let top = visit.at(-1); top; top = visit.at(-1)) {
    const { entry } = top;
    let calls = callees.get(entry);
    if (!calls) {
      calls = localCalls(code, flows.get(entry)?.graph);
      if (entry === 0) calls.push(...calledBack(code));
      callees.set(entry, calls);
    }
    const callee = calls[top.next++];
    if (callee === undefined) {
      postorder.push(entry);
      visit.pop();
    } else if (!flows.has(callee)) {
      flows.set(callee, flowAt(code, callee));
      visit.push({ entry: callee, next: 0 });
    }
  }
  const args = new Map<number, Provenance[]>([[0, [{ kind: 'ctx', offset: 0 }]]]);
  return postorder.reverse().map((entry) => {
    let flow = flows.get(entry) ?? flowAt(code, entry);
    let found = analyse(code, flow, args.get(entry) ?? [], options);
    if (found.decided.size > 0) {
      flow = flowAt(code, entry, found.decided);
      found = analyse(code, flow, args.get(entry) ?? [], options);
    }
    // What a helper passes is not known.
    if (entry === 0)
      for (const one of calledBack(code)) args.set(one, new Array<Provenance>(5).fill(undefined));
    for (const call of found.calls) {
      const passed = call.args.map(acrossCall);
      const known = args.get(call.entry);
      args.set(call.entry, known ? known.map((p, i) => join(p, passed[i])) : passed);
    }
    return { entry, flow, provenance: found };
  });
}

/** What callers know of each function, by entry; callees are looked at before their callers. */
function describeFunctions(
  code: Code,
  plans: readonly FunctionPlan[],
  helpers: JitOptions['helpers'],
): Map<number, Omit<Subprogram, 'index'>> {
  const found = new Map<number, Omit<Subprogram, 'index'>>();
  const bits = new Map<number, number>();
  const rules = { helpers, parametersOf: (entry: number) => bits.get(entry) ?? 0 };
  for (const { entry, flow } of plans.toReversed()) {
    const mask = parameters(code, flow, rules);
    bits.set(entry, mask);
    const callees = localCalls(code, flow.graph).map((callee) => found.get(callee));
    let weight = 0;
    for (const block of flow.graph.blocks.values()) weight += block.weight;
    for (const callee of callees) weight += callee?.weight ?? 0;
    found.set(entry, {
      parameters: entry === 0 ? MAIN_PARAMETERS : [1, 2, 3, 4, 5].filter((r) => mask & (1 << r)),
      weight,
      countsItself: flow.loops.size > 0 || callees.some((callee) => callee?.countsItself),
    });
  }
  return found;
}

/** What stays true in the callee: its frame is another, and the lookup's result is not kept there. */
function acrossCall(p: Provenance): Provenance {
  return p?.kind === 'stack' || p?.kind === 'element' ? undefined : p;
}

/** The functions whose addresses the program takes. */
function calledBack({ constants }: Code): number[] {
  const entries = new Set<number>();
  for (const constant of constants.values()) if (constant.kind === 'function') entries.add(constant.entry);
  return [...entries];
}

/** `callback(entry, r1..r5, frame)`: what the runtime calls (runtime/callback.ts). */
const CALLBACK_TYPE: FunctionType = { params: [I32, I64, I64, I64, I64, I64, I32], results: [I64] };

function callback(entries: readonly number[], subprograms: ReadonlyMap<number, Subprogram>): FunctionBody {
  const body = new FunctionBody(CALLBACK_TYPE);
  for (const entry of entries) {
    const callee = subprograms.get(entry);
    if (!callee) continue;
    body.get(0).i32(entry).op(Op.i32_eq).open(Op.if);
    for (const r of callee.parameters) body.get(r);
    body.get(6).call(callee.index).op(Op.return).end();
  }
  body.op(Op.unreachable);
  return body;
}

function localCalls(code: Code, graph: Graph | undefined): number[] {
  const found: number[] = [];
  for (const block of graph?.blocks.values() ?? []) {
    for (const item of block.items) {
      if (item.kind !== 'insn') continue;
      const step = code.steps[item.slot];
      if (step?.does.kind === 'call' && step.does.target === 'local') found.push(target(item.slot, step));
    }
  }
  return found;
}
