import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OWN_COMMANDS, toolLine } from './tool-line.js';

const line = (text: string, calledAs = '/usr/bin/skep') =>
  toolLine(text === '' ? [] : text.split(' '), calledAs);
const skep = (text: string, kernel?: string) => ({ name: 'skep', kernel, argv: text.split(' ') });

describe('a command line is of bpftool’s grammar', () => {
  test.each([
    ['prog list', skep('prog list')],
    ['p', skep('p')],
    ['-j -p map show name x', skep('-j -p map show name x')],
    ['prog show --pretty', skep('prog show --pretty')],
    ['-B base.btf btf list', skep('-B base.btf btf list')],
    ['version', skep('version')],
    ['ver', skep('ver')],
    ['-V', skep('-V')],
    ['help prog', skep('prog help')],
    ['struct', skep('struct')],
    ['--kernel linux prog list', skep('prog list', 'linux')],
    ['prog list --kernel=work', skep('prog list', 'work')],
    ['prog show -- --kernel x', skep('prog show -- --kernel x')],
  ])('%s', (text, expected) => {
    expect(line(text)).toEqual(expected);
  });

  test('always, when it is called by that name', () => {
    expect(line('run x', '/usr/local/sbin/bpftool')).toEqual({
      name: 'bpftool',
      kernel: undefined,
      argv: ['run', 'x'],
    });
    expect(line('', 'C:\\tools\\bpftool')).toEqual({ name: 'bpftool', kernel: undefined, argv: [] });
  });
});

describe('a command line is Skep’s own', () => {
  test.each([
    '',
    '--help',
    '--version',
    'help',
    'help run',
    'run prog.bpf.o',
    'verify x',
    'kernel start',
    'nonsense',
    '-j',
  ])('%j', (text) => {
    expect(line(text)).toBeUndefined();
  });

  test('for every command that it has', () => {
    const sources = ['commands', 'file-command', 'kernel-command', 'dev-command'].map((name) =>
      readFileSync(new URL(`${name}.ts`, import.meta.url), 'utf8'),
    );
    const named = sources.join('\n').matchAll(/(?:addCommand|(?<![.\w])command)\(\s*'([a-z]+)'/g);
    for (const [, name] of named) expect(OWN_COMMANDS).toContain(name);
    for (const name of OWN_COMMANDS) expect(line(name)).toBeUndefined();
  });
});
