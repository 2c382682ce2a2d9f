// Decoded values (a map's keys and values, variables) as one line of text or as JSON.

import { Alignment } from '../btf/align.js';
import type { Btf } from '../btf/btf.js';
import { CText } from '../btf/c-text.js';
import type { Value } from '../btf/value.js';
import { hexBytes, printable } from './text.js';

/** `{ packets: 2, bytes: 120, mac: [2, 0, 0, 0, 1, 1] }`; at most about `limit` characters, then `...`. */
export function valueText(value: Value, limit = 2000): string {
  const parts: string[] = [];
  let left = limit;
  const put = (text: string): void => {
    left -= text.length;
    parts.push(text);
  };
  const list = (open: string, close: string, items: readonly (() => void)[]): void => {
    put(open);
    for (const [i, item] of items.entries()) {
      if (i > 0) put(', ');
      if (left < 0) {
        put('...');
        break;
      }
      item();
    }
    put(close);
  };
  const write = (item: Value): void => {
    if (typeof item === 'string') put(/^[A-Za-z_]\w*$/.test(item) ? item : JSON.stringify(printable(item)));
    else if (item instanceof Uint8Array) put(hexBytes(item.subarray(0, limit)));
    else if (Array.isArray(item))
      list(
        '[',
        ']',
        item.map((element: Value) => () => write(element)),
      );
    else if (typeof item === 'object') {
      const members = Object.entries(item).map(([name, member]) => () => {
        put(`${name}: `);
        write(member);
      });
      list('{ ', ' }', members);
    } else put(String(item));
  };
  write(value);
  return parts.join('');
}

/** What JSON has: integers beyond 2^53 become decimal strings, bytes hexadecimal ones. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export function toJson(value: unknown): Json {
  switch (typeof value) {
    case 'bigint':
      return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : String(value);
    case 'number':
      // JSON has no word for these.
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
    case 'string':
      return value;
    case 'object':
      if (value === null) return null;
      if (value instanceof Uint8Array) return hexBytes(value);
      if (Array.isArray(value)) return value.map(toJson);
      return Object.fromEntries(
        Object.entries(value)
          .filter(([, member]) => member !== undefined)
          .map(([name, member]) => [name, toJson(member)]),
      );
    default:
      return null;
  }
}

/** A declaration in C on one line: `const volatile __u16 blocked_port`; only the type without a name. */
export function declarationText(btf: Btf, id: number, name = ''): string {
  const text = new CText(btf, new Alignment(btf));
  const type = btf.type(id);
  // A function is declared by its prototype.
  text.declaration(type.kind === 'FUNC' ? type.type : id, name, 0);
  return printable(text.toString().replace(/\s+/g, ' ').trim());
}
