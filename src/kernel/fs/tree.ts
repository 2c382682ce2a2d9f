// The file tree of the emulated kernel: what system calls on names do, in each of its file systems (Linux: fs/namei.c,
// fs/libfs.c, kernel/bpf/inode.c).

import type { FileEntry, FileStat } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import type { Task } from '../machine.js';
import type { KernelObject, Objects } from '../objects.js';
import { Access, bpffs, Directory, type FileNode, MadeFile, Pin, rootfs } from './nodes.js';
import { Paths, type Place } from './paths.js';

/** What every process of the emulated kernel takes away from the modes of what it makes. */
const MASK = 0o022;
const BPFFS = '/sys/fs/bpf';

export class FileTree {
  readonly #root = new Directory(rootfs, undefined, 0o755);
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Where bpf file systems are. */
  get bpfMounts(): string[] {
    return [BPFFS];
  }

  /** The directory of a path, made with those above it where it is missing; for whoever builds the tree. */
  directory(path: string): Directory {
    let at = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const found = at.children.get(name);
      const next = found instanceof Directory ? found : new Directory(at.fs, at, 0o555);
      at.children.set(name, next);
      at = next;
    }
    return at;
  }

  #paths(task: Task, command: string): Paths {
    return new Paths(this.#root, task, command);
  }

  list(task: Task, path: string): FileEntry[] {
    const paths = this.#paths(task, 'readdir');
    const node = paths.find(path);
    if (!(node instanceof Directory)) return paths.fail(Errno.ENOTDIR, path);
    paths.demand(node, Access.Read, path);
    // Linux puts what is new in front.
    return [...node.children].map(([name, { kind }]) => ({ name, kind })).reverse();
  }

  stat(task: Task, path: string): FileStat {
    const { kind, mode, uid, size } = this.#paths(task, 'stat').find(path);
    return { kind, mode, uid, size };
  }

  mkdir(task: Task, path: string, mode: number): void {
    const paths = this.#paths(task, 'mkdir');
    const place = paths.vacant(path, true);
    paths.mayCreate(place, path);
    const { directory, name } = place;
    if (directory.fs.refusesNames) paths.fail(directory.fs.refusesNames, path);
    directory.children.set(name, new Directory(directory.fs, directory, mode & 0o1777 & ~MASK, task.uid));
  }

  rmdir(task: Task, path: string): void {
    const paths = this.#paths(task, 'rmdir');
    const place = paths.place(path);
    if (place.name === '..') paths.fail(Errno.ENOTEMPTY, path);
    if (place.name === '.') paths.fail(Errno.EINVAL, path);
    if (place.name === '') paths.fail(Errno.EBUSY, path);
    const node = this.#there(paths, place, path);
    paths.mayDelete(place, node, true, path);
    if (isMount(node, place)) paths.fail(Errno.EBUSY, path, 'a file system is mounted there');
    if (place.directory.fs.refusesNames) paths.fail(Errno.EPERM, path);
    if (node instanceof Directory && node.children.size > 0) paths.fail(Errno.ENOTEMPTY, path);
    place.directory.children.delete(place.name);
  }

  unlink(task: Task, path: string): void {
    const paths = this.#paths(task, 'unlink');
    const place = paths.place(path);
    if (isSpecial(place)) paths.fail(Errno.EISDIR, path);
    const node = this.#there(paths, place, path);
    if (place.slash) paths.fail(node instanceof Directory ? Errno.EISDIR : Errno.ENOTDIR, path);
    paths.mayDelete(place, node, false, path);
    if (place.directory.fs.refusesNames) paths.fail(Errno.EPERM, path);
    place.directory.children.delete(place.name);
    if (node instanceof Pin) node.unnamed();
  }

  rename(task: Task, from: string, to: string): void {
    const paths = this.#paths(task, 'rename');
    const source = paths.place(from);
    const target = paths.place(to);
    if (source.directory.fs !== target.directory.fs) paths.fail(Errno.EXDEV, to, 'another file system');
    if (isSpecial(source)) paths.fail(Errno.EBUSY, from);
    if (isSpecial(target)) paths.fail(Errno.EBUSY, to);
    const node = this.#there(paths, source, from);
    const before = paths.lookup(target.directory, target.name, to);
    const isDirectory = node instanceof Directory;
    if (!isDirectory && (source.slash || target.slash)) paths.fail(Errno.ENOTDIR, from);
    if (isDirectory && node.holds(target.directory)) paths.fail(Errno.EINVAL, to, `it is in ${from}`);
    if (before instanceof Directory && before.holds(source.directory)) paths.fail(Errno.ENOTEMPTY, to);
    if (before === node) return;
    paths.mayDelete(source, node, isDirectory, from);
    if (before) paths.mayDelete(target, before, isDirectory, to);
    else paths.mayCreate(target, to);
    if (isDirectory && source.directory !== target.directory) paths.demand(node, Access.Write, from);
    if (isMount(node, source)) paths.fail(Errno.EBUSY, from, 'a file system is mounted there');
    if (source.directory.fs.refusesNames) paths.fail(Errno.EPERM, from);
    if (before instanceof Directory && before.children.size > 0) paths.fail(Errno.ENOTEMPTY, to);
    source.directory.children.delete(source.name);
    target.directory.children.set(target.name, node);
    if (isDirectory) node.parent = target.directory;
    if (before instanceof Pin) before.unnamed();
  }

  link(task: Task, from: string, to: string): void {
    const paths = this.#paths(task, 'link');
    const parent = paths.place(from).directory;
    const node = paths.find(from);
    const target = paths.vacant(to, false);
    const { fs } = node instanceof Directory ? node : parent;
    if (fs !== target.directory.fs) paths.fail(Errno.EXDEV, to, 'another file system');
    paths.mayCreate(target, to);
    if (fs.refusesNames || !(node instanceof Pin)) {
      paths.fail(Errno.EPERM, from);
      return;
    }
    target.directory.children.set(target.name, node);
    node.named();
  }

  chmod(task: Task, path: string, mode: number): void {
    const paths = this.#paths(task, 'chmod');
    const node = paths.find(path);
    if ((task.uid !== 0 && task.uid !== node.uid) || node instanceof MadeFile) paths.fail(Errno.EPERM, path);
    node.mode = mode & 0o7777;
  }

  /** BPF_OBJ_PIN: a name for an object in a bpf file system. */
  pin(task: Task, path: string, object: KernelObject, kind: Pin['kind']): void {
    const paths = this.#paths(task, 'BPF_OBJ_PIN');
    const place = paths.vacant(path, false);
    if (place.directory.fs !== bpffs) paths.fail(Errno.EPERM, path, 'this is not in a bpf file system');
    paths.mayCreate(place, path);
    const pin = new Pin(this.#objects, object, kind, 0o600 & ~MASK, task.uid);
    place.directory.children.set(place.name, pin);
    pin.named();
  }

  /** BPF_OBJ_GET: what is pinned at a path, for `access`. */
  pinned(task: Task, path: string, access: number): Pin {
    const paths = this.#paths(task, 'BPF_OBJ_GET');
    const node = paths.find(path);
    paths.demand(node, access, path);
    if (!(node instanceof Pin)) return paths.fail(Errno.EACCES, path, 'no pinned object');
    return node;
  }

  /** A file or directory for open(2). */
  open(task: Task, path: string, access: number): MadeFile | Directory {
    const paths = this.#paths(task, 'open');
    const node = paths.find(path);
    if (node instanceof Directory && access & Access.Write) return paths.fail(Errno.EISDIR, path);
    paths.demand(node, access, path);
    if (node instanceof Pin) return paths.fail(Errno.EIO, path, 'a pinned object is no file to read');
    return node;
  }

  /** Whether a path is the root of a bpf file system. */
  isBpfRoot(task: Task, path: string): boolean {
    const node = this.#paths(task, 'open').find(path);
    return node instanceof Directory && node.fs === bpffs && node.parent.fs !== bpffs;
  }

  #there(paths: Paths, { directory, name }: Place, path: string): FileNode {
    return paths.lookup(directory, name, path) ?? paths.fail(Errno.ENOENT, path);
  }
}

const isMount = (node: FileNode, { directory }: Place): boolean =>
  node instanceof Directory && node.fs !== directory.fs;

/** `.`, `..` and `/`. */
const isSpecial = ({ name }: Place): boolean => name === '' || name === '.' || name === '..';
