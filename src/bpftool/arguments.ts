// The words of a command, taken one after the other. Keywords may be abbreviated: any prefix is understood, and of several
// keywords with that prefix the first in the table is meant.

import { ToolError } from './tool-error.js';

/** Whether `word` is a keyword or the beginning of it; an empty word begins all of them. */
export const isPrefix = (word: string, keyword: string): boolean => keyword.startsWith(word);

export class Arguments {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /** How many words are left. */
  get left(): number {
    return this.#words.length - this.#at;
  }

  /** The word that comes next, if there is one. */
  get peek(): string | undefined {
    return this.#words[this.#at];
  }

  /** The words that are left. */
  get rest(): readonly string[] {
    return this.#words.slice(this.#at);
  }

  /** Takes the next word. `what` is what it should have been, for the error. */
  next(what?: string): string {
    const word = this.peek;
    if (word === undefined) {
      throw new ToolError(what === undefined ? 'an argument is missing' : `an argument is missing: ${what}`);
    }
    this.#at++;
    return word;
  }

  /** Whether the next word is (the beginning of) `keyword`; it stays. */
  is(keyword: string): boolean {
    return this.peek !== undefined && isPrefix(this.peek, keyword);
  }

  /** Takes the next word if it is (the beginning of) `keyword`. */
  take(keyword: string): boolean {
    if (!this.is(keyword)) return false;
    this.#at++;
    return true;
  }

  /** Fails with this exit status unless at least so many words are left. */
  require(count: number, status?: number): void {
    if (this.left >= count) return;
    throw new ToolError(`'${this.last ?? ''}' needs at least ${count} arguments, ${this.left} found`, status);
  }

  /** The error for a word that has no business here. */
  unexpected(): ToolError {
    return new ToolError(`what is '${this.peek ?? ''}'?`);
  }

  /** Takes so many words without looking. */
  skip(count = 1): void {
    this.#at += count;
  }

  /** The word that was taken last. */
  get last(): string | undefined {
    return this.#words[this.#at - 1];
  }
}
