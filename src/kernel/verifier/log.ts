// The verifier's log: Linux's lines. Level 1 shows the path that failed, level 2 every instruction with the state after
// it, level 4 only the figures at the end.

/** BPF_LOG_LEVEL1, LEVEL2, STATS. */
export const LogLevel = { BRANCHES: 1, INSTRUCTIONS: 2, STATISTICS: 4 } as const;

/** Columns in which the state after an instruction begins, at least, and what it is rounded up to. */
const STATE_COLUMN = 40;
const COLUMN_STEP = 8;

export class VerifierLog {
  readonly level: number;
  #lines: string[] = [];
  #partial = '';
  /** Line (index) of the last instruction, while nothing has been written behind it; its length in characters. */
  #insnLine = -1;
  #insnLength = 0;
  /** Lines of instructions with a state behind them, and the length before it. */
  readonly #withState: { readonly line: number; readonly length: number }[] = [];

  constructor(level: number) {
    this.level = level;
  }

  /** Anything is shown at all. */
  get needed(): boolean {
    return this.level !== 0;
  }
  /** Paths and instructions are shown (either level). */
  get path(): boolean {
    return (this.level & 3) !== 0;
  }
  /** Every path is kept, with the states. */
  get verbose(): boolean {
    return (this.level & LogLevel.INSTRUCTIONS) !== 0;
  }

  write(text: string): void {
    if (!this.level) return;
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#lines.push(this.#partial + text.slice(from, at));
      this.#partial = '';
      from = at + 1;
    }
    this.#partial += text.slice(from);
  }

  /** The line of an instruction; what `state` says next goes behind it. */
  instruction(text: string): void {
    this.write(`${text}\n`);
    this.#insnLine = this.#lines.length - 1;
    this.#insnLength = text.length + 1;
  }

  /** What is known after the last instruction, or before `slot` when other lines came between. */
  beginState(slot: number): void {
    if (this.#insnLine >= 0 && this.#insnLine === this.#lines.length - 1 && !this.#partial) {
      const line = this.#lines.pop() ?? '';
      this.#withState.push({ line: this.#insnLine, length: line.length });
      const column = Math.max(this.#insnLength + COLUMN_STEP / 2, STATE_COLUMN);
      const padding = Math.ceil(column / COLUMN_STEP) * COLUMN_STEP - this.#insnLength - 1;
      this.#partial = `${line}${' '.repeat(padding)};`;
    } else {
      this.write(`${slot}:`);
    }
    this.#insnLine = -1;
  }

  /** A place to go back to. */
  get position(): number {
    return this.#lines.length;
  }

  /** Forgets everything behind a place (level 1: the path was fine). */
  reset(position: number): void {
    if (position < this.#lines.length) this.#lines.length = position;
    this.#partial = '';
    // A state that was written behind an instruction took the place of its line end: what follows stands on its line.
    for (let top = this.#withState.at(-1); top && top.line >= position - 1; top = this.#withState.at(-1)) {
      this.#withState.pop();
      if (top.line === position - 1) this.#partial = `${(this.#lines.pop() ?? '').slice(0, top.length)} `;
    }
    this.#insnLine = -1;
  }

  /** All of it. */
  get text(): string {
    const tail = this.#partial;
    return this.#lines.length > 0 ? `${this.#lines.join('\n')}\n${tail}` : tail;
  }
}
