// From paths to what they stand for (Linux: fs/namei.c): which component fails first, and with what.

import { BpfError, Errno } from '../../bpf/errno.js';
import type { Task } from '../machine.js';
import { Access, Directory, type FileNode } from './nodes.js';

/** PATH_MAX, with the NUL at the end; NAME_MAX. */
const MAX_PATH = 4095;
const MAX_NAME = 255;

const utf8 = new TextEncoder();

/** Where a path leads: the directory of its last component, and that component. */
export interface Place {
  readonly directory: Directory;
  /** `.`, `..` and the empty name (of `/`) are no names that can be made or taken away. */
  readonly name: string;
  /** The path ends with a slash, so that only a directory will do. */
  readonly slash: boolean;
}

/** The paths of one command of one task, from the root on. */
export class Paths {
  readonly #root: Directory;
  readonly #task: Task;
  readonly #command: string;

  constructor(root: Directory, task: Task, command: string) {
    this.#root = root;
    this.#task = task;
    this.#command = command;
  }

  fail(errno: Errno, path: string, detail = ''): never {
    throw new BpfError(this.#command, errno, `${JSON.stringify(path)}${detail && `: ${detail}`}`);
  }

  /** Throws EACCES unless the task may. */
  demand(node: FileNode, access: number, path: string): void {
    if (!node.allows(this.#task, access)) this.fail(Errno.EACCES, path);
  }

  /** What a name in a directory stands for; undefined for nothing. */
  lookup(directory: Directory, name: string, path: string): FileNode | undefined {
    this.demand(directory, Access.Exec, path);
    if (name === '' || name === '.') return directory;
    if (name === '..') return directory.parent;
    const found = directory.children.get(name);
    if (found) return found;
    const refused = directory.fs.refusesLookup?.(name);
    if (refused) this.fail(refused, path, `${JSON.stringify(name)} is kept for the kernel's own names`);
    if (utf8.encode(name).length > MAX_NAME) this.fail(Errno.ENAMETOOLONG, path);
    return undefined;
  }

  /** Everything but the last component. */
  place(path: string): Place {
    if (path === '') this.fail(Errno.ENOENT, path);
    if (path.includes('\0')) this.fail(Errno.EINVAL, path, 'a path has no NUL');
    if (utf8.encode(path).length > MAX_PATH) this.fail(Errno.ENAMETOOLONG, `${path.slice(0, 40)}...`);
    const names = path.split('/').filter((name) => name !== '');
    const name = names.pop() ?? '';
    let directory = this.#root;
    for (const step of names) {
      const next = this.lookup(directory, step, path);
      if (!next) return this.#missing(path);
      if (!(next instanceof Directory)) return this.fail(Errno.ENOTDIR, path);
      directory = next;
    }
    return { directory, name, slash: name !== '' && path.endsWith('/') };
  }

  #missing(path: string): never {
    const known = ['/sys/', '/proc/'].some((top) => path.startsWith(top));
    return this.fail(
      Errno.ENOENT,
      path,
      known ? '' : 'the emulated kernel has /sys and /proc, and a bpf file system at /sys/fs/bpf',
    );
  }

  /** What the whole path stands for; ENOENT for nothing. */
  find(path: string): FileNode {
    const { directory, name, slash } = this.place(path);
    const node = this.lookup(directory, name, path);
    if (!node) return this.#missing(path);
    if (slash && !(node instanceof Directory)) return this.fail(Errno.ENOTDIR, path);
    return node;
  }

  /** Where something new is to be; EEXIST when there is something. Only directories may have a slash behind them. */
  vacant(path: string, isDirectory: boolean): Place {
    const place = this.place(path);
    const { directory, name, slash } = place;
    if (name === '' || name === '.' || name === '..') this.fail(Errno.EEXIST, path);
    if (this.lookup(directory, name, path)) this.fail(Errno.EEXIST, path);
    if (slash && !isDirectory) this.fail(Errno.ENOENT, path);
    if (directory.fs.refusesNames === Errno.ENOENT) this.fail(Errno.ENOENT, path);
    return place;
  }

  /** Whether the task may add a name to a directory (may_create). */
  mayCreate({ directory }: Place, path: string): void {
    this.demand(directory, Access.Write | Access.Exec, path);
  }

  /** Whether the task may take a name away (may_delete): a sticky directory lets only owners do so. */
  mayDelete({ directory }: Place, node: FileNode, isDirectory: boolean, path: string): void {
    const { uid } = this.#task;
    this.demand(directory, Access.Write | Access.Exec, path);
    const sticky = (directory.mode & 0o1000) !== 0;
    if (sticky && uid !== 0 && uid !== node.uid && uid !== directory.uid) this.fail(Errno.EPERM, path);
    if (isDirectory !== node instanceof Directory) {
      this.fail(isDirectory ? Errno.ENOTDIR : Errno.EISDIR, path);
    }
  }
}
