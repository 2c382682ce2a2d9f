// Where the kernels of a user are found: a directory that nobody else may look into, with a socket for each. Node does not
// say who is at the other end of a socket, so the directory is what keeps others out.

import { lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { SkepError } from '../base/error.js';
import { fileError } from './file-error.js';

/** Where a kernel is. */
export interface KernelPlace {
  readonly name: string;
  /** What it listens on: a socket in the file system, in Windows a named pipe. */
  readonly socket: string;
  /** What it notes down. */
  readonly log: string;
  /** Where both are; in Windows the pipe is elsewhere. */
  readonly directory: string;
}

/** The kernel that is meant when none is named. */
export const DEFAULT_KERNEL = 'default';

/** sun_path of macOS, less its NUL; Linux has four bytes more. */
const MAX_SOCKET_PATH = 103;
/** What the name of a socket has besides while its kernel starts (election.ts). */
const CANDIDATE = 24;

const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/i;
const WINDOWS = process.platform === 'win32';
const SOCKET = '.sock';
const PIPES = '\\\\.\\pipe\\';
const pipePrefix = (): string => `skep-${userInfo().username}-`;

/** The places where this user's kernels are, or were and have left their socket behind. */
export function kernelPlaces(): KernelPlace[] {
  const names = WINDOWS
    ? readdirSync(PIPES)
        .filter((entry) => entry.startsWith(pipePrefix()))
        .map((entry) => entry.slice(pipePrefix().length))
    : readdirSync(runDirectory())
        .filter((entry) => entry.endsWith(SOCKET))
        .map((entry) => entry.slice(0, -SOCKET.length));
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map(kernelPlace);
}

/** The place of a kernel of this user; its directory is made where there is none. Throws a SkepError that says what is wrong. */
export function kernelPlace(name: string): KernelPlace {
  if (!NAME.test(name)) {
    throw new SkepError(`a kernel cannot be called \`${name}\``, {
      hint: 'Names have 1 to 32 letters, digits, - and _; `linux` is the kernel of this machine.',
    });
  }
  const directory = runDirectory();
  const log = path.join(directory, `${name}.log`);
  const socket = WINDOWS ? `${PIPES}${pipePrefix()}${name}` : path.join(directory, `${name}${SOCKET}`);
  if (WINDOWS) return { name, socket, log, directory };
  if (Buffer.byteLength(socket) + CANDIDATE > MAX_SOCKET_PATH) {
    throw new SkepError(`the path is too long for a socket: ${socket}`, {
      hint: 'Set XDG_RUNTIME_DIR or TMPDIR to a directory with a shorter name.',
    });
  }
  return { name, socket, log, directory };
}

function runDirectory(): string {
  const directory = chosenDirectory();
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(directory, error);
  }
  check(directory, lstatSync(directory));
  return directory;
}

function chosenDirectory(): string {
  const { XDG_RUNTIME_DIR } = process.env;
  if (WINDOWS) return path.join(tmpdir(), 'skep');
  // After `sudo -E` it is still that of the other user.
  if (XDG_RUNTIME_DIR && path.isAbsolute(XDG_RUNTIME_DIR) && isOurs(XDG_RUNTIME_DIR)) {
    return path.join(XDG_RUNTIME_DIR, 'skep');
  }
  return path.join(tmpdir(), `skep-${process.getuid?.()}`);
}

function isOurs(directory: string): boolean {
  try {
    const stat = lstatSync(directory);
    return stat.isDirectory() && stat.uid === process.getuid?.();
  } catch {
    return false;
  }
}

/** Throws unless the directory is this user's and closed to all others. */
function check(directory: string, stat: Stats): void {
  const refuse = (message: string, hint: string): never => {
    throw new SkepError(message, { where: directory, hint });
  };
  const use = 'Remove it, or set XDG_RUNTIME_DIR to a directory of your own.';
  if (!stat.isDirectory()) refuse('the sockets of kernels belong into a directory, and this is none', use);
  // Windows: the directory of temporary files is the user's, and pipes are not in it.
  if (WINDOWS) return;
  if (stat.uid !== process.getuid?.()) refuse('it belongs to another user, who could listen in', use);
  if (stat.mode & 0o077) {
    refuse(
      `other users may get into it (mode ${(stat.mode & 0o777).toString(8)}), and so at the kernels`,
      `chmod 700 ${directory}`,
    );
  }
}
