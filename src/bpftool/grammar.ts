// What may stand next in a command line, as the usage texts say it. A line of them is a command, a definition is what an
// upper-case word stands for:
//
//     skep prog dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]
//     PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }

export interface Expected {
  /** Words of the grammar. */
  words: string[];
  /** Upper-case words for values that are expected: `PROG_ID`, `FILE`, `DEVNAME`. */
  values: string[];
}

const isWord = (token: string): boolean => /^[a-z][a-z0-9_/]*$/.test(token);
const isValue = (token: string): boolean => /^[A-Z][A-Z0-9_]*$/.test(token);

/** Tokens without the brackets; `<devname>` is DEVNAME. */
const tokensOf = (text: string): string[] =>
  text
    .replace(/<(\w+)>/g, (_, name: string) => name.toUpperCase())
    .replace(/[{}[\]|()\\.*]/g, ' ')
    .split(/\s+/)
    .filter((token) => isWord(token) || isValue(token));

/** The grammar of one object. */
export class Grammar {
  /** What stands behind the command's name, by that name. */
  readonly #commands = new Map<string, string>();
  readonly #definitions = new Map<string, string>();

  /** `usage`: the text without `Usage: `; `start`: what each command line begins with, `skep prog`. */
  constructor(usage: string, start: string) {
    for (const statement of statements(usage, start)) {
      const definition = /^([A-Z_]+)\s*:=\s*(.*)$/s.exec(statement);
      if (definition) {
        this.#definitions.set(definition[1] ?? '', definition[2] ?? '');
        continue;
      }
      const command = /^(?:\{([^}]*)\}|(\S+))(.*)$/s.exec(statement.slice(start.length).trim());
      for (const name of tokensOf(command?.[1] ?? command?.[2] ?? '')) {
        // Several lines may begin alike: `dump xlated`, `dump jited`.
        const before = this.#commands.get(name);
        this.#commands.set(name, `${before === undefined ? '' : `${before}\n`}${command?.[3] ?? ''}`);
      }
    }
  }

  /** What may stand behind `given`, the words behind the command. */
  after(command: string, given: readonly string[]): Expected {
    const found: Expected = { words: [], values: [] };
    for (const line of this.#commands.get(command)?.split('\n') ?? []) this.#afterIn(line, given, found);
    return { words: [...new Set(found.words)], values: [...new Set(found.values)] };
  }

  #afterIn(line: string, given: readonly string[], found: Expected): void {
    const bracket = line.indexOf('[');
    const required = bracket < 0 ? line : line.slice(0, bracket);
    let at = 0;
    for (const [part] of required.matchAll(/\{[^}]*\}|<\w+>|[^\s{}|]+/g)) {
      const [token = ''] = tokensOf(part);
      if (token === '') continue;
      const word = given[at];
      const firsts = this.#firsts(part);
      if (word === undefined) {
        found.words.push(...firsts.words);
        found.values.push(...firsts.values);
        return;
      }
      at++;
      if (
        firsts.words.length > 0 &&
        firsts.values.length === 0 &&
        !firsts.words.some((one) => one.startsWith(word))
      ) {
        return;
      }
      const values = this.#valuesBehind(part, word);
      if (values.length === 0) continue;
      if (given[at] === undefined) {
        found.values.push(...values);
        return;
      }
      at++;
    }
    // Behind what must be there, whatever may be; or the value of the word before.
    const optional = bracket < 0 ? '' : line.slice(bracket);
    const last = given.at(-1);
    const values = last === undefined || at >= given.length ? [] : this.#valuesBehind(optional, last);
    if (values.length > 0) found.values.push(...values);
    else found.words.push(...this.#all(optional).filter((word) => !given.slice(at).includes(word)));
  }

  /** What an expression may begin with. */
  #firsts(text: string, depth = 0): Expected {
    const alternatives = text.replace(/^\{|\}$/g, '').split('|');
    const found: Expected = { words: [], values: [] };
    for (const alternative of alternatives) {
      const [token] = tokensOf(alternative);
      if (token === undefined) continue;
      const definition = this.#definitions.get(token);
      if (isWord(token)) found.words.push(token);
      else if (definition === undefined || depth > 8) found.values.push(token);
      else {
        const inner = this.#firsts(definition, depth + 1);
        found.words.push(...inner.words);
        found.values.push(...inner.values);
      }
    }
    return found;
  }

  /** Every word of an expression, those of what it refers to included. */
  #all(text: string, depth = 0): string[] {
    return tokensOf(text).flatMap((token) => {
      if (isWord(token)) return [token];
      const definition = this.#definitions.get(token);
      return definition === undefined || depth > 8 ? [] : this.#all(definition, depth + 1);
    });
  }

  /** The values that stand behind a word of an expression: PROG_ID behind `id`. */
  #valuesBehind(text: string, word: string, depth = 0): string[] {
    const tokens = tokensOf(text);
    return tokens.flatMap((token, i) => {
      const next = tokens[i + 1];
      if (isWord(token)) {
        const typed = word !== '' && token.startsWith(word);
        if (!typed || next === undefined || !isValue(next)) return [];
        const definition = this.#definitions.get(next);
        return definition === undefined ? [next] : this.#firsts(definition).values;
      }
      const definition = this.#definitions.get(token);
      return definition === undefined || depth > 8 ? [] : this.#valuesBehind(definition, word, depth + 1);
    });
  }
}

/** Commands and definitions, each in one line whatever it is written in. */
function statements(usage: string, start: string): string[] {
  const found: string[] = [];
  for (const line of usage.split('\n')) {
    const text = line.trim();
    if (text.startsWith(start) || /^[A-Z_]+\s*:=/.test(text)) found.push(text);
    // What is set out at the edge is no grammar.
    else if (text !== '' && line.startsWith(' ') && found.length > 0) found.push(`${found.pop()} ${text}`);
    else if (/^\S/.test(line)) break;
  }
  return found;
}
