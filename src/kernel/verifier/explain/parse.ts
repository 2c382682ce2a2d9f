// A verifier's log taken apart: the instructions of the path that failed, what was known after each of them, and what
// the verifier said in the end. Logs of levels 1 and 2 are read, ours and those of Linux.

/** A line of source, as the log or the program's line information has it. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
  /** From 1; 0 or absent when it is not known. */
  readonly column?: number;
  readonly text: string;
}

/** An instruction on the path. */
export interface Step {
  readonly slot: number;
  /** Its disassembly, such as `r2 = *(u64 *)(r1 +0)`. */
  readonly text: string;
  /** How deep in calls it is; the main function is 0. */
  readonly frame: number;
  readonly line?: SourceLine;
  /** What was known after it: only what changed, in the log's words. */
  state: string[];
}

export interface ParsedLog {
  /** From the start of the program (or global function) to what was refused. */
  readonly path: readonly Step[];
  /** The verifier's last words: lines behind the last instruction. */
  readonly message: readonly string[];
  /** What was known when the path began. */
  readonly start: readonly string[];
}

const INSTRUCTION = /^(\d+): \([0-9a-f]{2}\) (.*)$/;
const SOURCE = /^; (.*) @ (\S+):(\d+)$/;
const FROM = /^from (\d+) to (\d+)(?: \(speculative execution\))?:(.*)$/;
const STATE = /^(?:\d+:)? *((?:frame\d+: *)?(?:R\d+(?:_[a-zA-Z]+)?=|fp-\d+|refs=).*)$/;
const FIGURES = /^(?:processed \d+ insns|verification time|stack depth|max_states_per_insn)/;
const NOISE =
  /^(?:\s*$|mark_precise:|func#\d+ @|Live regs before insn:|\s+(?:\d+ +)?\d+: [0-9.]{10,} |caller:|callee:|to caller at|returning from callee:|propagating |Validating |\d+: safe|from \d+ to \d+: safe|the sequence|stack_)/;
/** Notes about the functions of a program, which are no reason to refuse it. */
const NOTE = /^arg#\d+ reference type\('.*'\) size cannot be determined|is safe for any args/;

const frameOf = (state: string): number => Number(/^frame(\d+)/.exec(state)?.[1] ?? 0);

/** Reads a log. Anything that is no log has an empty path, and its last line is the message. */
export function parseLog(log: string): ParsedLog {
  let path: Step[] = [];
  let start: string[] = [];
  let message: string[] = [];
  let line: SourceLine | undefined;
  let frame = 0;
  const state = (text: string): void => {
    message = [];
    frame = frameOf(text);
    (path.at(-1)?.state ?? start).push(text);
  };
  for (const text of log.split('\n')) {
    if (FIGURES.test(text)) continue;
    const source = SOURCE.exec(text);
    if (source) {
      line = { text: source[1] ?? '', file: source[2] ?? '', line: Number(source[3]) };
      continue;
    }
    const from = FROM.exec(text);
    if (from) {
      if (from[3]?.trim() === 'safe') continue;
      // Another branch: the path goes back to the jump.
      const slot = Number(from[1]);
      const at = path.findLastIndex((step) => step.slot === slot);
      const jump = path[at];
      if (jump) path = [...path.slice(0, at), { ...jump, state: [] }];
      state((from[3] ?? '').trim());
      continue;
    }
    const instruction = INSTRUCTION.exec(text);
    if (instruction) {
      const [, slot, rest = ''] = instruction;
      const [words, known, resumed] = splitState(rest);
      message = [];
      path.push({ slot: Number(slot), text: words, frame, ...(line ? { line } : {}), state: [] });
      if (known) state(known);
      // At level 1 another path may have shown its lines in between; its part of the log is gone.
      if (resumed) line = undefined;
      continue;
    }
    const known = STATE.exec(text);
    if (known?.[1]) {
      state(known[1]);
      continue;
    }
    if (text.startsWith('Validating ')) {
      path = [];
      start = [];
      frame = 0;
    }
    if (!NOISE.test(text) && !NOTE.test(text)) message.push(text.trimEnd());
  }
  return { path, message, start };
}

/**
 * `r0 = 0     ; R0=0` in two. At level 1 the state of a path that is taken up again may follow the jump, and that of a
 * callback its call: `if r1 == 0x7 goto pc+4 14: R0=0`; then the third is true.
 */
function splitState(text: string): [words: string, known: string | undefined, resumed: boolean] {
  const at = text.search(/\s+; (?:frame\d+: |R\d|fp-|refs=)/);
  if (at >= 0) return [text.slice(0, at), text.slice(at).replace(/^\s+; /, ''), false];
  const [, words, known] = /^(.*?) \d+: ((?:frame\d+: |R\d+=).*)$/.exec(text) ?? [];
  if (words !== undefined) return [words.trimEnd(), known, true];
  return [text.trimEnd(), undefined, false];
}

/** `R1=ctx() R2=scalar(umax=7) R10=fp0` as names and values; those of the frame that it is of. */
export function registersOf(state: string): Map<string, string> {
  const found = new Map<string, string>();
  let depth = 0;
  let from = 0;
  const take = (to: number): void => {
    const [, name, value] = /^(R\d+|fp-?\d+|refs)(?:_[a-zA-Z]+)?=(.*)$/.exec(state.slice(from, to)) ?? [];
    if (name !== undefined && value !== undefined) found.set(name, value);
    from = to + 1;
  };
  for (let i = 0; i < state.length; i++) {
    const c = state[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (c === ' ' && depth <= 0) take(i);
  }
  take(state.length);
  return found;
}

/** What was known of a register (`R1`) or stack slot (`fp-8`) before step `index`; undefined for nothing. */
export function knownBefore(log: ParsedLog, index: number, name: string, frame: number): string | undefined {
  for (let i = index - 1; i >= -1; i--) {
    const states = i < 0 ? log.start : (log.path[i]?.state ?? []);
    for (let k = states.length - 1; k >= 0; k--) {
      const state = states[k] as string;
      if (frameOf(state) !== frame) continue;
      const value = registersOf(state).get(name);
      if (value !== undefined) return value;
    }
  }
  return undefined;
}
