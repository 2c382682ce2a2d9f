// The functions of the runtime that compiled programs call, with their types. Those of the first table are the
// runtime's own; helpers are called by the names and arities of their rows.

import type { HelperDefinition } from '../helpers/definition.js';
import type { KfuncDefinition } from '../kfuncs/index.js';
import { type FunctionType, I32, I64, type ModuleBuilder } from './wasm.js';

const RUNTIME = {
  check_access: { params: [I32, I64, I32, I32, I32], results: [] },
  check_arguments: { params: [I32, I32, I32, I64, I64, I64, I64, I64], results: [] },
  arena_address: { params: [I32, I32, I32, I32, I32], results: [I32] },
  packet_address: { params: [I32, I32, I32], results: [I32] },
  fault: { params: [I32, I32, I32, I64, I32], results: [] },
  call_helper: { params: [I32, I32, I64, I64, I64, I64, I64], results: [I64] },
  htab_lookup: { params: [I32, I32], results: [I32] },
  htab_lookup_4: { params: [I32, I32], results: [I32] },
  htab_lookup_8: { params: [I32, I32], results: [I32] },
  htab_lookup_16: { params: [I32, I32], results: [I32] },
  percpu_htab_lookup: { params: [I32, I32, I32], results: [I32] },
  htab_update: { params: [I32, I32, I32, I64, I32], results: [I32] },
} as const satisfies Record<string, FunctionType>;

export type RuntimeCallee = keyof typeof RUNTIME;

/** A function of the program, as its callers see it. */
export interface Subprogram {
  /** Function index in the module. */
  readonly index: number;
  /** The registers that it gets, in order. */
  readonly parameters: readonly number[];
  /** Instructions in it and in what it calls, each once. */
  readonly weight: number;
  /** It takes its instructions from the budget by itself; otherwise its callers count them. */
  readonly countsItself: boolean;
}

/** What a function of the module may call, by function index. */
export interface Callees {
  readonly runtime: Readonly<Record<RuntimeCallee, number>>;
  /** Runtime helpers by helper id. */
  readonly helpers: ReadonlyMap<number, number>;
  /** Kernel functions by name. */
  readonly kfuncs: ReadonlyMap<string, number>;
  /** The program's functions by entry slot. */
  readonly subprograms: ReadonlyMap<number, Subprogram>;
  /** Type index of a program's entry, for tail calls. */
  readonly mainType: number;
}

/** Imports the runtime's functions, and those of the given helpers that live there. */
export function importRuntime(
  module: ModuleBuilder,
  helpers: Iterable<HelperDefinition>,
  kfuncs: Iterable<KfuncDefinition>,
): Pick<Callees, 'runtime' | 'helpers' | 'kfuncs'> {
  const entries = Object.entries(RUNTIME).map(([name, type]) => [
    name,
    module.importFunction('runtime', name, type),
  ]);
  const byId = new Map<number, number>();
  for (const helper of helpers) {
    if (helper.runs !== 'runtime') continue;
    const type: FunctionType = { params: [I32, ...helper.args.map(() => I64 as typeof I64)], results: [I64] };
    byId.set(helper.id, module.importFunction('runtime', `bpf_${helper.name}`, type));
  }
  const byName = new Map<string, number>();
  for (const { name, args } of kfuncs) {
    const type: FunctionType = {
      params: [I32, ...Array.from({ length: args }, () => I64 as typeof I64)],
      results: [I64],
    };
    byName.set(name, module.importFunction('runtime', `kfunc_${name}`, type));
  }
  return {
    runtime: Object.fromEntries(entries) as Record<RuntimeCallee, number>,
    helpers: byId,
    kfuncs: byName,
  };
}
