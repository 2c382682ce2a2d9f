// Types of an object as TypeScript: those of the values that maps and variables have (btf/value.ts).

import { type Btf, type BtfComposite, type BtfType, IntEncoding } from '../../btf/index.js';
import { identifierOf } from './described.js';

/** How deep types may be nested in one before the rest is left open. */
const MAX_DEPTH = 32;

/** Words that cannot be a type's name. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'any bigint boolean number object string symbol undefined unknown never void null true false class enum export ' +
    'import default function new return this typeof var let const switch case type interface'
  ).split(' '),
);

/** Types as text, and the interfaces that the text refers to. */
export class TsTypes {
  readonly #btf: Btf;
  readonly #names = new Map<number, string>();
  readonly #taken: Set<string>;
  readonly #interfaces: string[] = [];

  /** `taken`: names that the module has for something else. */
  constructor(btf: Btf, taken: Iterable<string>) {
    this.#btf = btf;
    this.#taken = new Set(taken);
  }

  /** Declarations of the structures that were named so far. */
  get interfaces(): readonly string[] {
    return this.#interfaces;
  }

  /** The type of values of type `id`. */
  of(id: number, depth = 0): string {
    const btf = this.#btf;
    const type = btf.type(btf.skipModifiers(id));
    if (depth > MAX_DEPTH) return 'Value';
    switch (type.kind) {
      case 'INT':
        return this.#integer(type.encoding, type.bits);
      case 'ENUM':
      case 'ENUM64':
        return this.#enumeration(type);
      case 'PTR':
        return 'bigint';
      case 'FLOAT':
        return 'number';
      case 'ARRAY': {
        const element = btf.type(btf.skipModifiers(type.type));
        const list = `readonly ${wrapped(this.of(type.type, depth + 1))}[]`;
        // Text, as long as it can be printed.
        const isText = element.kind === 'INT' && element.size === 1;
        return isText ? `string | Uint8Array | ${list}` : list;
      }
      case 'STRUCT':
      case 'UNION':
        return type.name === '' ? `{ ${this.#members(type, depth).join(' ')} }` : this.#named(type, depth);
      default:
        return 'Value';
    }
  }

  #integer(encoding: number, bits: number): string {
    if (encoding === IntEncoding.Bool) return 'boolean';
    return bits > 32 ? 'bigint' : 'number';
  }

  /** Enumerators by name; what has none is a number. */
  #enumeration(type: Extract<BtfType, { kind: 'ENUM' | 'ENUM64' }>): string {
    const names = [...new Set(type.values.map(({ name }) => JSON.stringify(name).replaceAll('"', "'")))];
    return [...names, type.size > 4 ? 'bigint' : 'number'].join(' | ');
  }

  #named(type: BtfComposite, depth: number): string {
    const known = this.#names.get(type.id);
    if (known !== undefined) return known;
    const name = this.#free(identifierOf(type.name));
    this.#names.set(type.id, name);
    const at = this.#interfaces.push('') - 1;
    const members = this.#members(type, depth).map((member) => `  ${member}\n`);
    const what = type.kind === 'STRUCT' ? 'struct' : 'union';
    this.#interfaces[at] = `/** ${what} ${type.name} */\nexport interface ${name} {\n${members.join('')}}\n`;
    return name;
  }

  #free(wanted: string): string {
    let name = RESERVED.has(wanted) || /^[0-9]/.test(wanted) ? `${wanted}_` : wanted;
    while (this.#taken.has(name)) name = `${name}_`;
    this.#taken.add(name);
    return name;
  }

  /** `readonly name: type;` of each member; those of anonymous members are among them. */
  #members(type: BtfComposite, depth: number): string[] {
    const found = new Map<string, string>();
    const collect = (composite: BtfComposite, level: number): void => {
      for (const { name, type: id, bitSize } of composite.members) {
        const inner = this.#btf.type(this.#btf.skipModifiers(id));
        if (name !== '') {
          const own =
            bitSize > 0 && inner.kind === 'INT' ? this.#integer(inner.encoding, bitSize) : undefined;
          if (!found.has(name)) found.set(name, own ?? this.of(id, level + 1));
        } else if ((inner.kind === 'STRUCT' || inner.kind === 'UNION') && level < MAX_DEPTH) {
          collect(inner, level + 1);
        }
      }
    };
    collect(type, depth);
    return [...found].map(([name, text]) => `readonly ${property(name)}: ${text};`);
  }
}

/** As an element of an array. */
export const wrapped = (text: string): string =>
  text.includes('|') || text.startsWith('readonly') ? `(${text})` : text;

/** A name as a property has it, in quotes where it must be. */
export const property = (name: string): string =>
  /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : `'${name.replace(/[\\']/g, '\\$&')}'`;
