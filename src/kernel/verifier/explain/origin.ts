// Where a value came from: back along the path from where it is used, through copies, the stack and calls, to what made it.

import { knownBefore, type ParsedLog, type SourceLine, type Step } from './parse.js';
import { describeValue } from './values.js';

/** A step in the life of a value, the latest first. */
export interface Origin {
  readonly slot: number;
  readonly instruction: string;
  readonly line?: SourceLine;
  /** What happened to it there. */
  readonly words: string;
}

/** Steps that are told at most. */
const MOST = 4;

/** What an instruction does to a register. */
function effect(text: string, register: number): { kind: 'none' } | Effect {
  const call = /^call (\S+)/.exec(text);
  if (call) {
    const name = call[1] ?? '';
    if (register === 0) return { kind: 'result', name };
    return register <= 5 ? { kind: 'lost', name } : { kind: 'none' };
  }
  const [, dst, operation, from = ''] = /^[rw](\d+) ([^=\s]*)= ?(.*)$/.exec(text) ?? [];
  if (Number(dst) !== register || dst === undefined) return { kind: 'none' };
  if (operation) return { kind: 'changed', by: `${operation}= ${from}` };
  const copy = /^([rw])(\d+)$/.exec(from);
  if (copy) return { kind: 'copy', from: Number(copy[2]), narrow: copy[1] === 'w' };
  const fill = /^\*\(\w+ \*\)\(r10 ([+-]\d+)\)$/.exec(from);
  if (fill) return { kind: 'fill', at: fill[1] ?? '' };
  const load = /^\*\((\w+) \*\)\(r(\d+) ([+-]\d+)\)$/.exec(from);
  if (load) return { kind: 'load', size: load[1] ?? '', base: Number(load[2]), offset: Number(load[3]) };
  return { kind: 'set', to: from };
}

type Effect =
  | { kind: 'result' | 'lost'; name: string }
  | { kind: 'changed'; by: string }
  | { kind: 'copy'; from: number; narrow: boolean }
  | { kind: 'fill'; at: string }
  | { kind: 'load'; size: string; base: number; offset: number }
  | { kind: 'set'; to: string };

/** Where register `register` got what it holds before step `index`. */
export function originOf(log: ParsedLog, index: number, register: number): Origin[] {
  const { path } = log;
  const found: Origin[] = [];
  let frame = path[index]?.frame ?? 0;
  let slotOnStack: string | undefined;
  const tell = (step: Step, words: string): void => {
    const { slot, text: instruction, line } = step;
    found.push({ slot, instruction, ...(line ? { line } : {}), words });
  };
  for (let i = index - 1; i >= 0 && found.length < MOST; i--) {
    const step = path[i] as Step;
    if (step.frame > frame) continue;
    if (step.frame < frame) {
      // The call that led here: arguments are the caller's registers.
      frame = step.frame;
      if (slotOnStack !== undefined || register > 5 || register === 0) break;
      continue;
    }
    if (slotOnStack !== undefined) {
      const [, at, from] = /^\*\(\w+ \*\)\(r10 ([+-]\d+)\) = (\S+)/.exec(step.text) ?? [];
      if (at !== slotOnStack) continue;
      slotOnStack = undefined;
      const stored = /^[rw](\d+)$/.exec(from ?? '');
      if (!stored) {
        tell(step, `the number ${from} was put on the stack`);
        break;
      }
      register = Number(stored[1]);
      continue;
    }
    const known = (name: number) => describeValue(knownBefore(log, i, `R${name}`, frame));
    const after = () => describeValue(knownBefore(log, i + 1, `R${register}`, frame));
    const what = effect(step.text, register);
    if (what.kind === 'none') continue;
    if (what.kind === 'copy') {
      if (what.narrow) tell(step, 'its lower 32 bits were copied: what was a pointer is a number then');
      register = what.from;
      continue;
    }
    if (what.kind === 'fill') {
      slotOnStack = what.at;
      continue;
    }
    switch (what.kind) {
      case 'result':
        tell(step, `${callee(what.name)} returned it: ${after()}`);
        return found;
      case 'lost':
        tell(step, `the call of ${callee(what.name)} took it: R1 to R5 do not survive calls`);
        return found;
      case 'load':
        tell(step, `it was read from ${known(what.base)} (byte ${what.offset}): ${after()}`);
        return found;
      case 'set':
        tell(step, `it was set: ${after()}`);
        return found;
      case 'changed':
        tell(step, `it was changed (${what.by}): ${after()}`);
    }
  }
  return found;
}

/** `bpf_map_lookup_elem()` for `bpf_map_lookup_elem#1`. */
function callee(name: string): string {
  if (/^pc[+-]/.test(name)) return 'a function of the program';
  return `${name.replace(/#.*$/, '')}()`;
}
