// JSON as bpftool prints it, compact or pretty. A document is written as it comes, so that a list of a million elements
// needs no memory. In pretty form a name begins a line of its own, an element of an array does not:
//
//     [{
//             "id": 7,
//             "map_ids": [1,2
//             ]
//         }
//     ]

const INDENT = '    ';

/** JSON's escapes; other control characters and everything beyond ASCII stay as they are, as bpftool leaves them. */
const ESCAPES: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\f': '\\f',
  '\b': '\\b',
  '\\': '\\\\',
  '"': '\\"',
};

const quoted = (text: string): string => `"${text.replace(/[\t\n\r\f\b\\"]/g, (c) => ESCAPES[c] ?? c)}"`;

export type Scalar = string | number | bigint | boolean | null;
/** What `value` writes at once: scalars, arrays and objects of them. */
export type Json = Scalar | readonly Json[] | { readonly [name: string]: Json | undefined };

export class JsonWriter {
  readonly #write: (text: string) => void;
  readonly #pretty: boolean;
  /** The closing brackets of what is open. */
  readonly #open: ('}' | ']')[] = [];
  #separator = '';
  /** A name was written, and its value was not yet. */
  #named = false;

  constructor(write: (text: string) => void, pretty: boolean) {
    this.#write = write;
    this.#pretty = pretty;
  }

  #endOfRecord(): void {
    this.#write(this.#separator);
    this.#separator = ',';
    this.#named = false;
  }

  #endOfLine(): void {
    if (this.#pretty) this.#write(`\n${INDENT.repeat(this.#open.length)}`);
  }

  #begin(bracket: string, closing: '}' | ']'): void {
    this.#endOfRecord();
    this.#write(bracket);
    this.#open.push(closing);
    this.#separator = '';
  }

  #end(bracket: '}' | ']'): void {
    if (this.#open.pop() !== bracket) throw new Error(`there is no ${bracket} to write`);
    if (this.#separator !== '') this.#endOfLine();
    this.#write(bracket);
    this.#separator = ',';
  }

  startObject(): void {
    this.#begin('{', '}');
  }

  endObject(): void {
    this.#end('}');
  }

  startArray(): void {
    this.#begin('[', ']');
  }

  endArray(): void {
    this.#end(']');
  }

  /** The name of the member whose value is written next. */
  name(name: string): void {
    this.#endOfRecord();
    this.#endOfLine();
    this.#separator = '';
    this.#named = true;
    this.#write(`${quoted(name)}:${this.#pretty ? ' ' : ''}`);
  }

  scalar(value: Scalar): void {
    this.#endOfRecord();
    this.#write(typeof value === 'string' ? quoted(value) : String(value));
  }

  /** A value that is text already: a number in another form. */
  raw(text: string): void {
    this.#endOfRecord();
    this.#write(text);
  }

  /** A whole value; members that are undefined are left out. */
  value(value: Json): void {
    if (value === null || typeof value !== 'object') {
      this.scalar(value);
      return;
    }
    if (Array.isArray(value)) {
      this.startArray();
      for (const element of value as readonly Json[]) this.value(element);
      this.endArray();
      return;
    }
    this.startObject();
    for (const [name, member] of Object.entries(value)) this.member(name, member);
    this.endObject();
  }

  /** A name and its value; nothing when that is undefined. */
  member(name: string, value: Json | undefined): void {
    if (value === undefined) return;
    this.name(name);
    this.value(value);
  }

  /** How many arrays and objects are open. */
  get depth(): number {
    return this.#open.length;
  }

  /** Whether a member is to be written next, and not a value. */
  get inObject(): boolean {
    return this.#open.at(-1) === '}' && !this.#named;
  }

  /** Ends arrays and objects until so many are open; what was named and got no value is null. */
  endTo(depth: number): void {
    while (this.#open.length > depth) {
      if (this.#named) this.scalar(null);
      this.#end(this.#open.at(-1) === '}' ? '}' : ']');
    }
  }
}
