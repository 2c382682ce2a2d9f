// skep cat | ls | mkdir | rmdir | rm | mv: the files that belong to a kernel. Of the kernel of this machine these change only
// names in bpf file systems: for everything else there are the commands of the system.

import path from 'node:path';
import type { Bpf, FileEntry, FileKind, FileStat } from '../bpf/bpf.js';
import { BpfError, Errno, errnoMessage } from '../bpf/errno.js';
import { type Connection, connectKernel } from './connect.js';
import { UsageError } from './errors.js';
import { write } from './output.js';
import { printable, table } from './text.js';

export interface FileCommandOptions {
  kernel?: string;
}

export interface ListOptions extends FileCommandOptions {
  long?: boolean;
  directory?: boolean;
  json?: boolean;
}

export interface MakeOptions extends FileCommandOptions {
  parents?: boolean;
  mode?: number;
}

export interface RemoveOptions extends FileCommandOptions {
  recursive?: boolean;
  force?: boolean;
}

/** Bytes that are asked for at once. */
const CHUNK = 1 << 16;
const BPFFS = '/sys/fs/bpf';

/** As the shell's directory has it; where that means nothing to the kernel it is not found there. */
const absolute = (name: string): string => path.posix.resolve(process.cwd().replaceAll('\\', '/'), name);

/** Does `body` for each of the names, and goes on when one fails, as the commands of the shell do: exit status 1. */
async function forEach(
  options: FileCommandOptions,
  names: readonly string[],
  failed: string,
  body: (connection: Connection, name: string) => Promise<void>,
): Promise<void> {
  const connection = await connectKernel(options.kernel);
  try {
    for (const name of names) await tell(failed, name, () => body(connection, name));
  } finally {
    await connection.release();
  }
}

/** `skep: cannot remove /sys/fs/bpf/x: No such file or directory`. */
async function tell(failed: string, name: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const what = failed === '' ? printable(name) : `${failed} ${printable(name)}`;
    process.stderr.write(`skep: ${what}: ${errnoMessage(error.errno)}\n`);
    process.exitCode = 1;
  }
}

/** Names of the kernel of this machine are changed in bpf file systems alone. */
async function changeable({ bpf, linux }: Connection, name: string): Promise<string> {
  const target = absolute(name);
  if (!linux) return target;
  const mounts = await bpf.bpfMounts();
  if (mounts.some((mount) => target.startsWith(`${mount}/`))) return target;
  throw new UsageError(`${name} is not in a bpf file system`, {
    hint: 'For the other files of this machine there are the commands of the system.',
  });
}

/** Writes files to standard output; goes on with what comes where they have no end, as trace_pipe. */
export async function cat(names: readonly string[], options: FileCommandOptions): Promise<void> {
  await forEach(options, names, '', async ({ bpf }, name) => {
    const file = await bpf.open(absolute(name));
    try {
      for (;;) {
        const bytes = await bpf.read(file, CHUNK);
        if (bytes.length === 0) return;
        await write(bytes);
      }
    } finally {
      await bpf.close(file);
    }
  });
}

/** `drwxr-xr-x`, as ls(1) shows it. */
function modeText({ kind, mode }: FileStat): string {
  const bits = [...'rwxrwxrwx'].map((letter, i) => (mode & (0o400 >> i) ? letter : '-'));
  if (mode & 0o1000) bits[8] = bits[8] === 'x' ? 't' : 'T';
  return (kind === 'directory' ? 'd' : '-') + bits.join('');
}

interface Listed {
  name: string;
  kind: FileKind;
  mode?: string;
  uid?: number;
  size?: number;
}

/** What is in directories, or files themselves, with what they stand for. */
export async function list(given: readonly string[], options: ListOptions): Promise<void> {
  const names = given.length > 0 ? given : [BPFFS];
  const documents: { path: string; entries: Listed[] }[] = [];
  await forEach(options, names, 'cannot access', async ({ bpf }, name) => {
    const target = absolute(name);
    const stat = await bpf.fileStat(target);
    const isDirectory = stat.kind === 'directory' && !options.directory;
    const entries = isDirectory ? await bpf.fileList(target) : [{ name, kind: stat.kind }];
    const listed = await described(bpf, isDirectory ? target : undefined, entries, options, stat);
    if (options.json) documents.push({ path: target, entries: listed });
    else {
      const header = names.length > 1 && isDirectory ? `${name}:\n` : '';
      await write(header + listing(listed, options));
    }
  });
  if (options.json) await write(`${JSON.stringify(documents, undefined, 2)}\n`);
}

