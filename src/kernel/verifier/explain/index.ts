// Why a program was refused, for a person who wrote it in C. Everything is read from the verifier's log, so that it
// serves Linux's own as well.

import { callEntries } from './calls.js';
import type { Entry } from './entry.js';
import { flowEntries } from './flow.js';
import { memoryEntries } from './memory.js';
import { type Origin, originOf } from './origin.js';
import { knownBefore, type ParsedLog, parseLog, type SourceLine, type Step } from './parse.js';
import { specialEntries } from './special.js';
import { describeValue } from './values.js';

export type { Entry } from './entry.js';
export type { Origin } from './origin.js';
export type { SourceLine } from './parse.js';

/** All messages that have an explanation of their own; the first that fits is taken. */
export const entries: readonly Entry[] = [
  ...memoryEntries,
  ...callEntries,
  ...flowEntries,
  ...specialEntries,
];

/** A branch on the way to the fault. */
export interface Branch {
  readonly slot: number;
  /** The condition, as the log has it: `if r0 == 0x0 goto pc+3`. */
  readonly instruction: string;
  readonly taken: boolean;
  readonly line?: SourceLine;
  /** The line where the path went on. */
  readonly next?: SourceLine;
}

export interface Explanation {
  /** The verifier's own words. */
  readonly message: string;
  /** What went wrong, in a line. */
  readonly title: string;
  readonly required: string;
  readonly found: string;
  readonly mend: string;
  /** The instruction that was refused; absent when the program was refused as a whole. */
  readonly at?: { readonly slot: number; readonly instruction: string; readonly line?: SourceLine };
  /** From the beginning to the fault. */
  readonly branches: readonly Branch[];
  /** Where the offending value came from, the latest first. */
  readonly origin: readonly Origin[];
}

/** Words for a message that has no row. */
const unknown = {
  title: 'the verifier refuses the program',
  required: 'See the words of the verifier.',
  found: 'See its log for what it knew of each register (--log-level 1).',
  mend: 'Search for the message; the last instructions of the log show where and with what.',
};

/**
 * Explains a rejection by its log (level 1 or 2). `lineOf` says the source line of an instruction where more is known than
 * in the log: columns.
 */
export function explain(log: string, lineOf?: (slot: number) => SourceLine | undefined): Explanation {
  const parsed = parseLog(log);
  const { path, message } = parsed;
  const found = find(message);
  const last = path.length - 1;
  const blamed = blame(parsed, found?.groups.slot);
  const at = blamed && located(blamed, lineOf);
  const branches = branchesOf(path, lineOf);
  if (!found) {
    return { message: message.at(-1) ?? '', ...unknown, ...(at ? { at } : {}), branches, origin: [] };
  }
  const { entry, groups, text } = found;
  const register = groups.reg === undefined || last < 0 ? undefined : Number(groups.reg);
  const frame = path[last]?.frame ?? 0;
  const known = register === undefined ? undefined : knownBefore(parsed, last, `R${register}`, frame);
  const was = register === undefined ? '' : `R${register} is ${describeValue(known)}.`;
  const words = (template: string) => fill(template, { ...groups, was });
  const traced = (
    groups.alloc !== undefined
      ? acquired(path, Number(groups.alloc))
      : register === undefined || entry.origin === 'none'
        ? []
        : originOf(parsed, last, register)
  ).map((origin) => ({ ...origin, ...lineFor(origin, lineOf) }));
  return {
    message: text,
    title: words(entry.title),
    required: words(entry.required),
    found: words(entry.found ?? '{was}'),
    mend: words(entry.mend),
    ...(at ? { at } : {}),
    branches,
    origin: traced,
  };
}

/** The call that a reference came from. */
function acquired(path: readonly Step[], slot: number): Origin[] {
  const step = path.findLast((one) => one.slot === slot);
  return step
    ? [{ slot, instruction: step.text, words: 'it was acquired here', ...lineFor(step, undefined) }]
    : [];
}

interface Found {
  readonly entry: Entry;
  readonly groups: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}

/** The row for the verifier's last words: a line with figures says most, otherwise the last one does. */
function find(message: readonly string[]): Found | undefined {
  const exact = message.filter((text) => /^invalid access to |^Unreleased reference /.test(text));
  for (const text of [...exact, ...message.toReversed()]) {
    for (const entry of entries) {
      const match = entry.pattern.exec(text);
      // The register may be named in another of the lines.
      const reg = message.map((line) => /^R(\d+) /.exec(line)?.[1]).find((name) => name !== undefined);
      if (match) return { entry, groups: { ...match.groups, reg: match.groups?.reg ?? reg }, text };
    }
  }
  return undefined;
}

/** Names in braces filled in; one that the message did not have becomes `it`. */
const fill = (template: string, groups: Readonly<Record<string, string | undefined>>): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => groups[name] ?? 'it');

/** The step that the message is about. */
function blame({ path }: ParsedLog, slot: string | undefined): Step | undefined {
  if (slot === undefined) return path.at(-1);
  const number = Number(slot);
  return path.findLast((step) => step.slot === number) ?? { slot: number, text: '', frame: 0, state: [] };
}

const lineFor = (
  { slot, line }: { slot: number; line?: SourceLine },
  lineOf: ((slot: number) => SourceLine | undefined) | undefined,
): { line?: SourceLine } => {
  const found = lineOf?.(slot) ?? line;
  return found ? { line: found } : {};
};

const located = (step: Step, lineOf: ((slot: number) => SourceLine | undefined) | undefined) => ({
  slot: step.slot,
  instruction: step.text,
  ...lineFor(step, lineOf),
});

function branchesOf(
  path: readonly Step[],
  lineOf: ((slot: number) => SourceLine | undefined) | undefined,
): Branch[] {
  const branches: Branch[] = [];
  /** Nothing of another line came since the last branch. */
  let joined = false;
  path.forEach((step, i) => {
    const after = path[i + 1];
    const { line } = lineFor(step, lineOf);
    if (line?.line !== branches.at(-1)?.line?.line) joined = false;
    if (!after || !step.text.startsWith('if ')) return;
    const before = branches.at(-1)?.line;
    // One condition in the source may be several branches; where the last of them leads is what counts.
    if (line && before?.line === line.line && before.file === line.file && joined) branches.pop();
    joined = true;
    let next: SourceLine | undefined;
    for (let k = i + 1; k < path.length && (!next || next.line === line?.line); k++) {
      next = lineFor(path[k] as Step, lineOf).line ?? next;
    }
    branches.push({
      slot: step.slot,
      instruction: step.text,
      taken: after.slot !== step.slot + 1,
      ...(line ? { line } : {}),
      ...(next ? { next } : {}),
    });
  });
  return branches;
}
