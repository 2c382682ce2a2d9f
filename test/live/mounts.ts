// A bpf file system of the test's own at /sys/fs/bpf. A mount namespace belongs to a thread that shares its root and working
// directory with no other: this one steps into a new namespace, and back.

import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNS = 0x00020000;
const MNT_DETACH = 2;
const MS_REC_PRIVATE = 0x4000 | 0x40000;

const BPFFS = '/sys/fs/bpf';

const libc = koffi.load(null);
const unshare = libc.func('int unshare(int flags)');
const setns = libc.func('int setns(int fd, int type)');
const umount = libc.func('int umount2(const char *where, int flags)');
const mount = libc.func(
  'int mount(const char *what, const char *where, const char *type, ulong flags, void *data)',
);

function checked(what: string, result: number): void {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
}

/** A new mount namespace with an empty /sys/fs/bpf; this thread is in it until it is disposed of. */
export class Mounts implements Disposable {
  readonly #home = openSync('/proc/thread-self/ns/mnt', 'r');
  readonly #directory = process.cwd();

  constructor() {
    checked('unshare', unshare(CLONE_NEWNS));
    checked('mount /', mount('none', '/', '', MS_REC_PRIVATE, null));
    this.mount('bpf', BPFFS);
  }

  /** Another, empty one in its place. */
  renew(): void {
    checked('umount', umount(BPFFS, MNT_DETACH));
    this.mount('bpf', BPFFS);
  }

  mount(type: string, where: string): void {
    checked(`mount ${where}`, mount('skep', where, type, 0, null));
  }

  [Symbol.dispose](): void {
    checked('setns', setns(this.#home, CLONE_NEWNS));
    closeSync(this.#home);
    process.chdir(this.#directory);
  }
}
