import { describe, expect, test } from 'vitest';
import { parseLine } from './options.js';

const parsed = (text: string) => parseLine(text === '' ? [] : text.split(' '));
const usual = parsed('').options;

describe('options are found as getopt_long finds them', () => {
  test.each([
    ['-j prog list', { json: true }, 'prog list'],
    ['prog list -jp', { json: true, pretty: true }, 'prog list'],
    ['prog -p list', { json: true, pretty: true }, 'prog list'],
    ['--json --bpffs prog', { json: true, bpffs: true }, 'prog'],
    ['--pre prog', { json: true, pretty: true }, 'prog'],
    ['-fmnd prog', { bpffs: true, mapCompat: true, nomount: true, debug: true }, 'prog'],
    ['-B base btf list', { baseBtf: 'base' }, 'btf list'],
    ['-Bbase btf list', { baseBtf: 'base' }, 'btf list'],
    ['-jB base btf', { json: true, baseBtf: 'base' }, 'btf'],
    ['--base-btf=base btf', { baseBtf: 'base' }, 'btf'],
    ['--base-btf base btf', { baseBtf: 'base' }, 'btf'],
    [
      '-S -k key -i cert prog',
      { sign: true, useLoader: true, privateKey: 'key', certificate: 'cert' },
      'prog',
    ],
    ['-L prog load x', { useLoader: true }, 'prog load x'],
    ['prog run data_out -', {}, 'prog run data_out -'],
    ['prog -- -j list', {}, 'prog -j list'],
    ['prog dump xlated name x visual --svg out.svg', {}, 'prog dump xlated name x visual --svg out.svg'],
  ])('%s', (text, options, words) => {
    const line = parsed(text);
    expect(line.options).toEqual({ ...usual, ...options });
    expect(line.words).toEqual(words.split(' '));
    expect(line.unrecognized).toBeUndefined();
  });

  test.each([
    ['-x prog', '-x'],
    ['-jx prog', '-jx'],
    ['--nonsense', '--nonsense'],
    ['--b', '--b'],
    ['--json=1', '--json=1'],
    ['-B', '-B'],
    ['--base-btf', '--base-btf'],
  ])('%s is not understood', (text, unrecognized) => {
    expect(parsed(text).unrecognized).toBe(unrecognized);
  });

  test('nothing behind -h is looked at; -V waits for the end', () => {
    expect(parsed('-h -x')).toMatchObject({ helpRequested: true, unrecognized: undefined });
    expect(parsed('-V -j')).toMatchObject({ versionRequested: true, options: { json: true } });
  });
});
