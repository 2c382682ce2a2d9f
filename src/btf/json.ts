// JSON as bpftool prints it: on one line, or indented by its own rule (an array's items stay on one line,
// an object's members each get one, and a closing bracket stands at the depth that the nesting counts).

/** A value to print: what JSON has, 64-bit integers, text printed as it stands, and objects. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonRaw
  | JsonMembers
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** Printed as it stands: `0x11`, which bpftool's plain output does not quote. */
export class JsonRaw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object whose member names may repeat, as those of a struct with two anonymous unions do. */
export class JsonMembers {
  readonly members: readonly (readonly [name: string, value: JsonValue])[];

  constructor(members: readonly (readonly [string, JsonValue])[]) {
    this.members = members;
  }
}

/** Prints `value` as bpftool does for `-j`, or with `pretty` for `-p`; without the final line end. */
export function printBpftoolJson(value: JsonValue, options: { pretty?: boolean } = {}): string {
  const parts: string[] = [];
  print(value, options.pretty === true, 0, parts);
  return parts.join('');
}

const escapes: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\f': '\\f',
  '\b': '\\b',
  '\\': '\\\\',
  '"': '\\"',
};

function quote(text: string): string {
  return `"${text.replace(/["\\\p{Cc}]/gu, (c) => escapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

function print(value: JsonValue, pretty: boolean, depth: number, parts: string[]): void {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') {
    parts.push(String(value));
  } else if (typeof value === 'number') {
    parts.push(Object.is(value, -0) ? '-0' : String(value));
  } else if (typeof value === 'string') {
    parts.push(quote(value));
  } else if (value instanceof JsonRaw) {
    parts.push(value.text);
  } else if (isArray(value)) {
    parts.push('[');
    value.forEach((item, i) => {
      if (i > 0) parts.push(',');
      print(item, pretty, depth + 1, parts);
    });
    if (pretty && value.length > 0) parts.push(newLine(depth));
    parts.push(']');
  } else {
    const members = value instanceof JsonMembers ? value.members : Object.entries(value);
    parts.push('{');
    members.forEach(([name, member], i) => {
      if (i > 0) parts.push(',');
      if (pretty) parts.push(newLine(depth + 1));
      parts.push(quote(name), pretty ? ': ' : ':');
      print(member, pretty, depth + 1, parts);
    });
    if (pretty && members.length > 0) parts.push(newLine(depth));
    parts.push('}');
  }
}

const isArray = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

const newLine = (depth: number) => `\n${'    '.repeat(depth)}`;
