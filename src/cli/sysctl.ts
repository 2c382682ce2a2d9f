// skep sysctl: the settings of a kernel under /proc/sys, as sysctl(8) shows and changes them.

import type { Bpf } from '../bpf/bpf.js';
import { BpfError, Errno, errnoMessage } from '../bpf/errno.js';
import { connectKernel } from './connect.js';
import { write } from './output.js';
import { printable } from './text.js';

export interface SysctlOptions {
  kernel?: string;
  /** Only values. */
  values?: boolean;
  /** Only names. */
  names?: boolean;
  /** Nothing of what was written. */
  quiet?: boolean;
  /** Everything must be NAME=VALUE. */
  write?: boolean;
  /** What is not there is left out. */
  ignore?: boolean;
  all?: boolean;
}

const ROOT = '/proc/sys';
const utf8 = { encode: new TextEncoder(), decode: new TextDecoder() };

/**
 * `net.core.bpf_jit_enable` and `net/core/bpf_jit_enable` both name a file. The first separator in it decides which one
 * parts directories; the other stands for itself exchanged, so that `net.ipv4.conf.eth0/1` is the device `eth0.1`.
 */
export function settingPath(name: string): string {
  const separator = /[./]/.exec(name)?.[0];
  if (separator !== '.') return `${ROOT}/${name}`;
  return `${ROOT}/${name.replace(/[./]/g, (letter) => (letter === '.' ? '/' : '.'))}`;
}

/** The name of a setting as it is shown. */
export const settingName = (path: string): string =>
  path.slice(ROOT.length + 1).replace(/[./]/g, (letter) => (letter === '/' ? '.' : '/'));

/** Shows settings by name, or sets them (`NAME=VALUE`). Exit status 1 when one of them could not be. */
export async function sysctl(words: readonly string[], options: SysctlOptions): Promise<void> {
  const { bpf, release } = await connectKernel(options.kernel);
  try {
    if (options.all) await show(bpf, ROOT, options);
    for (const word of words) {
      const equals = word.indexOf('=');
      if (equals >= 0) await set(bpf, word.slice(0, equals).trim(), word.slice(equals + 1).trim(), options);
      else if (options.write) complain(`"${printable(word)}" must be of the form name=value`);
      else await showNamed(bpf, word.trim(), options);
    }
  } finally {
    await release();
  }
}

function complain(text: string): void {
  process.stderr.write(`skep: ${text}\n`);
  process.exitCode = 1;
}

const missing = (path: string): string => `cannot stat ${printable(path)}: ${errnoMessage(Errno.ENOENT)}`;

/** What a BpfError of `body` means is told; true when there was none. */
async function attempt(
  doing: 'reading' | 'setting',
  path: string,
  options: SysctlOptions,
  body: () => Promise<void>,
): Promise<boolean> {
  const key = `key "${printable(settingName(path))}"`;
  try {
    await body();
    return true;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { errno } = error;
    if (errno === Errno.ENOENT || errno === Errno.ENOTDIR) {
      if (!options.ignore) complain(missing(path));
    } else if (errno === Errno.EACCES || errno === Errno.EPERM) {
      complain(`permission denied on ${key}`);
    } else complain(`${doing} ${key}: ${errnoMessage(errno)}`);
    return false;
  }
}

async function showNamed(bpf: Bpf, name: string, options: SysctlOptions): Promise<void> {
  const path = settingPath(name);
  await attempt('reading', path, options, () => show(bpf, path, options));
}

/** One setting, or all that are below a directory. */
async function show(bpf: Bpf, path: string, options: SysctlOptions): Promise<void> {
  const { kind, mode } = await bpf.fileStat(path);
  if (kind === 'directory') {
    const entries = [...(await bpf.fileList(path))].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const below = `${path}/${entry.name}`;
      await attempt('reading', below, options, () => show(bpf, below, options));
    }
    return;
  }
  // Some can only be written.
  if (!(mode & 0o444)) return;
  const name = settingName(path);
  if (options.names) return write(`${name}\n`);
  await write(settingText(name, utf8.decode.decode(await bpf.readFile(path)), options));
}

/** A value of several lines has the name before each. */
function settingText(name: string, value: string, { values }: SysctlOptions): string {
  return value
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => `${values ? '' : `${name} = `}${line.split('\t').map(printable).join('\t')}\n`)
    .join('');
}

async function set(bpf: Bpf, name: string, value: string, options: SysctlOptions): Promise<void> {
  const path = settingPath(name);
  const done = await attempt('setting', path, options, async () => {
    await bpf.fileStat(path);
    await bpf.writeFile(path, utf8.encode.encode(`${value}\n`));
  });
  if (done && !options.quiet) await write(settingText(settingName(path), value, options));
}
