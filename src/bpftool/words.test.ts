// The small parts of the grammar: numbers, bytes, batches, JSON, and the order of lists.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arguments } from './arguments.js';
import { batchLines, batchWords } from './batch.js';
import { hexLines, takeBytes } from './bytes.js';
import { IdTable } from './id-table.js';
import { type Json, JsonWriter } from './json-writer.js';
import { parseUnsigned, parseUnsigned32 } from './number.js';

describe('numbers are read as strtoul reads them', () => {
  test.each([
    ['7', 0, 7n],
    ['0x1f', 0, 31n],
    ['010', 0, 8n],
    ['08', 0, undefined],
    ['10', 16, 16n],
    ['0x10', 16, 16n],
    ['ff', 16, 255n],
    ['ff', 0, undefined],
    ['  42', 0, 42n],
    ['42 ', 0, undefined],
    ['-1', 0, 0xffffffffffffffffn],
    ['+3', 0, 3n],
    ['', 0, undefined],
    ['0x', 0, undefined],
    ['99999999999999999999999', 0, 0xffffffffffffffffn],
  ] as const)('%j in base %d', (text, base, value) => {
    expect(parseUnsigned(text, base)).toBe(value);
  });

  test('what goes into 32 bits is cut to them', () => {
    expect(parseUnsigned32('0x100000001')).toBe(1);
    expect(parseUnsigned32('-1')).toBe(0xffffffff);
  });
});

describe('bytes', () => {
  const taken = (text: string, count: number) => [...takeBytes(new Arguments(text.split(' ')), 'key', count)];

  test('are decimal, hexadecimal with 0x, or all of them after hex', () => {
    expect(taken('1 0x10 255', 3)).toEqual([1, 16, 255]);
    expect(taken('hex 10 ff', 2)).toEqual([16, 255]);
    expect(taken('256', 1)).toEqual([0]);
  });

  test('that are missing or no numbers are named', () => {
    expect(() => taken('1 2', 4)).toThrow('key expected 4 bytes got 2');
    expect(() => taken('1 x', 2)).toThrow('error parsing byte: x');
    expect(() => taken('hex 1 0y', 2)).toThrow('error parsing byte: 0y');
  });

  test('are printed sixteen a line', () => {
    expect(hexLines(Uint8Array.from({ length: 18 }, (_, at) => at))).toBe(
      '00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f\n10 11',
    );
  });
});

describe('a batch', () => {
  test.each([
    ['a b\nc\n', ['a b\n', 'c\n']],
    ['# all of it\na # rest\n', ['', 'a ']],
    ['a \\\nb\n', ['a b\n']],
    ['a \\\nb # c\n', ['a b ']],
    ['a', ['a']],
  ])('%j', (text, lines) => {
    expect([...batchLines(text)].filter((line) => line !== '')).toEqual(lines.filter((line) => line !== ''));
  });

  test.each([
    ['prog show', ['prog', 'show']],
    ['  a\t b\r\n', ['a', 'b']],
    [`"a b" 'c "d'`, ['a b', 'c "d']],
    ['""', ['']],
    [' ', []],
  ])('%j has the words %j', (line, words) => {
    expect(batchWords(line, 0)).toEqual(words);
  });

  test('that breaks off says where', () => {
    expect(() => [...batchLines('a\nb \\\n')]).toThrow('missing continuation line on command 1');
    expect(() => batchWords('a "b', 3)).toThrow('unterminated quoted string in command 3');
  });
});

describe('JSON', () => {
  const written = (value: Json, pretty: boolean) => {
    let text = '';
    new JsonWriter((part) => {
      text += part;
    }, pretty).value(value);
    return text;
  };

  test('is laid out as bpftool does it', () => {
    expect(written([{ id: 7, map_ids: [1, 2], none: [] }, 'x'], true)).toBe(
      '[{\n        "id": 7,\n        "map_ids": [1,2\n        ],\n        "none": []\n    },"x"\n]',
    );
    expect(written([{ id: 7, name: 'a"\\\n' }], false)).toBe('[{"id":7,"name":"a\\"\\\\\\n"}]');
  });

  test('is what it says in both forms', () => {
    // Control characters that JSON knows no letter for are left as they are, as bpftool leaves them.
    const text = fc.string({ unit: fc.constantFrom(...'aé"\\/\n\t\r {}[]:,') });
    const json = fc.jsonValue({ maxDepth: 4, stringUnit: fc.constantFrom(...'aé"\\\n\t {}') });
    fc.assert(
      fc.property(json, text, (value, name) => {
        const document = { [name]: value as Json };
        for (const pretty of [false, true])
          expect(JSON.parse(written(document, pretty))).toEqual(JSON.parse(JSON.stringify(document)));
      }),
    );
  });

  test('that breaks off is ended', () => {
    let text = '';
    const json = new JsonWriter((part) => {
      text += part;
    }, false);
    json.startArray();
    json.startObject();
    json.member('a', 1);
    json.name('b');
    json.endTo(0);
    expect(text).toBe('[{"a":1,"b":null}]');
  });
});

test('what belongs to an id is listed as by chains that grow from the front and turn around with the table', () => {
  const after = (count: number) => {
    const table = new IdTable<number>();
    for (let value = 1; value <= count; value++) table.append(9, value);
    return table.lists.get(9);
  };
  expect(after(2)).toEqual([2, 1]);
  expect(after(3)).toEqual([3, 2, 1]);
  // The fourth makes the table grow.
  expect(after(4)).toEqual([4, 1, 2, 3]);
  expect(after(7)).toEqual([7, 3, 2, 1, 4, 5, 6]);
});
