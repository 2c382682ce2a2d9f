// Which of r1 to r5 a subprogram reads before it writes them: its real parameters. Passing only these lets more of
// them go in machine registers.

import type { HelperDefinition } from '../helpers/definition.js';
import { blockOf, successors } from './cfg.js';
import { type Code, target } from './code.js';
import type { Flow } from './flow.js';

/** Bits of the registers that an instruction reads and that it certainly overwrites. */
interface Effect {
  readonly reads: number;
  readonly writes: number;
}

const ARGUMENTS = 0b111110;
const bit = (register: number): number => 1 << register;

export interface LivenessRules {
  readonly helpers: (id: number) => HelperDefinition | undefined;
  /** The parameters of the function at a slot, as bits; known for all that are called. */
  readonly parametersOf: (entry: number) => number;
}

function effectOf(code: Code, slot: number, rules: LivenessRules): Effect {
  const step = code.steps[slot];
  if (!step) return { reads: 0, writes: 0 };
  const { insn, does } = step;
  const [dst, src] = [bit(insn.dst), bit(insn.src)];
  switch (does.kind) {
    case 'alu': {
      const operand = does.operand === 'reg' ? src : 0;
      return { reads: does.op === 'mov' ? operand : dst | operand, writes: dst };
    }
    case 'neg':
    case 'byteOrder':
      return { reads: dst, writes: dst };
    case 'movsx':
    case 'addrSpaceCast':
    case 'load':
    case 'loadAcquire':
      return { reads: src, writes: dst };
    case 'loadImm64':
      return { reads: 0, writes: dst };
    case 'store':
      return { reads: dst | (does.operand === 'reg' ? src : 0), writes: 0 };
    case 'storeRelease':
      return { reads: dst | src, writes: 0 };
    case 'atomic':
      return { reads: dst | src | (does.op === 'cmpxchg' ? bit(0) : 0), writes: 0 };
    case 'packetLoad':
      return { reads: does.indirect ? src : 0, writes: bit(0) };
    case 'branch':
      return { reads: dst | (does.operand === 'reg' ? src : 0), writes: 0 };
    case 'call': {
      if (does.target === 'local') return { reads: rules.parametersOf(target(slot, step)), writes: bit(0) };
      const called =
        does.target === 'kfunc'
          ? code.kfuncs.get(slot)?.definition.args
          : rules.helpers(insn.imm)?.args.length;
      const count = called ?? 5;
      return { reads: ARGUMENTS & ((1 << (count + 1)) - 1), writes: bit(0) };
    }
    default:
      return { reads: 0, writes: 0 };
  }
}

/** The parameters of a function, as bits of the registers r1 to r5. */
export function parameters(code: Code, flow: Flow, rules: LivenessRules): number {
  const { graph, order } = flow;
  const liveIn = new Map<number, number>();
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = order.sequence.length - 1; i >= 0; i--) {
      const block = blockOf(graph, order.sequence[i] ?? 0);
      let live = 0;
      for (const to of successors(block.exit)) live |= liveIn.get(to) ?? 0;
      const back = (slot: number, certain: boolean) => {
        const { reads, writes } = effectOf(code, slot, rules);
        if (certain) live &= ~writes;
        live |= reads;
      };
      if (block.exit.kind === 'branch') back(block.exit.slot, true);
      for (let k = block.items.length - 1; k >= 0; k--) {
        const item = block.items[k];
        if (item?.kind === 'insn' || item?.kind === 'condition') back(item.slot, true);
        else if (item?.kind === 'select') for (const slot of item.slots.toReversed()) back(slot, false);
      }
      if (live !== liveIn.get(block.id)) {
        liveIn.set(block.id, live);
        changed = true;
      }
    }
  }
  return (liveIn.get(graph.entry) ?? 0) & ARGUMENTS;
}
