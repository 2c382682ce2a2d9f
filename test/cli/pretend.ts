// The command on a machine that lacks something: another system, a missing package, missing rights.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Outcome, root } from './skep.js';

const main = path.join(root, 'dist/cli/main.js');
const folder = mkdtempSync(path.join(tmpdir(), 'skep-pretend-'));

/** What is run before the command. */
const preludes = {
  'no Linux': `Object.defineProperty(process, 'platform', { value: 'darwin' });`,
  'no koffi': `
    const Module = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = (name, ...rest) => {
      if (name === 'koffi') throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
      return resolve(name, ...rest);
    };`,
} as const;
export type Lack = keyof typeof preludes | 'no rights';
export const lacks: readonly Lack[] = ['no Linux', 'no koffi', 'no rights'];

/** The command where something is missing. To take rights away the process must have them (root, setpriv). */
export function skepWithout(lack: Lack, args: readonly string[]): Outcome {
  const command = [process.execPath];
  if (lack === 'no rights') command.unshift('setpriv', '--bounding-set=-all', '--inh-caps=-all');
  else {
    const file = path.join(folder, `${lack.replace(' ', '-')}.cjs`);
    writeFileSync(file, preludes[lack]);
    command.push('--require', file);
  }
  const [first = '', ...rest] = [...command, main, ...args];
  const { status, stdout, stderr, error } = spawnSync(first, rest, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', LC_ALL: 'C.UTF-8' },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}
