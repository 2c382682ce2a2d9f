// What names in the emulated kernel's file tree stand for: directories, pinned objects, and files that the kernel makes up
// when they are read.

import type { FileKind } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import type { Task } from '../machine.js';
import type { KernelObject, Objects } from '../objects.js';

/** Bits of a mode, of one who asks. */
export const Access = { Exec: 1, Write: 2, Read: 4 } as const;

abstract class Inode {
  /** Permission bits. */
  mode: number;
  uid: number;

  constructor(mode: number, uid: number) {
    this.mode = mode;
    this.uid = uid;
  }

  abstract readonly kind: FileKind;
  readonly size: number = 0;

  /** Whether a task may do all of `access`. Root may, but for running what nobody may run. */
  allows(task: Task, access: number): boolean {
    if (task.uid === 0) return true;
    const bits = task.uid === this.uid ? this.mode >> 6 : this.mode;
    return (bits & access) === access;
  }
}

/** A mounted file system: names cannot be moved between two of them. */
export interface FileSystem {
  readonly type: string;
  /** Why nothing can be made here; undefined where it can. */
  readonly refusesNames?: Errno;
  /** Why a name cannot even be looked for. */
  refusesLookup?(name: string): Errno | undefined;
}

export class Directory extends Inode {
  readonly kind = 'directory' as const;
  readonly fs: FileSystem;
  readonly children = new Map<string, FileNode>();
  /** Itself at the root. */
  parent: Directory;

  constructor(fs: FileSystem, parent: Directory | undefined, mode: number, uid = 0) {
    super(mode, uid);
    this.fs = fs;
    this.parent = parent ?? this;
  }

  /** Whether `other` is this directory or somewhere in it. */
  holds(other: Directory): boolean {
    for (let at = other; ; at = at.parent) {
      if (at === this) return true;
      if (at.parent === at) return false;
    }
  }
}

/** A pinned object. It is a user of the object as long as it has a name. */
export class Pin extends Inode {
  readonly kind: 'prog' | 'map' | 'link';
  readonly object: KernelObject;
  readonly #objects: Objects;
  #names = 0;

  constructor(objects: Objects, object: KernelObject, kind: Pin['kind'], mode: number, uid: number) {
    super(mode, uid);
    this.kind = kind;
    this.object = object;
    this.#objects = objects;
  }

  /** One name more. */
  named(): void {
    if (this.#names++ === 0) this.#objects.use(this.object);
  }

  /** One name less. */
  unnamed(): void {
    if (--this.#names === 0) this.#objects.unuse(this.object);
  }
}

/** What reads a file bit by bit. */
export interface FileReader {
  /** At most `size` bytes; waits where there will be more, and is empty at the end. */
  read(size: number): Promise<Uint8Array>;
  /** Nobody reads any more; whoever waits gets nothing. */
  close(): void;
}

/** Of a file that the kernel makes up. What cannot be is left out. */
export interface FileContent {
  /** All of it; of one without an end, what there is. */
  read?(task: Task): Promise<Uint8Array> | Uint8Array;
  /** It is opened to be written anew (O_TRUNC). */
  truncate?(): void;
  /** Throws a BpfError for what it does not take. */
  write?(content: Uint8Array, task: Task): void;
  /** A reader of its own, where `read` is not all. */
  open?(task: Task): FileReader;
  size?: number;
}

export class MadeFile extends Inode {
  readonly kind = 'file' as const;
  readonly content: FileContent;
  override readonly size: number;

  constructor(mode: number, content: FileContent) {
    super(mode, 0);
    this.content = content;
    this.size = content.size ?? 0;
  }

  /** Nobody may do what the mode does not say, root neither (Linux: sysctl_perm, kernfs_fop_open). */
  override allows(task: Task, access: number): boolean {
    const bits = task.uid === 0 ? this.mode >> 6 : this.mode;
    return (bits & access) === access;
  }
}

export type FileNode = Directory | Pin | MadeFile;

/** What the kernel shows of itself: nothing can be made there. */
export const sysfs: FileSystem = { type: 'sysfs', refusesNames: Errno.EPERM };
/** The same, but already the name is not found. */
export const procfs: FileSystem = { type: 'proc', refusesNames: Errno.ENOENT };
export const tracefs: FileSystem = { type: 'tracefs', refusesNames: Errno.EPERM };
export const debugfs: FileSystem = { type: 'debugfs', refusesNames: Errno.EPERM };
export const devtmpfs: FileSystem = { type: 'devtmpfs', refusesNames: Errno.EPERM };
export const rootfs: FileSystem = { type: 'rootfs', refusesNames: Errno.EROFS };

/** A dot in a name is kept for the kernel's own (bpf_lookup). */
export const bpffs: FileSystem = {
  type: 'bpf',
  refusesLookup: (name) => (name.includes('.') ? Errno.EPERM : undefined),
};