/** With `long` or `json`, entries with what can be said of them. `self` belongs to the one that is no directory's. */
async function described(
  bpf: Bpf,
  directory: string | undefined,
  entries: readonly FileEntry[],
  { long, json }: ListOptions,
  self: FileStat,
): Promise<Listed[]> {
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!long && !json) return sorted;
  const listed: Listed[] = [];
  for (const entry of sorted) {
    try {
      const stat =
        directory === undefined ? self : await bpf.fileStat(path.posix.join(directory, entry.name));
      listed.push({ ...entry, mode: modeText(stat), uid: stat.uid, size: stat.size });
    } catch (error) {
      // It has gone meanwhile.
      if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw error;
    }
  }
  return listed;
}

function listing(entries: readonly Listed[], { long }: ListOptions): string {
  if (!long) return entries.map(({ name }) => `${printable(name)}\n`).join('');
  const rows = entries.map(({ name, kind, mode = '', uid, size }) => [
    mode,
    String(uid),
    String(size),
    kind,
    printable(name),
  ]);
  return table(rows, { indent: '', right: [1, 2] });
}

/** Makes directories; with `parents` those above them too, and none is an error. */
export async function makeDirectories(names: readonly string[], options: MakeOptions): Promise<void> {
  await forEach(options, names, 'cannot create directory', async (connection, name) => {
    const target = await changeable(connection, name);
    if (!options.parents) return connection.bpf.mkdir(target, options.mode);
    const steps = target.split('/').slice(1);
    for (let i = 1; i <= steps.length; i++) {
      await makeIfMissing(connection.bpf, `/${steps.slice(0, i).join('/')}`, options.mode);
    }
  });
}

async function makeIfMissing(bpf: Bpf, target: string, mode: number | undefined): Promise<void> {
  try {
    if ((await bpf.fileStat(target)).kind === 'directory') return;
    throw new BpfError('mkdir', Errno.EEXIST, target);
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== Errno.ENOENT) throw error;
  }
  await bpf.mkdir(target, mode);
}

/** Removes empty directories. */
export async function removeDirectories(
  names: readonly string[],
  options: FileCommandOptions,
): Promise<void> {
  await forEach(options, names, 'failed to remove', async (connection, name) => {
    await connection.bpf.rmdir(await changeable(connection, name));
  });
}

/** Removes names; with `recursive` directories and what is in them. */
export async function remove(names: readonly string[], options: RemoveOptions): Promise<void> {
  await forEach(options, names, 'cannot remove', async (connection, name) => {
    const target = await changeable(connection, name);
    try {
      if (options.recursive) await removeTree(connection.bpf, target);
      else await connection.bpf.unlink(target);
    } catch (error) {
      const isMissing = error instanceof BpfError && error.errno === Errno.ENOENT;
      if (!options.force || !isMissing) throw error;
    }
  });
}

async function removeTree(bpf: Bpf, target: string): Promise<void> {
  if ((await bpf.fileStat(target)).kind !== 'directory') return bpf.unlink(target);
  for (const { name } of await bpf.fileList(target)) await removeTree(bpf, path.posix.join(target, name));
  await bpf.rmdir(target);
}

/** Gives names new names, or moves them into a directory, the last of `names`. */
export async function move(names: readonly string[], options: FileCommandOptions): Promise<void> {
  const sources = names.slice(0, -1);
  const last = names.at(-1) as string;
  await forEach(options, sources, 'cannot move', async (connection, name) => {
    const { bpf } = connection;
    const [from, to] = [await changeable(connection, name), await changeableTarget(connection, last)];
    const isInto = await isDirectory(bpf, to);
    if (sources.length > 1 && !isInto) {
      throw new UsageError(`${last} is no directory, and ${sources.length} names are to be moved`);
    }
    await bpf.rename(from, isInto ? path.posix.join(to, path.posix.basename(from)) : to);
  });
}

/** A bpf file system itself is a target, too. */
async function changeableTarget(connection: Connection, name: string): Promise<string> {
  const target = absolute(name);
  if ((await connection.bpf.bpfMounts()).includes(target)) return target;
  return changeable(connection, name);
}

async function isDirectory(bpf: Bpf, target: string): Promise<boolean> {
  try {
    return (await bpf.fileStat(target)).kind === 'directory';
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return false;
    throw error;
  }
}
