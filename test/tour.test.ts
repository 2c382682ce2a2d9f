// The tour does what it says: every command of docs/tour.md is run, in order, against a kernel of its own, and prints what
// the page shows. The sources that it shows are those of the examples.
//
//     ...          stands for lines that are left out
//     ^C           ends a command that follows something, when it has printed what is shown
//
// Times, dates, addresses and sizes of machine code are not compared. SKEP_UPDATE_TOUR=1 writes what is printed into the page.

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Background, main, root } from './remote/background.js';

const page = path.join(root, 'docs/tour.md');
const update = process.env.SKEP_UPDATE_TOUR === '1';
let text = readFileSync(page, 'utf8');

const blocks = (language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)\`\`\`$`, 'gms'))].map(([, body = '']) => body);

interface Step {
  command: string;
  /** What is shown under it. */
  shown: string;
}

const stepsOf = (block: string): Step[] =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const end = step.indexOf('\n');
      return { command: step.slice(0, end), shown: step.slice(end + 1) };
    });

/** What differs from run to run. */
const masked = (text: string): string =>
  text
    .replaceAll(/(loaded_at )\S+/g, '$1DATE')
    .replaceAll(/("loaded_at": )\d+/g, '$1DATE')
    .replaceAll(/(jited )\d+B/g, '$1SIZE')
    .replaceAll(/("bytes_jited": )\d+/g, '$1SIZE')
    .replaceAll(/(call \w+)#\d+$/gm, '$1#ADDRESS')
    .replaceAll(/ in [\d.]+ m?s([;,.])/g, ' in TIME$1')
    .replaceAll(/(\] \S{5}) +\d+\.\d{6}: /g, '$1 TIME: ');

/** Whether `printed` is what is shown, given that `...` may be any lines. */
function matches(shown: string, printed: string): boolean {
  const parts = masked(shown).split(/^\.\.\.\n/m);
  const pattern = parts.map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&'));
  return new RegExp(`^${pattern.join('(?:.*\\n)*?')}$`).test(masked(printed));
}

/** As much of what is printed as was shown before. */
function excerpt(shown: string, printed: string): string {
  const parts = shown.split(/^\.\.\.\n/m);
  const lines = printed.split(/(?<=\n)/);
  const count = (part = '') => part.split('\n').length - 1;
  if (parts.length === 1) return printed;
  const last = count(parts.at(-1));
  return [...lines.slice(0, count(parts[0])), '...\n', ...lines.slice(lines.length - last)].join('');
}

describe('the tour', () => {
  let background: Background;
  let folder: string;
  /** How much of the page is as it is printed. */
  let written = 0;

  beforeAll(() => {
    background = new Background();
    folder = mkdtempSync(path.join(tmpdir(), 'skep-tour-'));
    symlinkSync(path.join(root, 'examples'), path.join(folder, 'examples'));
  });
  afterAll(async () => {
    await background[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
    if (update) writeFileSync(page, text);
  });

  /** Runs a command; one that shows `^C` is interrupted when it has printed what is above. */
  async function run({ command, shown }: Step): Promise<{ status: number | null; printed: string }> {
    const [name, ...args] = command.split(/ +/);
    expect(name).toBe('skep');
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', LC_ALL: 'C.UTF-8' },
    });
    let [printed, errors] = ['', ''];
    const wanted = shown.endsWith('^C\n') ? shown.slice(0, -'^C\n'.length) : undefined;
    // When the page is written, what is enough is not known: some time without more.
    let patience: NodeJS.Timeout | undefined;
    child.stdout.setEncoding('utf8').on('data', (data: string) => {
      printed += data;
      if (wanted === undefined) return;
      if (matches(wanted, printed)) child.kill('SIGINT');
      if (!update) return;
      clearTimeout(patience);
      patience = setTimeout(() => child.kill('SIGINT'), 2000);
    });
    child.stderr.setEncoding('utf8').on('data', (data: string) => {
      errors += data;
    });
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('close', resolve);
      child.once('error', reject);
    });
    const all = wanted === undefined ? errors + printed : `${printed}^C\n`;
    return { status, printed: all };
  }

  const scenes = blocks('console').map((block) => {
    const steps = stepsOf(block);
    return { steps, title: steps.map(({ command }) => command).join('; ') };
  });

  test.each(scenes)(
    '$title',
    async ({ steps }) => {
      for (const step of steps) {
        const { status, printed } = await run(step);
        if (update) {
          const now = matches(step.shown, printed) ? step.shown : excerpt(step.shown, printed);
          const at = text.indexOf(`$ ${step.command}\n${step.shown}`, written) + `$ ${step.command}\n`.length;
          text = text.slice(0, at) + now + text.slice(at + step.shown.length);
          written = at + now.length;
        } else if (!matches(step.shown, printed)) {
          expect(masked(printed), step.command).toBe(masked(step.shown));
        }
        if (step.shown.endsWith('^C\n')) continue;
        const fails = /^(Error|skep): /m.test(printed);
        expect([step.command, status === 0]).toEqual([step.command, !fails]);
      }
    },
    120_000,
  );
});

test('the sources are those of the examples', () => {
  const folders = ['examples', 'examples/tour'].map((folder) => path.join(root, folder));
  const sources = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => readFileSync(path.join(folder, name), 'utf8')),
  );
  for (const block of blocks('c')) {
    expect(
      sources.some((source) => source.includes(block)),
      block,
    ).toBe(true);
  }
});
